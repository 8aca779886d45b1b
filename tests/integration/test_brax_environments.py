"""Brax's own environments, unchanged, with a safeguard around them: what they terminate for, or
what would break, no longer happens.
"""

import functools

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.certificates import Claim
from safe_wrappers.models import enclosed
from safe_wrappers.synthesis import synthesise

ENVS, STEPS = 250, 100
REGION = sw.Box.symmetric([0.9, 0.2, 2.0, 2.0])
ARM_REGION = sw.Box.symmetric([2.0, 8.0, 8.0])

pytestmark = pytest.mark.filterwarnings(
    "ignore:Brax System, piplines and environments are not actively"
)


@functools.cache
def pendulum(backend="generalized"):
    """The plant and its system, from nothing but the environment: surrogate, then safe set."""
    plant = sw.BraxPlant(brax.envs.get_environment("inverted_pendulum", backend=backend))
    surrogate = sw.fit_surrogate(plant.model, REGION, jax.random.PRNGKey(0))
    result = synthesise(
        surrogate.model,
        REGION,
        surrogate.disturbance_set,
        facets=12,
        seeds=1,
        disturbance_scale=1.0,
        progress=False,
    )
    return plant, system_of(plant, surrogate.model, result, REGION, surrogate.disturbance_set)


@functools.cache
def reacher():
    """Elbow within 2 rad, joint speeds within 8 rad/s; the shoulder's angle and the target do not
    matter for them.
    """
    plant = sw.BraxPlant(
        brax.envs.get_environment("reacher", backend="generalized"), q=[1], qd=[0, 1]
    )
    surrogate = sw.fit_surrogate(plant.model, ARM_REGION, jax.random.PRNGKey(0))
    result = synthesise(
        surrogate.model,
        ARM_REGION,
        surrogate.disturbance_set,
        facets=8,
        seeds=1,
        disturbance_scale=1.0,
        progress=False,
    )
    return plant, system_of(plant, surrogate.model, result, ARM_REGION, surrogate.disturbance_set)


def system_of(plant, model, found, constraints, disturbances, eps=None):
    """The system of a plant, with the set that was found for a model of it."""
    claim = Claim(
        model,
        safe_state_set=found.safe_state_set,
        constraint_set=constraints,
        disturbance_set=disturbances,
        eps=eps,
    )
    return sw.ModelSystem(claim, state=plant.state)


def attack(system, kind, key, x, held):
    """Requests: uniform; bang-bang that holds each sign for a random while; or the vertex of the
    box that comes nearest to the boundary.
    """
    d = system.action_size
    flip, draw = jax.random.split(key)
    held = jnp.where(jax.random.bernoulli(flip, 0.2, (d,)), -held, held)
    vertices = jnp.asarray(sw.Box.symmetric(np.ones(d, np.float32)).vertices(), jnp.float32)
    margins = jax.vmap(
        lambda a: system.margin(system.model(x, a, jnp.zeros(system.model.disturbance_size)))
    )(vertices)
    choices = jnp.stack(
        [jax.random.uniform(draw, (d,), minval=-1.0), held, vertices[jnp.argmin(margins)]]
    )
    return choices[kind], held


@functools.cache
def rollout(name, safeguarded=True, steps=STEPS, **options):
    """(kind, key) -> over all steps: whether episodes were done, x, and interventions; compiled
    once.
    """
    plant, system = {"pendulum": pendulum, "reacher": reacher}[name](**options)
    env = (
        sw.SafeguardWrapper(
            plant.env, sw.BoundaryProjection(), system=system, reset_to=plant.reset_to
        )
        if safeguarded
        else plant.env
    )

    def episode(kind, key):
        start, signs, requests = jax.random.split(key, 3)

        def step(carry, key):
            state, held = carry
            request, held = attack(system, kind, key, system.state(state), held)
            after = env.step(state, request)
            intervened = after.info["safeguard"]["intervened"] if safeguarded else after.done
            # the environment's own is a Python number
            after = after.replace(reward=jnp.float32(after.reward))
            return (after, held), (after.done, system.state(after), intervened)

        held = jax.random.rademacher(signs, (system.action_size,), jnp.float32)
        return jax.lax.scan(step, (env.reset(start), held), jax.random.split(requests, steps))[1]

    compiled = jax.jit(jax.vmap(episode, (None, 0)))
    return lambda kind, seed, envs=ENVS: [
        np.asarray(part)
        for part in compiled(kind, jax.random.split(jax.random.PRNGKey(seed), envs))
    ]


def inside(system, x):
    H = np.asarray(system.safe_state_set.H, np.float64)
    return (np.asarray(x, np.float64) @ H.T <= 1).all(axis=-1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["random", "bang-bang", "greedy"])
def test_the_safeguarded_pendulum_never_falls(kind):
    """25,000 steps from all over the safe set."""
    done, x, intervened = rollout("pendulum")(kind, 0)
    assert not done.any()
    assert inside(pendulum()[1], x).all()
    assert np.abs(x[..., 0]).max() <= 0.9
    assert 0.1 < intervened.mean() <= 1


@pytest.mark.slow
def test_without_the_safeguard_it_falls_within_a_few_steps():
    done, x, _ = rollout("pendulum", safeguarded=False)(0, 0)
    fell = np.where(done.any(axis=1), done.argmax(axis=1), STEPS)
    assert fell.mean() < 100
    assert done.any(axis=1).mean() > 0.9
    assert not inside(pendulum()[1], x).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["random", "bang-bang", "greedy"])
def test_a_million_steps_of_the_pendulum(kind):
    run = rollout("pendulum", steps=1_000)
    for seed in range(1, 5):
        done, x, _ = run(kind, seed)
        assert not done.any()
        assert inside(pendulum()[1], x).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["random", "bang-bang", "greedy"])
def test_reacher_keeps_its_elbow_and_its_speeds(kind):
    _, x, intervened = rollout("reacher", steps=400)(kind, 0)
    assert inside(reacher()[1], x).all()
    assert (np.abs(x) <= np.asarray(ARM_REGION.upper)).all()
    assert intervened.mean() > 0.1


@pytest.mark.slow
def test_without_the_safeguard_reacher_does_not():
    _, x, _ = rollout("reacher", safeguarded=False)(1, 0)
    assert (~inside(reacher()[1], x)).any(axis=1).mean() > 0.9


@pytest.mark.slow
def test_the_pendulum_linearised_as_it_runs():
    """The simulator's own step in place of the surrogate, with a remainder measured on the safe
    set.
    """
    plant, other = pendulum()
    nothing = sw.Box.symmetric([0.0] * 4)
    fit = sw.fit_remainder(plant.model, other.safe_state_set, nothing, jax.random.PRNGKey(1))
    assert 1e-3 < fit.largest[3] < 2e-2  # rad/s; it is not affine: two frames are composed
    model = enclosed(plant.model, fit.half_widths)
    # Nothing bounds the rounding of Brax's physics.
    system = system_of(plant, model, other, REGION, model.disturbances(nothing), eps=2e-5)
    env = sw.SafeguardWrapper(
        plant.env, sw.BoundaryProjection(), system=system, reset_to=plant.reset_to
    )

    def step(state, key):
        after = env.step(state, jax.random.rademacher(key, (1,), jnp.float32))
        return after, (after.done, plant.state(after))

    episode = jax.vmap(
        lambda key: jax.lax.scan(step, env.reset(key), jax.random.split(key, STEPS))[1]
    )
    done, x = jax.jit(episode)(jax.random.split(jax.random.PRNGKey(0), ENVS))
    assert not done.any()
    assert inside(system, x).all()


@pytest.mark.slow
def test_the_gradient_of_the_pendulum_flows():
    """Reverse and forward mode agree through safeguard, surrogate and physics."""
    plant, system = pendulum()
    env = sw.SafeguardWrapper(plant.env, sw.BoundaryProjection(), system=system)

    def after(x, request):
        return plant.state(env.step(plant.reset_to(x, jax.random.PRNGKey(0)), request))

    x, request = 0.5 * system.sample_initial(jax.random.PRNGKey(2)), jnp.array([0.05])
    forward, reverse = (
        jax.jit(jacobian(after, (0, 1)))(x, request) for jacobian in (jax.jacfwd, jax.jacrev)
    )
    for one, other in zip(forward, reverse, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert np.abs(forward[0]).max() > 0.5


@pytest.mark.slow
def test_the_pendulum_on_mjx():
    done, x, _ = rollout("pendulum", backend="mjx")(2, 0)
    assert not done.any()
    assert inside(pendulum(backend="mjx")[1], x).all()


@pytest.mark.slow
@pytest.mark.parametrize("made", [pendulum, reacher], ids=["inverted_pendulum", "reacher"])
def test_the_surrogate_is_what_brax_steps(made):
    """On other states than the fit's and in running episodes; the reacher with the joints of its
    choice, from where the wrapper starts it.
    """
    plant, system = made()
    found = sw.conform(
        sw.SafeguardWrapper(
            plant.env, sw.BoundaryProjection(), system=system, reset_to=plant.reset_to
        )
    )
    assert found.conforms
    assert not found.own_disturbance
    # W is not vain
    assert np.all(np.abs(found.total_cover.upper) > 0.1 * np.asarray(system.disturbance_set.upper))
