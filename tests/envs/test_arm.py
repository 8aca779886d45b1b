import brax.envs
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from brax.io import html, json
from params import slow

import safe_wrappers as sw
from safe_wrappers.envs import SafeArm, arm_dynamics

LINKS = (2, 3, 7)


@pytest.fixture(scope="module", params=LINKS)
def env(request):
    return SafeArm(links=request.param)


def test_sizes_and_guarantee(env):
    n = env.links
    assert (env.action_size, env.observation_size) == (n, 3 * n)
    assert env.guarantee.status == "proved"
    assert env.dt == (0.01 if n == 7 else 0.02)
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    assert state.obs.shape == (3 * n,)
    assert state.info["margin"] >= 0
    np.testing.assert_array_equal(state.obs[2 * n :], state.info["goal"])


def test_the_body_is_the_model(env):
    """MuJoCo's mass matrix, bias and end of the MJCF file are those of the equations."""
    model, n = env.sys.mj_model, env.links
    data, x = mujoco.MjData(model), np.random.default_rng(0).uniform(-1, 1, 2 * n)
    data.qpos[:], data.qvel[:] = x[:n], x[n:]
    mujoco.mj_forward(model, data)
    columns = np.zeros((n, n))
    for column, e in zip(columns, np.eye(n), strict=True):
        mujoco.mj_mulM(model, data, column, e)
    with jax.enable_x64():
        matrix, bias = env.model.virtual.parts(jnp.asarray(x))
        end = arm_dynamics.tip(env.lengths, jnp.asarray(x[:n]))
    np.testing.assert_allclose(matrix, columns, atol=1e-9)
    np.testing.assert_allclose(bias, data.qfrc_bias, atol=1e-9)
    beyond = data.xpos[-1] + data.xmat[-1].reshape(3, 3) @ [0, 0, -env.lengths[-1]]
    np.testing.assert_allclose(end, beyond[[0, 2]], atol=1e-9)
    np.testing.assert_array_equal(
        model.actuator_ctrlrange[:, 1], np.asarray(env.model.action_box.upper)
    )


@pytest.mark.parametrize(("goal", "size", "name"), [("joints", 3, "goal"), ("tip", 2, "tip")])
def test_goals_are_within_reach_and_renewed(goal, size, name):
    env = SafeArm(links=3, goal=goal)
    states = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), 64))
    goals = np.asarray(states.info[name])
    assert goals.shape == (64, size)
    assert len(np.unique(goals[:, 0])) == 64
    assert (np.abs(states.obs) <= env.observation_bound()).all()
    if goal == "joints":
        at_rest = jnp.concatenate([states.info["goal"], jnp.zeros((64, 3))], axis=1)
        assert (jax.vmap(env.system.margin)(at_rest) > 0.1).all()


def test_goals_at_the_limits_lie_on_the_boundary_and_are_the_ends_of_the_ranges():
    env = SafeArm(goal="limits")
    states = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), 32))
    goals = np.asarray(states.info["goal"])
    np.testing.assert_allclose(np.abs(goals), 2.6, rtol=1e-4)
    assert len(np.unique(goals, axis=0)) == 4  # both ends of each joint
    np.testing.assert_array_equal(states.obs[:, 4:], goals)
    assert (np.abs(states.obs) <= env.observation_bound()).all()
    at_rest = jnp.concatenate([states.info["goal"], jnp.zeros((32, 2))], axis=1)
    np.testing.assert_allclose(jax.vmap(env.system.margin)(at_rest), 0, atol=1e-4)


def test_of_a_goal_of_the_tip_the_way_to_it_is_observed():
    env = SafeArm(goal="tip")
    state = jax.jit(env.reset)(jax.random.PRNGKey(3))
    q = state.obs[:2]
    way = state.info["tip"] - jnp.array(
        [0.5 * (jnp.sin(q[0]) + jnp.sin(q.sum())), -0.5 * (jnp.cos(q[0]) + jnp.cos(q.sum()))]
    )
    np.testing.assert_allclose(state.obs[4:], way, atol=1e-6)
    still = jnp.concatenate([q, jnp.zeros(2)])
    reward = env.reward(still, jnp.zeros(2), state.info)
    np.testing.assert_allclose(-reward, jnp.linalg.norm(way), rtol=1e-6)
    there = {"tip": arm_dynamics.tip(env.lengths, q)}
    assert env.reward(still, jnp.zeros(2), there) == 0
    np.testing.assert_array_equal(env.observe(still, there)[4:], 0.0)


def test_the_reward_is_largest_at_rest_at_the_goal():
    env = SafeArm()
    info = {"goal": jnp.array([0.5, -0.3])}
    still = jnp.zeros(2)
    there = env.reward(jnp.array([0.5, -0.3, 0.0, 0.0]), still, info)
    assert there == 0
    for x in ([0.5, -0.2, 0.0, 0.0], [0.5, -0.3, 0.1, 0.0]):
        assert env.reward(jnp.array(x), still, info) < 0
    assert np.isfinite(jax.grad(env.reward)(jnp.array([0.5, -0.3, 0.0, 0.0]), still, info)).all()


@pytest.mark.filterwarnings("ignore:Accessing `ncon`:DeprecationWarning")
@pytest.mark.parametrize(
    ("backend", "links"),
    [("generalized", 2), *slow(("mjx", 2), ("generalized", 7))],
)
def test_the_physics_conform(backend, links):
    """The disturbances are accelerations in the model and torques in the physics."""
    env = SafeArm(links=links, backend=backend)
    report = sw.conform(env, samples=500)
    assert report.conforms
    assert env.guarantee.status == "tested"


def test_the_safe_set_says_how_many_links():
    assert SafeArm(safe_set="3_links").links == 3
    with pytest.raises(sw.CertificateError, match="other parameters"):
        SafeArm(links=2, safe_set="3_links")
    with pytest.raises(ValueError, match="`links` must be one of 2, 3, 7, but it is 4"):
        SafeArm(links=4)
    with pytest.raises(ValueError, match="`goal` is 'hand', but it must be one of"):
        SafeArm(goal="hand")


def test_models_by_their_options():
    assert sw.envs.get_model("safe_arm", links=7).state_size == 14
    assert sw.envs.get_model("safe_pendulum", mass=1.2).parameters["mass"] == 1.2
    with pytest.raises(sw.UnknownOptionError, match="'links'"):
        sw.envs.get_model("safe_pendulum", links=2)


def test_brax_and_the_viewer_know_it():
    env = brax.envs.get_environment("safe_arm", links=3, goal="tip")
    assert isinstance(env, SafeArm)
    assert env.observation_size == 8
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    assert state.pipeline_state.x.pos.shape == (3, 3)
    assert env.sys.link_names == ["link_1", "link_2", "link_3"]
    assert "link_3" in json.dumps(env.sys, [state.pipeline_state])  # what the viewer shows
    assert "Brax visualizer" in html.render(env.sys, [state.pipeline_state])
