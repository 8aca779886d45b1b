"""What many seeds cost beside one, and how long the pendulum takes to learn, with the defaults.

Times are of compiled programs, evaluation of 128 episodes included; the cold start is a new process
with an empty cache, from `import` to the trained policy's return.

    python benchmarks/seeds.py
    python benchmarks/seeds.py --seeds 2 --interactions 640 --no-cold-start
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from typing import NamedTuple

import jax

import safe_wrappers as sw
from safe_wrappers.algos import shac

COLD = """
import safe_wrappers as sw
env = sw.SafeguardWrapper(sw.envs.get_environment("safe_pendulum"), sw.BoundaryProjection())
_, _, metrics = sw.algos.shac.train(env, 20_000, 240)
print("return", metrics["eval/episode_reward"], "exits", metrics["training/violations"])
"""


class Cost(NamedTuple):
    """Seconds of one part of a training: wall time, that of the training alone, processor time."""

    wall: float
    alone: float
    processor: float

    def __str__(self) -> str:
        return (
            f"{self.wall:.2f} s (training {self.alone:.2f} s), {self.processor:.2f} s of processors"
        )


def cost(train, interactions, **options):
    """What so many interactions and one evaluation cost: the least of three such parts of one
    training, after a first one that compiles. Other work on the machine only adds.
    """
    reports = []
    train(
        interactions * 4,
        num_evals=5,
        progress_fn=lambda _, metrics: reports.append(
            (
                time.perf_counter(),
                shared_number(metrics.get("training/walltime", 0.0)),
                time.process_time(),
            )
        ),
        **options,
    )
    parts = zip(*itertools.starmap(differences, itertools.pairwise(reports[1:])), strict=True)
    return Cost(*map(min, parts))


def differences(earlier, later):
    """By how much each number grew."""
    return [b - a for a, b in zip(earlier, later, strict=True)]


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

    first = cost(one, args.interactions)
    print(f"1 seed, {args.interactions:,}: {first}", flush=True)
    all_ = cost(many, args.interactions)
    ratios = [b / a for a, b in zip(first, all_, strict=True)]
    print(
        f"{args.seeds} seeds: {all_}; {ratios[0]:.2f} x one (training {ratios[1]:.2f} x, "
        f"processors {ratios[2]:.2f} x, that is {ratios[2] / cores:.2f} x on each)",
        flush=True,
    )
    if not args.no_cold_start:
        with tempfile.TemporaryDirectory() as empty:
            environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": empty}
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [sys.executable, "-c", COLD],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"cold start: {wall:.1f} s, {used:.1f} s of processors, {done.stdout.strip()}",
            flush=True,
        )


if __name__ == "__main__":
    main()
