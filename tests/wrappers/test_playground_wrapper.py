"""MuJoCo Playground's CartpoleBalance behind the safeguard, with the system of the example; the
model's equations once more in float64.
"""

import copy
import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw

pytestmark = [pytest.mark.playground, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def example():
    return importlib.import_module("07_playground")


@pytest.fixture(scope="module")
def playground():
    return importlib.import_module("mujoco_playground")


@pytest.fixture(scope="module")
def raw(playground):
    return playground.registry.load("CartpoleBalance", config_overrides={"impl": "jax"})


@pytest.fixture(scope="module")
def system(example, raw):
    return sw.ModelSystem(
        example.proved_set(example.cart_pole(raw.mj_model)), state=example.state_of
    )


@pytest.fixture(scope="module")
def env(raw, system):
    return sw.PlaygroundSafeguardWrapper(
        raw, sw.BoundaryProjection(), system=system, regularisation=0.1
    )


def pendulum_on_a_cart(x, force, w):
    """dm_control's cart-pole by a linear solve of Lagrange's equations, float64; x (N, 4), force
    (N,), w (2,).
    """
    position, th, velocity, rate = x.T
    m_c, m_p, l, inertia, g, dt = 1.0, 0.1, 0.5, 0.00942459, 9.81, 0.01  # noqa: E741
    mass = np.array(
        [
            [np.full_like(th, m_c + m_p), m_p * l * np.cos(th)],
            [m_p * l * np.cos(th), np.full_like(th, m_p * l**2 + inertia)],
        ]
    )
    right = np.array(
        [
            force - 5e-4 * velocity + m_p * l * rate**2 * np.sin(th),
            m_p * g * l * np.sin(th) - 2e-6 * rate,
        ]
    )
    acceleration = np.linalg.solve(np.moveaxis(mass, -1, 0), right.T[..., None])[..., 0] + w
    velocity, rate = velocity + dt * acceleration[:, 0], rate + dt * acceleration[:, 1]
    return np.stack([position + dt * velocity, th + dt * rate, velocity, rate], axis=1)


def test_the_model_is_what_mujoco_steps(example, raw, env):
    found = sw.conform(env, start=functools.partial(example.start_at, raw), samples=2_000)
    assert found.name == "Balance on mjx"
    assert found.conforms
    assert np.abs(found.all.disturbance).max() < 1e-4  # of 0.05 m/s^2 and 0.1 rad/s^2
    steps = found.random
    np.testing.assert_allclose(
        steps.next_x,
        pendulum_on_a_cart(steps.x, 10.0 * steps.action[:, 0], np.zeros(2)),
        rtol=0,
        atol=1e-6,
    )
    with jax.enable_x64():
        w = np.array([0.03, -0.07])
        stepped = jax.vmap(lambda x, a: env.system.model(x, a, jnp.asarray(w)))(
            jnp.asarray(steps.x), jnp.asarray(steps.action)
        )
    np.testing.assert_allclose(
        stepped, pendulum_on_a_cart(steps.x, 10.0 * steps.action[:, 0], w), rtol=0, atol=1e-6
    )
    with pytest.raises(
        ValueError,
        match="Balance on mjx must be started at chosen states, but it "
        "has no `reset_to`; give `start=`",
    ):
        sw.conform(env)


def test_the_monitor_tells_another_motor_from_the_models(raw, system):
    """A gear of 1.1 of the model's adds up to 1 m/s^2 to the cart's acceleration, where W has
    0.05.
    """
    stronger = copy.copy(raw)
    stronger._mjx_model = raw.mjx_model.tree_replace(
        {"actuator_gear": 1.1 * raw.mjx_model.actuator_gear}
    )
    keys, requests = (
        jax.random.split(jax.random.PRNGKey(0), 64),
        jnp.tile(jnp.array([[1.0], [-1.0]]), (32, 1)),
    )
    for plant, modelled in ((raw, 1), (stronger, 0)):
        env = sw.PlaygroundSafeguardWrapper(
            plant, sw.BoundaryProjection(), system=system, monitor=True
        )
        state = jax.jit(jax.vmap(env.reset))(keys)
        assert (state.info["safeguard"]["modelled"] == 1).all()
        after = jax.jit(jax.vmap(env.step))(state, requests)
        np.testing.assert_array_equal(after.info["safeguard"]["modelled"], modelled)
        np.testing.assert_array_equal(after.metrics["safeguard/unmodelled_per_step"], 1 - modelled)
        assert (np.abs(after.info["safeguard"]["residual"]) < 1e-3).all() == modelled


def test_episodes_start_where_reset_to_puts_them(example, raw, system):
    """All over the safe set, where Playground's own begin near its centre; the observation is that
    of the start.
    """
    env = sw.PlaygroundSafeguardWrapper(
        raw,
        sw.BoundaryProjection(),
        system=system,
        reset_to=functools.partial(example.start_at, raw),
    )
    keys = jax.random.split(jax.random.PRNGKey(0), 128)
    state, own = jax.jit(jax.vmap(env.reset))(keys), jax.jit(jax.vmap(raw.reset))(keys)
    assert (state.info["safeguard"]["inside"] == 1).all()
    assert np.abs(own.data.qpos[:, 0]).max() < 0.11
    assert np.abs(state.data.qpos[:, 0]).max() > 0.5
    expected = np.stack(
        [
            state.data.qpos[:, 0],
            np.cos(state.data.qpos[:, 1]),
            np.sin(state.data.qpos[:, 1]),
            *np.asarray(state.data.qvel).T,
        ],
        axis=1,
    )
    np.testing.assert_allclose(state.obs, expected, atol=1e-6)
    x = jnp.array([0.4, 0.05, -0.3, 0.1])
    np.testing.assert_allclose(system.state(env.reset_to(x, keys[0])), x, rtol=1e-6)
    assert sw.conform(env, samples=100).conforms


def test_the_certificate_is_proved_and_stays_off_the_ends_of_the_track(system):
    assert sw.prove(system.claim).proved
    vertices = system.safe_state_set.vertices()
    assert np.abs(vertices[:, 0]).max() <= 1.7 + 1e-6
    assert np.abs(vertices[:, 1]).max() <= 0.3 + 1e-6


def test_no_exit_under_random_and_bang_bang_actions(example, raw, env, system):
    """Counted in float64; the worst vertex of W would not have led out either.

    The same actions take the raw environment out.
    """
    requests = example.bang_bang_and_random(400, 128)
    H = np.asarray(system.safe_state_set.halfspaces()[0], np.float64)
    assert (1 - example.rollout(env, requests).astype(np.float64) @ H.T).min() > 0
    left = (1 - example.rollout(raw, requests).astype(np.float64) @ H.T).min(axis=-1) < 0
    assert left.any(axis=0).mean() > 0.9
    assert left.mean() > 0.5


def test_the_contract_holds(env):
    findings = sw.testing.check_wrapped_env(env, envs=48, steps=60).findings
    assert findings["states outside the safe set"] == 0
    assert findings["least margin for the worst disturbance"] > 0
    assert findings["states outside without the safeguard"] > 500


def test_it_is_a_playground_environment(playground, env, raw):
    assert isinstance(env, playground.MjxEnv)
    assert env.unwrapped is env
    assert (env.action_size, env.observation_size, env.dt, env.sim_dt, env.n_substeps) == (
        1,
        5,
        0.01,
        0.01,
        1,
    )
    assert env.mj_model is raw.mj_model
    assert env.mjx_model is raw.mjx_model
    assert env.xml_path == raw.xml_path
    assert env.model_assets is raw.model_assets
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = env.no_such_name


def test_the_environments_own_dictionaries_are_not_written_into(env):
    state = env.reset(jax.random.PRNGKey(0))
    before = dict(state.metrics)
    env.step(state, jnp.ones(1))
    assert all(state.metrics[name] is value for name, value in before.items())


def test_what_the_environment_reports_itself_stays(raw, system):
    class Reporting(type(raw)):
        def reset(self, rng):
            state = super().reset(rng)
            state.info.update(cost=jnp.full((), 10.0), safeguard=jnp.full((), 20.0))
            return state

        def step(self, state, action):
            state = super().step(state, action)
            state.info["cost"] += 1
            state.info["safeguard"] += 1
            return state

    plant = copy.copy(raw)
    plant.__class__ = Reporting
    env = sw.PlaygroundSafeguardWrapper(plant, sw.BoundaryProjection(), system=system)
    state, step = env.reset(jax.random.PRNGKey(0)), jax.jit(env.step)
    for expected in (11.0, 12.0):
        state = step(state, jnp.ones(1))
        assert state.info["cost"] == expected
        assert state.info["environment"]["safeguard"] == expected + 10
        assert state.info["safeguard"]["violation"] == 0


@pytest.mark.parametrize("way", ["deepcopy", "cloudpickle"])
def test_copies_go_on_from_the_same_state(env, way):
    cloudpickle = pytest.importorskip("cloudpickle")
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    held = (env, state)
    twin, its_state = (
        copy.deepcopy(held) if way == "deepcopy" else cloudpickle.loads(cloudpickle.dumps(held))
    )
    assert twin.guarantee == env.guarantee
    expected, found = (
        jax.jit(env.step)(state, jnp.ones(1)),
        jax.jit(twin.step)(its_state, jnp.ones(1)),
    )
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_domain_randomisation_fails_loudly(playground, env):
    def randomise(model, rng):
        gear = jax.vmap(
            lambda key: model.actuator_gear * jax.random.uniform(key, (), minval=0.5, maxval=1.5)
        )(rng)
        return model.tree_replace({"actuator_gear": gear}), jax.tree.map(
            lambda _: None, model
        ).tree_replace({"actuator_gear": 0})

    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    wrapped = playground.wrapper.wrap_for_brax_training(
        env, episode_length=10, randomization_fn=lambda model: randomise(model, keys)
    )
    with pytest.raises(sw.CertificateError, match="domain randomisation"):
        wrapped.reset(keys)


def test_the_full_reset_of_playground_works(playground, env):
    wrapped = playground.wrapper.wrap_for_brax_training(env, episode_length=5, full_reset=True)
    state = jax.jit(wrapped.reset)(jax.random.split(jax.random.PRNGKey(0), 4))
    step = jax.jit(wrapped.step)
    for _ in range(12):
        state = step(state, jnp.ones((4, 1)))
    assert (state.info["safeguard"]["inside"] == 1).all()
    np.testing.assert_array_equal(state.info["AutoResetWrapper_done_count"], 2)


def test_the_gradient_flows_through(env, system):
    state = env.reset(jax.random.PRNGKey(0))
    gradient = jax.jit(jax.grad(lambda action: env.step(state, action).data.qvel[1]))(
        jnp.array([0.1])
    )
    np.testing.assert_allclose(gradient, system.model.affine(system.state(state)).B[3], rtol=1e-3)


def test_it_must_be_the_innermost_wrapper(playground, env, raw, system):
    for wrap in (
        playground.wrapper.Wrapper,
        playground.wrapper.BraxAutoResetWrapper,
        playground.wrapper.brax_training.VmapWrapper,
    ):
        with pytest.raises(
            sw.WrapperOrderError,
            match=rf"must be the innermost wrapper, but `env` is a `{wrap.__name__}`",
        ):
            sw.PlaygroundSafeguardWrapper(wrap(raw), sw.BoundaryProjection(), system=system)
    with pytest.raises(sw.WrapperOrderError, match="must not be safeguarded already"):
        sw.PlaygroundSafeguardWrapper(env, sw.BoundaryProjection(), system=system)
    with pytest.raises(
        TypeError, match=r"must be a `mujoco_playground\.MjxEnv`, but it is a `SafePendulum`"
    ):
        sw.PlaygroundSafeguardWrapper(
            sw.envs.SafePendulum(), sw.BoundaryProjection(), system=system
        )


def test_a_trainer_of_brax_trains_it(playground, env):
    from brax.training.agents.ppo import train as ppo

    sw.adapters.enable_brax_trainers()

    sizes = dict(
        num_envs=16,
        num_eval_envs=16,
        batch_size=16,
        num_minibatches=4,
        unroll_length=10,
        num_updates_per_batch=1,
    )
    wrap = playground.wrapper.wrap_for_brax_training
    _, _, metrics = ppo.train(
        env, num_timesteps=2_000, episode_length=40, num_evals=2, wrap_env_fn=wrap, **sizes
    )
    assert (
        metrics["eval/episode_safeguard/left_set_per_step"]
        == metrics["eval/episode_safeguard/infeasible_per_step"]
        == 0
    )
    assert np.isfinite(metrics["eval/episode_reward"])
