"""The functional form of gymnax, over the same steps as the Brax environment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.adapters import GymnaxEnv, GymnaxParams
from safe_wrappers.envs import SafePendulum

BRAX = sw.SafeguardWrapper(
    SafePendulum(safe_set="narrow", disturbance="worst_case"), sw.BoundaryProjection()
)
ENV = GymnaxEnv(BRAX, max_steps_in_episode=5)


@pytest.fixture(scope="module")
def rollout():
    """12 steps of 32 environments with bang-bang requests: more than two episodes each."""

    def step(carry, inputs):
        observation, state = carry
        key, action = inputs
        after, following, reward, done, info = ENV.step(key, state, action)
        return (after, following), (observation, state, after, following, reward, done, info)

    @jax.jit
    @jax.vmap
    def run(key, actions):
        start = ENV.reset(key)
        return jax.lax.scan(step, start, (jax.random.split(key, 12), actions))[1]

    rng = np.random.default_rng(0)
    actions = np.sign(rng.uniform(-1, 1, (32, 12, 1))).astype(np.float32)
    return actions, run(jax.random.split(jax.random.PRNGKey(0), 32), actions)


def test_no_state_leaves_the_safe_set_where_requests_do(rollout):
    actions, (_, _, _, _, _, _, info) = rollout
    H = np.asarray(BRAX.system.safe_state_set.H, np.float64)
    x = np.asarray(info["state"], np.float64)
    assert (x @ H.T <= 1).all()
    assert info["safeguard"]["inside"].all()
    assert np.asarray(info["safeguard"]["intervened"]).mean() > 0.2
    assert np.abs(np.asarray(info["safeguard"]["requested"]) - actions).max() == 0


def test_episodes_end_with_their_time_and_start_anew_inside(rollout):
    _, (_, _, after, following, _, done, info) = rollout
    steps = np.arange(1, 13)
    np.testing.assert_array_equal(done, np.broadcast_to(steps % 5 == 0, done.shape))
    np.testing.assert_array_equal(following.time, np.broadcast_to(steps % 5, done.shape))
    np.testing.assert_array_equal(info["truncated"], done)
    assert np.all(np.asarray(info["discount"]) == 1)
    ended = np.asarray(done)
    same = (np.asarray(after) == np.asarray(info["final_obs"])).all(axis=-1)
    assert same[~ended].all()
    assert not same[ended].any()
    starts = np.asarray(after)[ended]
    assert len(np.unique(starts, axis=0)) == len(starts)  # each start has a draw of its own


def test_a_step_is_the_one_of_the_brax_environment(rollout):
    actions, (_, state, _, _, reward, _, info) = rollout
    expected = jax.jit(jax.vmap(BRAX.step))(
        jax.tree.map(lambda leaf: leaf[:, 3], state.env_state), actions[:, 3]
    )
    np.testing.assert_allclose(reward[:, 3], expected.reward, rtol=1e-6)
    np.testing.assert_allclose(info["final_obs"][:, 3], expected.obs, rtol=1e-6)


def test_the_length_of_an_episode_is_a_parameter():
    _, state = ENV.reset(jax.random.PRNGKey(0))
    params = ENV.default_params.replace(max_steps_in_episode=1)
    assert isinstance(params, GymnaxParams)
    assert params.max_steps_in_episode == 1
    step = jax.jit(ENV.step)
    assert step(jax.random.PRNGKey(1), state, jnp.zeros(1), params)[3]
    assert not step(jax.random.PRNGKey(1), state, jnp.zeros(1), ENV.default_params)[3]


@pytest.mark.slow
def test_ends_may_be_separate_as_of_gymnax_1():
    """The same step as with five values, but for them."""
    separate = GymnaxEnv(BRAX, max_steps_in_episode=1, separate_ends=True)
    joint = GymnaxEnv(BRAX, max_steps_in_episode=1)
    key, action = jax.random.PRNGKey(1), jnp.ones(1)
    _, state = joint.reset(jax.random.PRNGKey(0))
    *found, terminated, truncated, info = jax.jit(separate.step)(key, state, action)
    *expected, done, other = jax.jit(joint.step)(key, state, action)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert (terminated, truncated, done) == (False, True, True)
    assert info["truncated"] == 1 == other["truncated"]
    np.testing.assert_array_equal(info["final_observation"], other["final_obs"])
    # which says only whether the environment itself ended the episode
    assert not jax.jit(separate.step_env)(key, state, action)[3]
    assert jax.jit(joint.step_env)(key, state, action)[3]


def test_single_actions_may_be_numbers_and_gradients_flow():
    _, state = jax.jit(ENV.reset)(jax.random.PRNGKey(0))

    @jax.jit
    def reward(action):
        return ENV.step_env(jax.random.PRNGKey(1), state, action)[2]

    assert float(reward(jnp.array(0.01))) == float(reward(jnp.array([0.01])))
    assert abs(float(jax.jit(jax.grad(reward))(jnp.array(0.01)))) > 1e-3


@pytest.mark.parametrize("action", [np.zeros((1, 1)), np.zeros(2), np.array([0.1 + 1j]), "0.1"])
def test_actions_pass_the_gate_of_all_others(action):
    _, state = jax.eval_shape(ENV.reset, jax.random.PRNGKey(0))
    with pytest.raises(sw.SetDimensionError, match="action"):
        jax.eval_shape(lambda state: ENV.step_env(None, state, action), state)


def test_what_is_no_environment_is_refused():
    with pytest.raises(TypeError, match=r"must be a `brax\.envs\.Env`"):
        GymnaxEnv(3)
    with pytest.raises(ValueError, match="max_steps_in_episode"):
        GymnaxEnv(BRAX, max_steps_in_episode=0)


def test_spaces_need_gymnax(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnax.environments.spaces", None)
    with pytest.raises(sw.MissingDependencyError, match=r"safe-wrappers\[gymnax\]"):
        ENV.action_space()
