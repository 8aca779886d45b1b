"""The agents of Brax, unchanged, and SHAC: each a function (Brax environment, number of timesteps,
seed) -> policy.
"""

import functools

import jax
import numpy as np
from brax.training.agents.apg import networks as apg_networks
from brax.training.agents.apg import train as apg
from brax.training.agents.ppo import networks as ppo_networks
from brax.training.agents.ppo import train as ppo
from brax.training.agents.sac import networks as sac_networks
from brax.training.agents.sac import train as sac

import safe_wrappers as sw

sw.adapters.enable_brax_trainers()  # for JAX 0.10 and newer

EPISODE, HIDDEN = 240, (64, 64)


def _deterministic(trained):
    make_policy, params, _ = trained
    policy = jax.jit(make_policy(params, deterministic=True))
    return lambda observation: np.asarray(policy(observation, jax.random.PRNGKey(0))[0])


def train_shac(env, num_timesteps, seed=0):
    """Gradients through environment and safeguard."""
    return _deterministic(
        sw.algos.shac.train(env, num_timesteps, EPISODE, run_evals=False, seed=seed)
    )


def train_apg(env, num_timesteps, seed=0, num_envs=64, horizon_length=16):
    """Gradients through environment and safeguard, without a value function."""
    factory = functools.partial(apg_networks.make_apg_networks, hidden_layer_sizes=HIDDEN)
    updates = max(1, num_timesteps // (num_envs * horizon_length))
    options = {
        "num_envs": num_envs,
        "horizon_length": horizon_length,
        "policy_updates": updates,
        "learning_rate": 3e-3,
        "schedule_decay": 1.0,
    }
    return _deterministic(
        apg.train(
            env,
            EPISODE,
            **options,
            num_evals=1,
            num_eval_envs=1,
            normalize_observations=True,
            network_factory=factory,
            seed=seed,
        )
    )


def train_ppo(env, num_timesteps, seed=0, num_envs=64):
    """On-policy."""
    factory = functools.partial(
        ppo_networks.make_ppo_networks,
        policy_hidden_layer_sizes=HIDDEN,
        value_hidden_layer_sizes=HIDDEN,
    )
    options = {
        "num_envs": num_envs,
        "unroll_length": 16,
        "batch_size": 16,
        "num_minibatches": 4,
        "num_updates_per_batch": 4,
    }
    options |= {
        "learning_rate": 1e-3,
        "discounting": 0.97,
        "reward_scaling": 0.1,
        "normalize_observations": True,
    }
    return _deterministic(
        ppo.train(
            env,
            num_timesteps,
            episode_length=EPISODE,
            **options,
            num_evals=1,
            run_evals=False,
            network_factory=factory,
            seed=seed,
        )
    )


def train_sac(env, num_timesteps, seed=0, num_envs=16, grad_updates_per_step=8):
    """Off-policy."""
    factory = functools.partial(sac_networks.make_sac_networks, hidden_layer_sizes=HIDDEN)
    options = {
        "num_envs": num_envs,
        "batch_size": 128,
        "grad_updates_per_step": grad_updates_per_step,
        "min_replay_size": min(1000, num_timesteps // 2),
    }
    options |= {
        "learning_rate": 1e-3,
        "discounting": 0.97,
        "reward_scaling": 0.1,
        "normalize_observations": True,
    }
    return _deterministic(
        sac.train(
            env,
            num_timesteps,
            EPISODE,
            **options,
            num_evals=1,
            num_eval_envs=1,
            network_factory=factory,
            seed=seed,
        )
    )
