"""The agents of Stable-Baselines3 and sbx, unchanged: each a function (Brax environment, number of
timesteps, seed) -> policy.
"""

import numpy as np
import sbx
import stable_baselines3 as sb3
import torch

import safe_wrappers as sw

torch.set_num_threads(1)  # networks this small are slower with more


def _learn(algorithm, env, num_timesteps, num_envs=16, **options):
    """16 copies of the environment, stepped by one compiled function."""
    vector = sw.GymVectorEnv(env, num_envs, max_episode_steps=240, autoreset_mode="SameStep")
    model = algorithm(
        "MlpPolicy",
        sw.as_vec_env(vector),
        gamma=0.97,
        learning_rate=1e-3,
        policy_kwargs={"net_arch": [64, 64]},
        **options,
    )
    model.learn(num_timesteps)
    return lambda observation: model.predict(np.asarray(observation), deterministic=True)[0]


def train_ppo(env, num_timesteps, seed=0):
    """On-policy, in torch."""
    return _learn(
        sb3.PPO, env, num_timesteps, n_steps=64, batch_size=256, n_epochs=4, seed=seed, device="cpu"
    )


def train_sac(env, num_timesteps, seed=0, algorithm=sb3.SAC, **options):
    """Off-policy, in torch."""
    options = {
        "train_freq": 1,
        "gradient_steps": 4,
        "batch_size": 128,
        "learning_starts": 500,
        "device": "cpu",
        **options,
    }
    return _learn(algorithm, env, num_timesteps, seed=seed, **options)


def train_sac_of_sbx(env, num_timesteps, seed=0):
    """Off-policy, in JAX."""
    return train_sac(env, num_timesteps, seed, sbx.SAC)


class ExecutedActionSAC(sb3.SAC):
    """A critic that sees the executed instead of the requested action."""

    def _store_transition(self, replay_buffer, buffer_action, new_obs, reward, dones, infos):
        executed = np.stack([info["safeguard"]["action"] for info in infos])
        super()._store_transition(replay_buffer, executed, new_obs, reward, dones, infos)
