"""Safe sets away from the origin, from the claim to the agent: in the units of the plant."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from off_center import (
    Drone,
    drone_claim,
    drone_plant,
    plane_claim,
    plane_plant,
    tank_claim,
)
from params import slow
from plants import disturbance_vertices, facets, offsets

import safe_wrappers as sw
from safe_wrappers import Zonotope
from safe_wrappers.envs import CertifiedEnv
from safe_wrappers.testing import check_system, check_wrapped_env

STEPS, ENVS = 60, 64
SYSTEMS = {
    "drone": (drone_claim, drone_plant),
    "tank": (tank_claim, lambda x, a, w: x + 0.5 * (5.0 + 5.0 * a - w)),
    "plane": (plane_claim, plane_plant),
}


class Still(CertifiedEnv):
    """An environment of any claim, without a task."""

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -jnp.sum(action**2)

    @property
    def observation_size(self):
        return self.model.state_size


def bang_bang(shape, seed):
    """Full thrust either way, held for random times, and sometimes what no action is."""
    rng = np.random.default_rng(seed)
    hold = rng.uniform(size=shape) < rng.uniform(0.02, 0.5, shape[1:])
    sign = np.where(np.cumsum(hold, axis=0) % 2, 1, -1) * rng.choice([-1, 1], shape[1:])
    return np.where(rng.uniform(size=shape) < 0.01, 1e9, sign).astype(np.float32)


class Executes(Still):
    """Tells which action was executed."""

    def reset(self, rng):
        state = super().reset(rng)
        return state.replace(info={**state.info, "executed": jnp.zeros(self.action_size)})

    def step(self, state, action):
        return super().step(state, action).replace(info={**state.info, "executed": action})


def rollout(claim, *, safeguarded):
    """States (STEPS + 1, ENVS, n) and executed actions under worst-case disturbances."""
    env = Executes(claim, disturbance="worst_case")
    if safeguarded:
        env = sw.SafeguardWrapper(env, sw.BoundaryProjection())

    def step(state, request):
        after = jax.vmap(env.step)(state, request)
        return after, (jax.vmap(env.system.state)(after), after.info["executed"])

    @jax.jit
    def run(keys, requests):
        state = jax.vmap(env.reset)(keys)
        _, (x, a) = jax.lax.scan(step, state, requests)
        return jnp.concatenate([jax.vmap(env.system.state)(state)[None], x]), a

    requests = bang_bang((STEPS, ENVS, claim.model.action_size), 0)
    if not safeguarded:
        requests = np.clip(requests, -1.0, 1.0)
    x, a = run(jax.random.split(jax.random.PRNGKey(0), ENVS), requests)
    return np.asarray(x, np.float64), np.asarray(a, np.float64)


@pytest.mark.parametrize("name", ["drone", "tank", *slow("plane")])
def test_no_state_leaves_the_set_in_float64_and_without_the_safeguard_they_do(name):
    make, plant = SYSTEMS[name]
    claim = make()
    x, a = rollout(claim, safeguarded=True)
    assert np.all(np.abs(a) <= 1)
    least = (offsets(claim) - x @ facets(claim).T).min()
    # And no vertex of W could have led outside.
    worst = min(
        (offsets(claim) - plant(x[:-1], a, w) @ facets(claim).T).min()
        for w in disturbance_vertices(claim)
    )
    assert 0 < least < 2e-4
    assert 0 < worst < 2e-4
    lower, upper = (np.asarray(b) for b in (claim.constraint_set.lower, claim.constraint_set.upper))
    assert np.all((x >= lower) & (x <= upper))
    x, _ = rollout(claim, safeguarded=False)
    left = ((x @ facets(claim).T > offsets(claim)).any(axis=2)).mean()
    print(f"{name}: {STEPS * ENVS} steps, least margin {least:.3g}; without {left:.0%} outside")
    assert left > 0.2


@pytest.mark.parametrize("name", ["drone", *slow("tank", "plane")])
def test_the_system_keeps_its_contract(name):
    claim = SYSTEMS[name][0]()
    system = sw.ModelSystem(claim, state=lambda x: x)
    report = check_system(system, states=128)
    assert report.findings["least margin of a next state"] > 0
    assert report.findings["least margin of an initial state"] > 0
    np.testing.assert_allclose(system.margin(claim.center), 1.0, atol=1e-6)


def test_a_margin_of_another_scale_breaks_the_contract():
    class Halved(sw.ModelSystem):
        def margin(self, x):
            return 0.5 * super().margin(x)

    with pytest.raises(sw.testing.ContractError, match="`margin` must be the least slack"):
        check_system(Halved(drone_claim(), state=lambda x: x), states=64)


def test_the_wrapped_environment_keeps_its_contract():
    env = sw.SafeguardWrapper(Drone(drone_claim()), sw.BoundaryProjection())
    findings = check_wrapped_env(env, envs=24, steps=40).findings
    assert findings["states outside the safe set"] == 0
    assert findings["least margin for the worst disturbance"] > 0


def test_requests_and_states_are_in_the_units_of_the_plant():
    system = sw.ModelSystem(drone_claim(), state=lambda x: x)
    ask = jax.jit(lambda x, a: sw.safe_action(system, sw.BoundaryProjection(), x, a))
    rising = ask(jnp.array([8.7, 2.0]), jnp.array([1.0]))
    assert rising.intervened
    assert rising.inside
    assert rising.action[0] < 0
    calm = ask(jnp.array([5.0, 0.0]), jnp.array([0.1]))
    assert not calm.intervened
    assert not ask(jnp.array([0.0, 0.0]), jnp.array([0.0])).inside


def test_observations_stay_within_their_space():
    guarded = sw.SafeguardWrapper(Drone(drone_claim()), sw.BoundaryProjection())
    env = sw.GymEnv(guarded)
    assert isinstance(env.observation_space, gymnasium.spaces.Box)
    np.testing.assert_allclose(env.observation_space.high, [9.0, 3.0], rtol=1e-4)
    observation, _ = env.reset(seed=0)
    for _ in range(20):
        assert env.observation_space.contains(observation)
        assert 1 <= observation[0] <= 9
        observation, *_ = env.step(np.ones(1, np.float32))
    assert observation[0] > 8.9


def test_generators_are_shrunk_about_the_centre():
    zonotope = Zonotope([5.0, 0.5], [[2.0, 0.5], [0.0, 0.5]])
    claim = drone_claim(generators=zonotope)
    assert sw.prove(claim).proved
    system = sw.ModelSystem(claim, state=lambda x: x)
    x = jax.vmap(system.sample_generators)(jax.random.split(jax.random.PRNGKey(0), 2000))
    assert x.dtype == jnp.float32
    assert np.asarray(x).min(axis=0) == pytest.approx([2.6, 0.0], abs=0.1)
    assert np.asarray(x).max(axis=0) == pytest.approx([7.4, 1.0], abs=0.1)
    beyond = Zonotope([8.0, 0.5], [[2.0, 0.5], [0.0, 0.5]])
    answer = sw.prove(drone_claim(generators=beyond))
    assert "`generators` must span a set inside S after shrinking by 0.0001 about the centre" in (
        answer.reason
    )


def test_a_disturbance_that_never_rests_cannot_be_left_out():
    with pytest.raises(ValueError, match=r"0, which must lie in W"):
        Still(tank_claim(), disturbance="none")
    state = Still(tank_claim()).reset(jax.random.PRNGKey(0))
    assert 20 <= state.obs[0] <= 60


def test_the_simulator_of_a_set_away_from_the_origin_conforms():
    report = sw.conform(Drone(drone_claim()), samples=512)
    assert report.conforms, report.message
