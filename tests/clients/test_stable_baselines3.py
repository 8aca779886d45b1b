"""Stable-Baselines3: `pip install -e ".[clients,test]"`."""

import clients
import numpy as np
import pytest
from clients import ID, TASK, many, one, require_exits, require_safe

import safe_wrappers as sw

pytestmark = pytest.mark.clients
PACKAGES = ("stable-baselines3",)
OFF_POLICY = {"learning_starts": 200, "train_freq": (16, "step"), "gradient_steps": 4}
SIZES = {
    "PPO": {"n_steps": 32, "batch_size": 64, "n_epochs": 2},
    "A2C": {"n_steps": 32},
    "SAC": OFF_POLICY,
    "TD3": OFF_POLICY,
    "DDPG": OFF_POLICY,
}


def agent(name, env, policy="MlpPolicy", **options):
    import stable_baselines3

    options = {"seed": 0, "device": "cpu", **SIZES[name], **options}
    return getattr(stable_baselines3, name)(policy, env, **options)


@pytest.mark.parametrize("name", SIZES)
def test_agents_stay_in_the_set(name, count):
    agent(name, sw.as_vec_env(many())).learn(1_024)
    require_safe(count, 1_024)


@pytest.mark.parametrize("name", ["PPO", "SAC"])
def test_without_a_safeguard_they_leave_it(name, count):
    agent(name, sw.as_vec_env(many(safeguard=None))).learn(1_024)
    require_exits(count, 1_024)


def test_normalised_trained_evaluated_saved_and_loaded(count):
    """`EvalCallback` keeps the statistics of its own `VecNormalize` those of the training."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import CallbackList, CheckpointCallback, EvalCallback
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecCheckNan, VecMonitor, VecNormalize

    def checked(num_envs):
        env = VecMonitor(sw.as_vec_env(many(num_envs)), info_keywords=("cost",))
        return VecCheckNan(env, raise_exception=True)

    train = VecNormalize(checked(8))
    test = VecNormalize(checked(4), training=False, norm_reward=False)
    evaluation = EvalCallback(
        test, eval_freq=64, n_eval_episodes=4, log_path="log", best_model_save_path="log", verbose=0
    )
    checkpoints = CheckpointCallback(64, "checkpoints", save_vecnormalize=True)
    model = agent("PPO", train, n_steps=64, batch_size=128)
    model.learn(1_024, callback=CallbackList([evaluation, checkpoints]))
    np.testing.assert_array_equal(test.obs_rms.mean, train.obs_rms.mean)
    assert np.isfinite(evaluation.best_mean_reward)
    train.save("statistics.pkl")
    model.save("agent.zip")
    again = VecNormalize.load("statistics.pkl", checked(4))
    again.training = again.norm_reward = False
    loaded = PPO.load("agent.zip", env=again)
    expected = evaluate_policy(model, test, n_eval_episodes=4, warn=False)
    assert np.isfinite([expected, evaluate_policy(loaded, again, 4, warn=False)]).all()
    require_safe(count, 1_024 + 3 * 4 * clients.EPISODE)


def test_hindsight_experience_replay(count):
    """Goals by a wrapper of the user's, around the safeguarded environment."""
    import gymnasium
    from stable_baselines3 import HerReplayBuffer

    class Goals(gymnasium.Wrapper):
        def __init__(self, env):
            super().__init__(env)
            goal = gymnasium.spaces.Box(-4, 4, (1,))
            self.observation_space = gymnasium.spaces.Dict(
                observation=env.observation_space, achieved_goal=goal, desired_goal=goal
            )

        def _with_goals(self, observation, info):
            achieved = np.asarray(info["state"][:1], np.float32)
            desired = np.array([0.8], np.float32)
            return {
                "observation": observation,
                "achieved_goal": achieved,
                "desired_goal": desired,
            }

        def reset(self, **options):
            observation, info = self.env.reset(**options)
            return self._with_goals(observation, info), info

        def step(self, action):
            observation, _, terminated, truncated, info = self.env.step(action)
            seen = self._with_goals(observation, info)
            reward = self.compute_reward(seen["achieved_goal"], seen["desired_goal"], info)
            return seen, float(reward), terminated, truncated, info

        def compute_reward(self, achieved, desired, info):
            return -(np.abs(achieved - desired).sum(-1) > 0.05).astype(np.float32)

    agent(
        "SAC",
        Goals(one()),
        "MultiInputPolicy",
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "copy_info_dict": True},
    ).learn(600)
    require_safe(count, 600)


def test_its_own_vector_environments(count):
    from stable_baselines3.common.env_util import make_vec_env

    env = make_vec_env(
        ID, n_envs=3, env_kwargs=TASK, monitor_kwargs={"info_keywords": ("cost",)}, seed=0
    )
    agent("PPO", env).learn(576)
    require_safe(count, 576)


def test_processes():
    """By its own default, a fork server."""
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import SubprocVecEnv

    env = make_vec_env(f"safe_wrappers:{ID}", 2, env_kwargs=TASK, vec_env_cls=SubprocVecEnv)
    env.reset()
    for _ in range(5):
        _, _, _, infos = env.step(np.ones((2, 1), np.float32))
    env.close()
    assert all(info["safeguard"]["inside"] == 1 for info in infos)
