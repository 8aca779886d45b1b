"""Brax's own PPO, unchanged, on a pendulum stepped by Brax's physics: the safeguard is part of the
environment.

python examples/02_third_party_agent.py [--quick]
"""

import functools
import sys

from brax.training.agents.ppo import networks
from brax.training.agents.ppo import train as ppo

import safe_wrappers as sw

QUICK = "--quick" in sys.argv


def progress(steps, metrics):
    """Prints one line per evaluation."""
    left = metrics["eval/episode_safeguard/left_set_per_step"]
    intervened = metrics["eval/episode_safeguard/intervention_per_step"]
    print(
        f"{steps:7d} steps   return {metrics['eval/episode_reward']:9.1f}   interventions "
        f"{intervened:6.1%} of steps   exits {left:.0f}"
    )


def main():
    """Trains PPO; the exits must be 0 before, during and after training."""
    sw.adapters.enable_brax_trainers()  # for JAX 0.10 and newer
    env = sw.envs.get_environment("safe_pendulum", backend="generalized")
    env = sw.SafeguardWrapper(env, sw.BoundaryProjection(), regularisation=0.1)
    ppo.train(
        env,
        num_timesteps=4_096 if QUICK else 400_000,
        episode_length=240,
        num_envs=64,
        unroll_length=16,
        batch_size=64,
        num_minibatches=4,
        num_updates_per_batch=4,
        learning_rate=1e-3,
        discounting=0.97,
        normalize_observations=True,
        num_evals=2 if QUICK else 6,
        network_factory=functools.partial(
            networks.make_ppo_networks,
            policy_hidden_layer_sizes=(64, 64),
            value_hidden_layer_sizes=(64, 64),
        ),
        progress_fn=progress,
        seed=0,
    )


if __name__ == "__main__":
    main()
