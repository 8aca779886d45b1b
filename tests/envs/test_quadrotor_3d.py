import brax.envs
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from robot_plants import rotation

import safe_wrappers as sw
from safe_wrappers.envs import SafeQuadrotor3D


@pytest.fixture(scope="module")
def env():
    return SafeQuadrotor3D(goal="waypoint")


def test_sizes_and_guarantee(env):
    assert (env.action_size, env.observation_size) == (4, 15)
    assert env.guarantee.status == "proved"
    states = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), 256))
    assert states.obs.shape == (256, 15)
    assert (states.info["margin"] >= 0).all()
    assert (np.abs(states.obs) <= env.observation_bound()).all()
    # Starts reach far into the box: each axis to 80 % at least.
    reach = np.abs(np.asarray(states.obs[:, :12])).max(axis=0)
    assert (reach > 0.8 * np.asarray(env.system.claim.constraint_set.upper)).all()


def test_goals(env):
    goals = jax.vmap(lambda key: env.task_info(jnp.zeros(12), key)["goal"])(
        jax.random.split(jax.random.PRNGKey(0), 256)
    )
    np.testing.assert_allclose(np.abs(goals).max(axis=0), [2.1, 2.1, 1.4], rtol=0.02)
    hover = SafeQuadrotor3D().task_info(jnp.ones(12), jax.random.PRNGKey(0))["goal"]
    np.testing.assert_array_equal(hover, 0)
    with pytest.raises(ValueError, match="`goal` is 'fly', but it must be one of"):
        SafeQuadrotor3D(goal="fly")
    with pytest.raises(ValueError, match="`backend` is 'generalized'"):
        SafeQuadrotor3D(backend="generalized")


def test_hovering_at_the_goal_is_best(env):
    rest, hold = jnp.zeros(12).at[0].set(1.0), jnp.array([9.81, 0.0, 0.0, 0.0])
    info = {"goal": jnp.array([1.0, 0.0, 0.0])}
    assert abs(env.reward(rest, hold, info)) < 1e-6
    for i in (1, 3, 6, 9):
        assert env.reward(rest.at[i].add(0.1), hold, info) < 0
    np.testing.assert_allclose(env.model.step(rest, hold, jnp.zeros(3)), rest, atol=1e-6)


def test_the_body_is_shown_as_the_model_turns_it(env):
    """Brax and MuJoCo put the body where the state says, with the attitude Rz Ry Rx."""
    x = np.random.default_rng(0).uniform(-0.3, 0.3, 12).astype(np.float32)
    state = env.reset_to(jnp.asarray(x), jax.random.PRNGKey(0))
    body = state.pipeline_state.x
    np.testing.assert_allclose(body.pos[-1], x[:3], atol=1e-6)
    model = env.sys.mj_model
    data = mujoco.MjData(model)
    data.qpos[:] = x[:6]
    mujoco.mj_forward(model, data)
    wanted = rotation(x[3:6].astype(np.float64))
    np.testing.assert_allclose(data.xmat[-1].reshape(3, 3), wanted, atol=1e-6)
    axes = jax.vmap(brax.math.rotate, in_axes=(0, None))(jnp.eye(3), body.rot[-1])
    np.testing.assert_allclose(np.asarray(axes).T, wanted, atol=1e-6)


def test_brax_knows_it():
    env = brax.envs.get_environment("safe_quadrotor_3d")
    assert isinstance(env, SafeQuadrotor3D)
    assert sw.envs.get_model("safe_quadrotor_3d").state_size == 12
