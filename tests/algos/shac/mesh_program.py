"""A training over the devices of a mesh, to be run as a program: of its own process, or of several.

python mesh_program.py OUTPUT UPDATES [ADDRESS COUNT INDEX]

Without an address it trains on one device, too. The parameters go to OUTPUT.npz, checkpoints to
OUTPUT.checkpoints.
"""

import sys

import jax
import numpy as np

ENVS, HORIZON = 16, 4


def main(output, updates, address=None, count="1", index="0"):
    if address is not None:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, int(count), int(index))
    import safe_wrappers as sw
    from safe_wrappers.algos import shac

    reports = []
    env = sw.SafeguardWrapper(sw.envs.SafePendulum(), sw.BoundaryProjection())
    options = {
        "num_timesteps": int(updates) * ENVS * HORIZON,
        "episode_length": 8,
        "num_envs": ENVS,
        "horizon_length": HORIZON,
        "num_critic_updates": 2,
        "num_eval_envs": 4,
        "num_evals": 3,
        "progress_fn": lambda step, metrics: reports.append(step),
    }
    mesh = jax.make_mesh((jax.device_count(),), ("envs",))
    saved = f"{output}.checkpoints"
    trainings = {"mesh": shac.train(env, **options, mesh=mesh, save_checkpoint_path=saved)}
    print("reports", reports)
    half = f"{saved}/{int(updates) // 2 * ENVS * HORIZON:012d}"
    resumed = shac.train(env, **options, mesh=mesh, restore_checkpoint_path=half)
    trainings["resumed"] = resumed
    if address is None:
        trainings["one"] = shac.train(env, **options)
    if int(index) == 0:
        found = {
            f"{name}/{i}": np.asarray(leaf)
            for name, trained in trainings.items()
            for i, leaf in enumerate(jax.tree.leaves(trained.params))
        }
        for name in ("training/violations", "training/episodes", "training/smallest_margin"):
            for training, trained in trainings.items():
                found[f"{training}/{name}"] = np.asarray(trained.metrics[name])
        np.savez(f"{output}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
