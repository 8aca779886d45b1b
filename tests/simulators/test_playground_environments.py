"""Plants read off MuJoCo Playground's own environments; needs the extra `playground`."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import margins

import safe_wrappers as sw

pytestmark = [pytest.mark.playground, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
ENVS, STEPS = 64, 100


@pytest.fixture(scope="module")
def playground():
    return importlib.import_module("mujoco_playground")


@pytest.fixture(scope="module")
def raw(playground):
    return playground.registry.load("PendulumSwingup", config_overrides={"impl": "jax"})


@pytest.fixture(scope="module")
def plant(raw):
    return sw.PlaygroundPlant(raw)


@pytest.fixture(scope="module")
def env(raw, plant):
    """Upright, by a surrogate of two substeps under one action; not an equation is written down."""
    limits = sw.Box.symmetric([0.15, 1.0])
    surrogate = sw.fit_surrogate(plant, limits, jax.random.PRNGKey(0), samples=4_096)
    certificate = sw.certify(
        surrogate.model,
        constraints=limits,
        disturbances=surrogate.disturbance_set,
        facets=6,
        seeds=1,
        disturbance_scales=[1.0],
    )
    return sw.PlaygroundSafeguardWrapper(
        raw,
        sw.BoundaryProjection(),
        system=sw.ModelSystem(certificate, state=plant.state),
        reset_to=plant.reset_to,
        monitor=True,
    )


def bang_bang(env, wrapped, read):
    rng = np.random.default_rng(0)
    requests = np.sign(rng.normal(size=(STEPS, ENVS, 1))).astype(np.float32)

    def step(state, request):
        state = jax.vmap(env.step)(state, request)
        return state, (jax.vmap(read)(state), state.info.get("safeguard", {}))

    start = jax.vmap(wrapped.reset)(jax.random.split(jax.random.PRNGKey(0), ENVS))
    start = jax.jit(lambda start: start)(start)
    return jax.jit(lambda start: jax.lax.scan(step, start, requests)[1])(start)


def test_the_model_is_the_environments_own_step(raw, plant):
    """Along episodes, where MJX's warm start and everything else in its state are as they come."""
    assert raw.n_substeps == 2
    assert plant.model.state_names == ("hinge", "hinge velocity")

    def rollout(key, actions):
        def step(state, action):
            after = raw.step(state, action)
            x = plant.state(state)
            return after, (x, plant.state(after), plant.model(x, action, jnp.zeros(2)))

        return jax.lax.scan(step, raw.reset(key), actions)[1]

    keys = jax.random.split(jax.random.PRNGKey(1), 16)
    actions = np.random.default_rng(1).uniform(-1, 1, (16, 20, 1)).astype(np.float32)
    x, after, found = jax.jit(jax.vmap(rollout))(keys, actions)
    np.testing.assert_allclose(found, after, rtol=0, atol=1e-4)
    assert np.abs(np.asarray(after) - x).max() > 0.1


def test_bang_bang_stays_in_the_set(env, plant):
    x, record = bang_bang(env, env, plant.state)
    H = np.asarray(env.system.safe_state_set.H, np.float64)
    assert margins(H, np.asarray(x)).min() >= 0
    assert (record["modelled"] == 1).all()
    assert 0.2 < float(record["intervened"].mean()) < 1
    assert env.guarantee.status == "tested"


def test_without_the_safeguard_it_falls(env, raw, plant):
    H = np.asarray(env.system.safe_state_set.H, np.float64)
    start = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), ENVS))
    bare = jax.vmap(plant.reset_to)(
        jax.vmap(plant.state)(start), jax.random.split(jax.random.PRNGKey(0), ENVS)
    )

    def step(state, _):
        state = jax.vmap(raw.step)(state, jnp.ones((ENVS, 1)))
        return state, jax.vmap(plant.state)(state)

    x = jax.jit(lambda state: jax.lax.scan(step, state, length=STEPS)[1])(bare)
    left = margins(H, np.asarray(x)) < 0
    assert left.any(axis=0).mean() > 0.9


def test_it_conforms(env):
    report = sw.conform(env, samples=1_000)
    assert report.conforms, report.message
