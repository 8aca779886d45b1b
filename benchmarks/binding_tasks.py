"""How good SHAC is where safety binds, and with the recipes of all bundled systems: many seeds of
each task behind several safeguards, and the constrained optimum of the same episodes.

One job is one task behind one safeguard (its trainings are one program), or the reference of one
task. Rows are appended to runs.csv and references.csv in --folder as jobs end.

    python benchmarks/binding_tasks.py --list
    python benchmarks/binding_tasks.py --task "cart-pole, rail" --safeguard BP --seeds 10
    python benchmarks/binding_tasks.py --task "cart-pole, rail" --reference

Episodes have 240 steps without disturbances; trainings have them. exits and fallbacks count over
the evaluation, training_exits and training_fallbacks over the training.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.evaluation import Evaluation, constrained_optimum, episode_keys, lqr, lqr_policy

STEPS = 240
SAFEGUARDS = {
    "BP": sw.BoundaryProjection(),
    "BP inward": sw.BoundaryProjection("inward"),
    "BP straight-through": sw.BoundaryProjection("straight_through"),
    "RM": sw.RayMask(),
    "gauge": sw.GaugeMap(),
    "replacement": sw.Replacement(),
}


class Task(NamedTuple):
    """A system with its options, and how long it is trained.

    Args:
        held_out: Whether no setting of the library was chosen on this task.
    """

    system: str
    options: dict
    interactions: int
    held_out: bool = False


TASKS = {
    # The bundled systems with their recipes.
    "pendulum": Task("safe_pendulum", {}, 40_000),
    "cart-pole": Task("safe_cart_pole", {}, 80_000),
    "quadrotor, start": Task("safe_quadrotor", {}, 80_000),
    "seeker": Task("safe_seeker", {}, 40_000, held_out=True),
    "arm": Task("safe_arm", {}, 1_500_000),
    "quadrotor 3d": Task("safe_quadrotor_3d", {}, 1_200_000),
    # Tasks whose optimum lies on the boundary of the safe set.
    "pendulum, narrow": Task("safe_pendulum", {"safe_set": "narrow", "target_angle": 0.8}, 20_000),
    "quadrotor, far": Task("safe_quadrotor", {"goal": "far"}, 160_000, held_out=True),
    "pendulum, lean": Task(
        "safe_pendulum", {"safe_set": "upright", "target_angle": 1.4}, 20_000, held_out=True
    ),
    "cart-pole, rail": Task(
        "safe_cart_pole", {"safe_set": "classic", "x_target": 3.0}, 80_000, held_out=True
    ),
    "arm, limits": Task("safe_arm", {"goal": "limits"}, 1_500_000, held_out=True),
}


def environment(task: Task):
    """The environment of a task, without a safeguard and without disturbances in evaluations."""
    env = sw.envs.get_environment(task.system, **task.options)
    return env, env.with_disturbance("none")


def append(path: Path, rows: list[dict]) -> None:
    """Adds rows to a table, of which the first row names the columns."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def train(name: str, safeguard: str, seeds: range, scale: float, keys: jax.Array) -> list[dict]:
    """One row for each seed."""
    task, start = TASKS[name], time.time()
    env, calm = environment(task)
    guarded, quiet = (sw.SafeguardWrapper(e, SAFEGUARDS[safeguard]) for e in (env, calm))
    interactions = int(scale * task.interactions)
    many = shac.train_many(guarded, interactions, STEPS, seeds=seeds, run_evals=False)

    def policy(params, state, key):
        return many.make_policy(params, deterministic=True)(state.obs, key)[0]

    evaluation, rows = Evaluation(quiet, {"trained": policy}, keys, STEPS), []
    for i, run in enumerate(many.runs):
        params = jax.tree.map(lambda part, i=i: part[i], many.params)
        episodes = evaluation("trained", {"trained": params})
        numbers = episodes.metrics()
        training = {key: float(np.asarray(value)[i]) for key, value in many.metrics.items()}
        rows.append(
            {
                "task": name,
                "held_out": int(task.held_out),
                "safeguard": safeguard,
                "seed": run["seed"],
                "interactions": interactions,
                "return": round(float(episodes.returns.mean()), 4),
                "exits": numbers["eval/violations"],
                "fallbacks": numbers["eval/fallbacks"],
                "interventions_per_step": round(numbers["eval/interventions_per_step"], 4),
                "training_exits": int(training["training/violations"]),
                "training_fallbacks": int(training["training/fallbacks"]),
                "seconds": round(time.time() - start, 1),
            }
        )
    return rows


def reference(name: str, keys: jax.Array, iterations: int) -> dict:
    """What trajectories reach and what no policy exceeds, on the same episodes."""
    task, start = TASKS[name], time.time()
    env, calm = environment(task)

    def along_the_way(state):
        heading = state.obs[10:12]
        return jnp.where(
            state.obs[12] < 0.15, state.obs[2:4] * 10, heading / jnp.abs(heading).max()
        )

    starts = {"along the way": along_the_way} if task.system == "safe_seeker" else {}
    optimum = constrained_optimum(env, keys, STEPS, policies=starts, iterations=iterations)
    regulator = ""
    try:
        controller, guarded = lqr(calm), sw.SafeguardWrapper(calm, SAFEGUARDS["BP"])
        evaluation = Evaluation(guarded, {"lqr": lqr_policy(calm)}, keys, STEPS)
        regulator = round(float(evaluation("lqr", {"lqr": controller}).returns.mean()), 4)
    except sw.evaluation.NoRegulator:
        pass
    return {
        "task": name,
        "episodes": len(keys),
        "found": round(float(optimum.returns.mean()), 4),
        "bound": round(float(optimum.bound.mean()), 4),
        "lqr": regulator,
        "by_start": " ".join(f"{k}:{v.mean():.4f}" for k, v in optimum.by_start.items()),
        "no_bound": optimum.no_bound or "",
        "seconds": round(time.time() - start, 1),
    }


def main() -> None:
    """Runs one job."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--list", action="store_true", help="name the tasks and the safeguards")
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--safeguard", choices=SAFEGUARDS, default="BP")
    parser.add_argument("--reference", action="store_true", help="the optimum instead of trainings")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=300, help="of trajectory optimisation")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the interactions")
    parser.add_argument("--folder", type=Path, default=Path("binding_tasks"))
    options = parser.parse_args()
    if options.list or options.task is None:
        print("tasks:", *TASKS, sep="\n  ")
        print("safeguards:", *SAFEGUARDS, sep="\n  ")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    # Episodes that no training or choice of settings has seen.
    keys = episode_keys(options.episodes, seed=1)
    if options.reference:
        row = reference(options.task, keys, options.iterations)
        append(options.folder / "references.csv", [row])
        print(row)
        return
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    rows = train(options.task, options.safeguard, seeds, options.scale, keys)
    append(options.folder / "runs.csv", rows)
    returns = [row["return"] for row in rows]
    print(options.task, options.safeguard, "returns", min(returns), "to", max(returns))


if __name__ == "__main__":
    main()
