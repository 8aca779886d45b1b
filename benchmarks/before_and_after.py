"""The rows of throughput.py and projection.py with two checkouts of this library, side by side.

Each checkout has a process of its own, which compiles a row and waits. Then both run it in turn, so
that a drift of the machine's speed, and other work on it, meet both alike; the ratio of the medians
of their processor times is what counts.

    git worktree add --detach ../before 33a9782^  # for example
    taskset -c 0 python benchmarks/before_and_after.py ../before
    taskset -c 0 python benchmarks/before_and_after.py ../before --systems safe_quadrotor
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]
BARE = "no safeguard"


def work():
    """A process of one checkout: reads a row, answers when it is compiled, then runs it whenever it
    is told to and answers with the processor seconds of a step, or of a projection.
    """
    import numpy as np
    import projection
    import throughput

    import safe_wrappers as sw

    for line in sys.stdin:
        row = json.loads(line)
        if "system" in row:
            env = sw.envs.get_environment(row["system"])
            if row["safeguard"] != BARE:
                env = sw.SafeguardWrapper(env, throughput.SAFEGUARDS[row["safeguard"]])
            run = throughput.gradient_of_a_rollout(env, row["envs"])
            parts = row["envs"] * throughput.STEPS
        else:
            rng = np.random.default_rng(0)
            problems = projection.random_problems(rng, row["batch"], row["actions"], row["rows"])
            run = projection.gradient("safe_wrappers", problems)
            parts = row["batch"]
        run()
        answer(0.0)
        while sys.stdin.readline().strip() == "run":
            start = time.process_time()
            run()
            answer((time.process_time() - start) / parts)


def answer(seconds):
    """One number to the other end."""
    print(json.dumps(seconds), flush=True)


class Checkout:
    """The process of one checkout."""

    def __init__(self, path):
        here = str(ROOT / "benchmarks")
        paths = os.pathsep.join([str(path), here])
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(path), "--work"],
            env={**os.environ, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, line):
        """Sends a line and waits for its number."""
        self.send(line)
        return float(self._process.stdout.readline())

    def send(self, line):
        """Sends a line that nothing answers."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def rows(options):
    """What is compared."""
    safeguards = [BARE, *options.safeguards]
    for system, envs, name in itertools.product(options.systems, options.envs, safeguards):
        yield {"system": system, "safeguard": name, "envs": envs}
    for actions, batch in itertools.product(options.actions, options.batch):
        yield {"actions": actions, "rows": options.rows, "batch": batch}


def main():
    """Prints a row of a Markdown table for each program: nanoseconds for a step or a projection."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=pathlib.Path, help="the folder of the other checkout")
    parser.add_argument("--systems", nargs="*", default=["safe_pendulum", "safe_cart_pole"])
    named = ["boundary_projection", "ray_mask", "gauge_map", "replacement"]
    parser.add_argument("--safeguards", nargs="*", default=named)
    parser.add_argument("--envs", nargs="+", type=int, default=[64, 4096])
    parser.add_argument("--actions", nargs="*", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--rows", type=int, default=28)
    parser.add_argument("--batch", nargs="+", type=int, default=[256])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    checkouts = [Checkout(options.before.resolve()), Checkout(ROOT)]
    print(f"{platform.machine()}, {platform.system()}\n")
    print("| program | batch | before, ns | after, ns | after / before |\n|---|---|---|---|---|")
    for row in rows(options):
        for checkout in checkouts:
            checkout(json.dumps(row))
        seconds = [[checkout("run") for checkout in checkouts] for _ in range(options.repeats)]
        for checkout in checkouts:
            checkout.send("next")
        before, after = (1e9 * statistics.median(each) for each in zip(*seconds, strict=True))
        name = (
            f"{row['system']}, {row['safeguard']}"
            if "system" in row
            else f"projection, {row['actions']} actions, {row['rows']} rows"
        )
        batch = row["envs"] if "system" in row else row["batch"]
        print(
            f"| {name} | {batch:,} | {before:,.0f} | {after:,.0f} | {after / before:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
