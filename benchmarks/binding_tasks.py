"""How good SHAC is where safety binds, and with the recipes of all bundled systems: many seeds of
each task behind several safeguards, and the constrained optimum of the same episodes.

One job is one task behind one safeguard; its trainings are one program. With --reference it goes on
with the constrained optimum, to which the best of its policies is one of the starts. Each job
writes its own tables into --folder; --table puts all of them together, into benchmarks/results and
into the page docs/where_safety_binds.md.

    python benchmarks/binding_tasks.py --list
    python benchmarks/binding_tasks.py --task "cart-pole, rail" --safeguard BP --reference
    python benchmarks/binding_tasks.py --table

Episodes have 240 steps without disturbances; trainings have them. exits and fallbacks count over
the evaluation, training_exits and training_fallbacks over the training.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from marked import between

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.evaluation import Evaluation, constrained_optimum, episode_keys, lqr, lqr_policy

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "where_safety_binds.md"
BEGIN, END = "<!-- made by benchmarks/binding_tasks.py -->", "<!-- end -->"
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
        held_out: "task" if no setting of the library was chosen on it; "seeds" if some were, with
            other seeds and episodes than these; else "no".
    """

    system: str
    options: dict
    interactions: int
    held_out: str = "no"


TASKS = {
    # The bundled systems with their recipes.
    "pendulum": Task("safe_pendulum", {}, 40_000),
    "cart-pole": Task("safe_cart_pole", {}, 80_000),
    "quadrotor, start": Task("safe_quadrotor", {}, 80_000),
    "seeker": Task("safe_seeker", {}, 40_000, held_out="seeds"),
    "arm": Task("safe_arm", {}, 1_500_000),
    "quadrotor 3d": Task("safe_quadrotor_3d", {}, 1_200_000),
    # Tasks whose optimum lies on the boundary of the safe set.
    "pendulum, narrow": Task("safe_pendulum", {"safe_set": "narrow", "target_angle": 0.8}, 20_000),
    "quadrotor, far": Task("safe_quadrotor", {"goal": "far"}, 160_000, held_out="seeds"),
    "pendulum, lean": Task(
        "safe_pendulum", {"safe_set": "upright", "target_angle": 1.4}, 20_000, held_out="task"
    ),
    "cart-pole, rail": Task(
        "safe_cart_pole", {"safe_set": "classic", "x_target": 3.0}, 80_000, held_out="task"
    ),
    "arm, limits": Task("safe_arm", {"goal": "limits"}, 1_500_000, held_out="task"),
}


def environment(task: Task):
    """The environment of a task, without a safeguard and without disturbances in evaluations."""
    env = sw.envs.get_environment(task.system, **task.options)
    return env, env.with_disturbance("none")


def write(path: Path, rows: list[dict]) -> None:
    """A table, of which the first row names the columns."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(paths) -> list[dict]:
    """The rows of several tables."""
    rows = []
    for path in paths:
        with path.open(newline="") as file:
            rows += csv.DictReader(file)
    return rows


def train(name: str, safeguard: str, seeds: range, scale: float, keys: jax.Array):
    """One row for each seed, and the best policy: state -> action."""
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
                "held_out": task.held_out,
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
    best = int(np.argmax([row["return"] for row in rows]))
    params = jax.tree.map(lambda part: part[best], many.params)
    return rows, lambda state: policy(params, state, jax.random.PRNGKey(0))


def reference(name: str, keys: jax.Array, iterations: int, trained) -> dict:
    """What trajectories reach and what no policy exceeds, on the same episodes."""
    task, start = TASKS[name], time.time()
    env, calm = environment(task)

    def along_the_way(state):
        heading = state.obs[10:12]
        return jnp.where(
            state.obs[12] < 0.15, state.obs[2:4] * 10, heading / jnp.abs(heading).max()
        )

    def proportional(state):
        q, speed, goal = jnp.split(state.obs, 3)
        return 8 * (goal - q) - 2 * speed

    starts = {
        "safe_seeker": {"along the way": along_the_way},
        "safe_arm": {"proportional": proportional},
    }.get(task.system, {})
    starts = {**starts, "trained": trained}
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
        "by_start": json.dumps({k: round(float(v.mean()), 4) for k, v in optimum.by_start.items()}),
        "no_bound": optimum.no_bound or "",
        "seconds": round(time.time() - start, 1),
    }


def table(runs: list[dict], references: list[dict]) -> str:
    """Markdown: a row for each task and safeguard."""
    best = {row["task"]: row for row in references}
    lines = [
        "| task | held out | safeguard | seeds | return, median and worst | best known | no policy "
        "exceeds | gap to the best known, median and worst | stuck | exits, fallbacks |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in runs:
        groups.setdefault((row["task"], row["safeguard"]), []).append(row)
    for (task, safeguard), rows in sorted(groups.items(), key=lambda g: list(TASKS).index(g[0][0])):
        returns = np.array([float(row["return"]) for row in rows])
        optimum = best.get(task)
        found, bound, gap, stuck = "", "", "", ""
        if optimum:
            known = max(
                float(optimum["found"]), *(float(r["return"]) for r in runs if r["task"] == task)
            )
            gaps = 100 * (known - returns) / abs(known)
            found = f"{known:,.2f}"
            bound = (
                f"{float(optimum['bound']):,.2f}" if np.isfinite(float(optimum["bound"])) else "-"
            )
            gap, stuck = f"{np.median(gaps):.2f} %, {gaps.max():.2f} %", f"{(gaps > 25).sum()}"
        exits, fallbacks = (
            sum(int(float(row[name])) for row in rows for name in names)
            for names in (("exits", "training_exits"), ("fallbacks", "training_fallbacks"))
        )
        lines.append(
            f"| {task} | {TASKS[task].held_out} | {safeguard} | {len(rows)} | "
            f"{np.median(returns):,.2f}, {returns.min():,.2f} | {found} | {bound} | {gap} | "
            f"{stuck} | {exits}, {fallbacks} |"
        )
    return "\n".join(lines)


def publish(folder: Path) -> None:
    """All tables of a folder as two in benchmarks/results, and as one in the page."""
    for kind in ("runs", "reference"):
        rows = read(sorted(folder.glob(f"{kind}, *.csv")))
        if rows:
            write(RESULTS / f"binding_tasks_{kind}.csv", rows)
    parts = [read([RESULTS / f"binding_tasks_{kind}.csv"]) for kind in ("runs", "reference")]
    block = f"{BEGIN}\n\n{table(*parts)}\n\n{END}"
    PAGE.write_text(between(PAGE.read_text(), BEGIN, END, block))


def main() -> None:
    """Runs one job, or makes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--list", action="store_true", help="name the tasks and the safeguards")
    parser.add_argument("--table", action="store_true", help="make the tables of all jobs")
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--safeguard", choices=SAFEGUARDS, default="BP")
    parser.add_argument("--reference", action="store_true", help="the optimum, after the trainings")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=300, help="of trajectory optimisation")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the interactions")
    parser.add_argument("--folder", type=Path, default=Path("binding_tasks"))
    options = parser.parse_args()
    if options.table:
        publish(options.folder)
        return
    if options.list or options.task is None:
        print("tasks:", *TASKS, sep="\n  ")
        print("safeguards:", *SAFEGUARDS, sep="\n  ")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    # Episodes that no training or choice of settings has seen.
    keys = episode_keys(options.episodes, seed=1)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    rows, best = train(options.task, options.safeguard, seeds, options.scale, keys)
    job = f"{options.task}, {options.safeguard}, {options.first_seed}"
    write(options.folder / f"runs, {job}.csv", rows)
    returns = [row["return"] for row in rows]
    print(options.task, options.safeguard, "returns", min(returns), "to", max(returns), flush=True)
    if options.reference:
        row = reference(options.task, keys, options.iterations, best)
        write(options.folder / f"reference, {options.task}.csv", [row])
        print(row)


if __name__ == "__main__":
    main()
