"""Train SHAC safely on the pendulum: every action it ever executes is certified.

python examples/01_train_shac.py [--quick]
"""

import sys

import safe_wrappers as sw

QUICK = "--quick" in sys.argv


def progress(steps, metrics):
    """Prints one line per evaluation."""
    print(
        f"{steps:6d} steps   return {metrics['eval/episode_reward']:8.2f}   exits "
        f"{metrics['eval/episode_safeguard/left_set_per_step']:.0f}"
    )


def main():
    """Trains, and says how often the safeguard had to intervene."""
    env = sw.envs.get_environment("safe_pendulum")
    env = sw.SafeguardWrapper(env, sw.BoundaryProjection())
    num_timesteps = 2_048 if QUICK else 20_000
    _, _, metrics = sw.algos.shac.train(
        env,
        num_timesteps=num_timesteps,
        episode_length=240,
        num_evals=3 if QUICK else 11,
        seed=0,
        progress_fn=progress,
    )
    print(
        f"interventions in training: {metrics['training/interventions']:.0f}, exits: "
        f"{metrics['training/violations']:.0f}"
    )


if __name__ == "__main__":
    main()
