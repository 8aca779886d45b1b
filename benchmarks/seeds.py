"""What many seeds cost beside one, and how long the pendulum takes to learn, with the defaults.

Times are of compiled programs, evaluation of 128 episodes included; the cold start is a new process
with an empty cache, from `import` to the trained policy's return.

    python benchmarks/seeds.py
    python benchmarks/seeds.py --seeds 2 --interactions 640 --no-cold-start
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import jax

import safe_wrappers as sw
from safe_wrappers.algos import shac

COLD = """
import safe_wrappers as sw
env = sw.SafeguardWrapper(sw.envs.get_environment("safe_pendulum"), sw.BoundaryProjection())
_, _, metrics = sw.algos.shac.train(env, 20_000, 240)
print("return", metrics["eval/episode_reward"], "exits", metrics["training/violations"])
"""


def seconds(train, interactions, **options):
    """Seconds for so many interactions and one evaluation: the median of three such parts of one
    training, after a first one that compiles; and those of the training alone.
    """
    reports = []
    train(
        interactions * 4,
        num_evals=5,
        progress_fn=lambda _, metrics: reports.append((time.perf_counter(), metrics)),
        **options,
    )
    both = [later[0] - earlier[0] for earlier, later in itertools.pairwise(reports[1:])]
    walltimes = [shared_number(metrics["training/walltime"]) for _, metrics in reports[1:]]
    alone = [later - earlier for earlier, later in itertools.pairwise(walltimes)]
    return statistics.median(both), statistics.median(alone)


def shared_number(value):
    """One number of a metric that all runs have in common."""
    return float(value[0]) if getattr(value, "ndim", 0) else float(value)


def main():
    """Prints a line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--interactions", type=int, default=20_000)
    parser.add_argument("--no-cold-start", action="store_true")
    args = parser.parse_args()

    warnings.simplefilter("ignore", shac.TrainingHint)
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count()
    print(f"{jax.devices()[0].device_kind}, {cores} processors, jax {jax.__version__}", flush=True)
    env = sw.SafeguardWrapper(sw.envs.get_environment("safe_pendulum"), sw.BoundaryProjection())

    def one(interactions, **options):
        shac.train(env, interactions, 240, **options)

    def many(interactions, **options):
        shac.train_many(env, interactions, 240, seeds=range(args.seeds), **options)

    first, first_alone = seconds(one, args.interactions)
    print(
        f"1 seed, {args.interactions:,}: {first:.2f} s (training {first_alone:.2f} s)", flush=True
    )
    all_, all_alone = seconds(many, args.interactions)
    print(
        f"{args.seeds} seeds: {all_:.2f} s (training {all_alone:.2f} s), "
        f"{all_ / first:.2f} x one (training {all_alone / first_alone:.2f} x)",
        flush=True,
    )
    twice, _ = seconds(one, 2 * args.interactions)
    print(f"1 seed, {2 * args.interactions:,}: {twice:.2f} s", flush=True)
    if not args.no_cold_start:
        with tempfile.TemporaryDirectory() as empty:
            environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": empty}
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", COLD],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
        print(f"cold start: {time.perf_counter() - start:.1f} s, {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
