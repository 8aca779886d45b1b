"""Agents of the examples on the Gymnasium side: no exit in training or evaluation, counted inside
the environment.
"""

import importlib

import gymnasium
import jax
import numpy as np
import pytest
from counting import CountingPendulum
from helpers import facets, worst_margins

import safe_wrappers as sw

pytestmark = pytest.mark.filterwarnings("ignore:.*tostring.*:DeprecationWarning")
STEPS = 1_024


def vector(env, episode=40):
    return sw.GymVectorEnv(env, 16, max_episode_steps=episode, autoreset_mode="SameStep")


def single_file_ppo(env):
    from agents import single_file_ppo

    return single_file_ppo.train(vector(env), STEPS)


def sb3(name):
    return lambda env: getattr(importlib.import_module("agents.sb3_agents"), name)(env, STEPS)


def sb3_on_one(env):
    """Stable-Baselines3 makes its `DummyVecEnv` of a single environment."""
    from stable_baselines3 import PPO

    one = gymnasium.wrappers.TimeLimit(sw.GymEnv(env), 40)
    model = PPO(
        "MlpPolicy", one, n_steps=256, batch_size=64, n_epochs=1, seed=0, device="cpu"
    ).learn(512)
    return lambda observation: model.predict(observation)[0]


TORCH = {
    "ppo": sb3("train_ppo"),
    "sac": sb3("train_sac"),
    "sbx": sb3("train_sac_of_sbx"),
    "one": sb3_on_one,
}
AGENTS = [
    pytest.param(single_file_ppo, id="single_file_ppo"),
    *(pytest.param(train, id=name, marks=pytest.mark.agents) for name, train in TORCH.items()),
]


def evaluate(env, policy):
    """40 steps of 16 copies."""
    copies = vector(env)
    observation, _ = copies.reset(seed=1)
    for _ in range(40):
        observation = copies.step(policy(observation))[0]
    jax.effects_barrier()


@pytest.mark.parametrize("train", AGENTS)
def test_agents_never_leave_the_set(train):
    inner = CountingPendulum()
    env = sw.SafeguardWrapper(inner, sw.BoundaryProjection())
    policy = train(env)
    jax.effects_barrier()
    trained = inner.steps
    assert trained >= 512
    assert inner.exits == 0
    assert 0 < inner.least < 0.1
    evaluate(env, policy)
    assert inner.steps == trained + 640
    assert inner.exits == 0


@pytest.mark.parametrize("train", AGENTS)
def test_without_the_safeguard_they_leave_it(train):
    env = CountingPendulum()
    train(env)
    jax.effects_barrier()
    assert env.exits > 100


@pytest.mark.agents
def test_the_critic_can_see_the_executed_action():
    """What is stored is safe in the state where it was executed, for every disturbance; the
    requests are not.
    """
    from agents.sb3_agents import ExecutedActionSAC
    from stable_baselines3 import SAC

    inner = CountingPendulum()
    env, H = sw.SafeguardWrapper(inner, sw.BoundaryProjection()), facets(inner)

    def margins(algorithm):
        model = algorithm(
            "MlpPolicy", sw.as_vec_env(vector(env)), learning_starts=1_000, seed=0, device="cpu"
        ).learn(320)
        buffer = model.replay_buffer
        observation, action = (
            array[: buffer.pos].reshape(320, -1) for array in (buffer.observations, buffer.actions)
        )
        x = np.stack([np.arctan2(observation[:, 0], observation[:, 1]), observation[:, 2]], axis=-1)
        return worst_margins(H, x, action[:, 0])

    assert (margins(ExecutedActionSAC) > -1e-5).all()
    assert (margins(SAC) < -0.01).mean() > 0.2


@pytest.mark.agents
def test_unfinished_episodes_are_bootstrapped():
    """The replay buffer of Stable-Baselines3 knows which episodes only ran out of time, and their
    last observation.
    """
    from stable_baselines3 import SAC

    env = sw.as_vec_env(
        vector(
            sw.SafeguardWrapper(CountingPendulum(disturbance="none"), sw.BoundaryProjection()),
            episode=10,
        )
    )
    buffer = (
        SAC("MlpPolicy", env, learning_starts=1_000, seed=0, device="cpu").learn(320).replay_buffer
    )
    ends = np.arange(20) % 10 == 9
    np.testing.assert_array_equal(buffer.dones[:20], np.tile(ends[:, None], (1, 16)))
    np.testing.assert_array_equal(buffer.timeouts[:20], buffer.dones[:20])
    following = buffer.next_observations[:19] == buffer.observations[1:20]
    assert following[~ends[:19]].all()
    assert not following[ends[:19]].all(axis=-1).any()
