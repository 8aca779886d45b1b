import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.algos.shac.rollout import (
    awaiting_reset,
    counted_metrics,
    random_keys,
    rollout,
    stagger,
    without_unread,
    wrap,
)


def run(env, actions, fresh_at=0.25):
    """Rolls out fixed actions, shape (horizon, num_envs), from x = fresh_at; every reset leads
    there again.
    """
    num_envs = actions.shape[1]
    fresh = env.reset(jax.random.split(jax.random.PRNGKey(0), num_envs))
    fresh = dataclasses.replace(fresh, obs=jnp.full_like(fresh.obs, fresh_at))
    # The key carries the action: policies see only the observation and a key.
    policy = lambda obs, key: (key, {})  # noqa: E731
    return rollout(env, policy, awaiting_reset(env, num_envs), fresh, actions[..., None])


def test_gradients_end_exactly_at_resets(line):
    env = wrap(line, episode_length=3)  # resets after steps 2 and 5

    def reward_of(actions, t):
        return run(env, actions)[1].reward[t, 0]

    actions = jnp.array([[0.3], [-0.2], [0.5], [0.1], [0.4], [-0.3], [0.2]])
    jacobian = np.array([jax.grad(reward_of)(actions, t)[:, 0] for t in range(7)])
    episode = np.array([0, 0, 0, 1, 1, 1, 2])
    connected = (episode[:, None] == episode[None, :]) & (
        np.arange(7)[:, None] >= np.arange(7)[None, :]
    )
    assert (jacobian[~connected] == 0).all()
    assert (jacobian[connected] != 0).all()


def test_next_observation_is_the_one_before_the_reset(line):
    env = wrap(line, episode_length=2)
    actions = jnp.array([[0.5], [0.5], [0.5]])
    state, data = run(env, actions)
    np.testing.assert_allclose(data.obs[:, 0, 0], [0.25, 0.5, 0.25])
    np.testing.assert_allclose(data.next_obs[:, 0, 0], [0.5, 0.75, 0.5])
    np.testing.assert_array_equal(data.done[:, 0], [0, 1, 0])
    np.testing.assert_array_equal(data.termination[:, 0], [0, 0, 0])
    assert state.info["steps"][0] == 1


def test_termination_and_truncation_are_told_apart(make_line):
    env = wrap(make_line(end=0.6), episode_length=3)
    _, data = run(env, jnp.array([[0.0, 0.5], [0.0, 0.5], [0.0, 0.0]]))
    np.testing.assert_array_equal(data.done, [[0, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(data.termination, [[0, 0], [0, 1], [0, 0]])


def test_violations_and_margin_of_a_raw_environment_are_reported(make_line):
    _, data = run(wrap(make_line(bound=0.6), episode_length=9), jnp.array([[0.5], [0.5]]))
    np.testing.assert_array_equal(data.counted["violations"][:, 0], [0, 1])
    np.testing.assert_allclose(data.margin[:, 0], [0.1, -0.15], atol=1e-6)
    assert set(data.counted) == {"violations"}


def test_the_safeguards_metrics_come_first():
    metrics = {
        "safeguard/left_set_per_step": 1,
        "left_set_per_step": 2,
        "safeguard/intervention_per_step": 3,
        "safeguard/fallback_per_step": 4,
    }
    assert counted_metrics(metrics) == {"violations": 1, "interventions": 3, "fallbacks": 4}


def test_correction_is_read_from_the_safeguard(pendulum):
    env = wrap(pendulum, episode_length=8)
    fresh = jax.jit(env.reset)(jax.random.split(jax.random.PRNGKey(0), 16))
    policy = lambda obs, key: (jnp.ones(1), {})  # noqa: E731
    state, data = jax.jit(
        lambda fresh: rollout(
            env, policy, awaiting_reset(env, 16), fresh, jnp.zeros((8, 16, 2), jnp.uint32)
        )
    )(fresh)
    record = state.info["safeguard"]
    np.testing.assert_allclose(
        data.correction[-1], (record["action"] - record["requested"])[:, 0] ** 2, rtol=1e-6
    )
    assert data.correction.max() > 0.1
    assert data.counted["interventions"].sum() == (data.correction > 0).sum()
    assert data.margin.min() >= 0


def test_keys_do_not_depend_on_sharding():
    key, horizon = jax.random.PRNGKey(3), 4
    reset, action = random_keys(key, jnp.arange(6), horizon)
    for ids in (jnp.arange(0, 2), jnp.arange(2, 6)):
        part_reset, part_action = random_keys(key, ids, horizon)
        np.testing.assert_array_equal(part_reset, reset[ids])
        np.testing.assert_array_equal(part_action, action[:, ids])
    everything = np.concatenate([np.asarray(reset), np.asarray(action).reshape(-1, 2)])
    assert len(np.unique(everything, axis=0)) == 6 * (horizon + 1)


@pytest.mark.parametrize("num_envs", [3, 16])
def test_first_truncations_are_spread_over_the_episode(line, num_envs):
    fresh = wrap(line, 12).reset(jax.random.split(jax.random.PRNGKey(0), num_envs))
    steps = np.asarray(stagger(fresh, 12, np.arange(num_envs), num_envs).info["steps"])
    assert steps.min() == 0
    assert steps.max() < 12
    assert np.diff(steps).max() <= np.ceil(12 / num_envs)
    assert fresh.info["steps"].max() == 0


def test_what_is_for_pictures_alone_is_not_computed_in_training(pendulum):
    """The positions of bodies, which no later step reads."""
    light = without_unread(pendulum)
    key, action = jax.random.PRNGKey(0), jnp.array([0.4])
    full, found = pendulum.step(pendulum.reset(key), action), light.step(light.reset(key), action)
    assert jax.tree.structure(full) == jax.tree.structure(found)
    np.testing.assert_array_equal(full.pipeline_state.q, found.pipeline_state.q)
    np.testing.assert_array_equal(full.pipeline_state.qd, found.pipeline_state.qd)
    assert np.abs(full.pipeline_state.x.rot).max() > 0
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(found.pipeline_state.x))
    rest = [dataclasses.replace(state, pipeline_state=None) for state in (full, found)]
    jax.tree.map(np.testing.assert_array_equal, *rest)

    def operations(env):
        state = env.reset(key)
        return jax.jit(env.step).lower(state, action).compile().cost_analysis()["flops"]

    assert operations(light) < operations(pendulum) - 50


def test_what_a_step_reads_is_kept(pendulum, line):
    class Reader(type(pendulum.env)):
        def step(self, state, action):
            moved = super().step(state, action)
            return moved.replace(reward=state.pipeline_state.x.rot[0, 0])

    kept = without_unread(Reader())
    key = jax.random.PRNGKey(0)
    state = kept.reset(key)
    assert np.abs(state.pipeline_state.x.rot).max() > 0
    assert np.all(state.pipeline_state.x.pos == 0)
    assert without_unread(line) is line
