"""Trainings that are killed at random moments: does the same command still end with the same run?

One training of `safe-wrappers train safe_pendulum` runs to its end. Then others of the same options
are killed with SIGKILL again and again, each time started anew with the same command, and at last
run to their end. Their checkpoints are compared array by array, their metrics.csv, summary.json and
pictures byte by byte; left out is only what is a time, or where it lies.

    python benchmarks/kills.py
    python benchmarks/kills.py --kills 10 --chain 5
"""

import argparse
import collections
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from orbax import checkpoint as ocp

from safe_wrappers.algos.shac import checkpoint
from safe_wrappers.cli import main
from safe_wrappers.evaluation import machine, read_rows, versions, write_json

OPTIONS = (
    *("train", "safe_pendulum", "--num-timesteps", "3200", "--num-evals", "13"),
    *("--num-envs", "8", "--horizon-length", "8", "--episode-length", "60", "--seed", "3"),
)
# Each training is a process of its own, forked from one that has imported everything: what is
# killed is not the import.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["safe_wrappers.cli._train_command"])
# What is measured anew whenever a program runs, or names the folder.
TIMES = {
    "metrics.csv": ("training/sps", "training/walltime"),
    "summary.json": ("compile_seconds", "run_seconds", "options.logdir", "checksum"),
}
PICTURES = ("learning_curve.png", "phase_portrait.png", "episode.gif", "viewer.html")


def train(logdir, said):
    """What runs in such a process: the command line."""
    for stream, path in ((1, os.devnull), (2, said)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.exit(main([*OPTIONS, "--logdir", str(logdir)]))


def start(logdir):
    """Starts the training in a process of its own."""
    said = logdir.with_name("said.txt")
    said.parent.mkdir(exist_ok=True)
    process = PROCESSES.Process(target=train, args=(logdir, said))
    process.start()
    return process


def finish(logdir):
    """Runs to the end. Returns the seconds it took."""
    began = time.monotonic()
    process = start(logdir)
    process.join()
    if process.exitcode:
        said = logdir.with_name("said.txt").read_text()
        raise RuntimeError(f"The training in {logdir} ended with {process.exitcode}: {said}")
    return time.monotonic() - began


def checkpoints(logdir):
    """The names of the checkpoints of a run."""
    return {each.name for each in (logdir / "checkpoints").glob("[0-9]" * 12)}


def writes(logdir):
    """The names of what is being written."""
    folders = (logdir, logdir / "checkpoints")
    return [each.name for folder in folders for each in folder.glob(".incomplete-*")]


def kill(logdir, draw, whole):
    """Starts the training and kills it: at a random moment, while it writes one of its first files
    or checkpoints, or shortly after one of its next checkpoints. Returns in which stage it was, or
    None if it ended before.
    """
    kind = draw.choice(["any moment", "while writing", "after a checkpoint"])
    moment, later = draw.uniform(0.0, 0.8 * whole), draw.uniform(0.0, 0.3)
    which, seen = draw.randint(1, 10), set()
    before, began = checkpoints(logdir), time.monotonic()
    old = set(writes(logdir))  # left by those that were killed before
    process = start(logdir)
    while process.is_alive():
        seen |= set(writes(logdir)) - old
        if kind == "any moment" and time.monotonic() - began >= moment:
            break
        if kind == "while writing" and len(seen) >= which:
            break
        if kind == "after a checkpoint" and len(checkpoints(logdir) - before) > which % 3:
            time.sleep(later)
            break
        time.sleep(0.0005)
    process.kill()
    process.join()
    if process.exitcode != -9:
        return None
    if writes(logdir):
        inside = any((logdir / "checkpoints").glob(".incomplete-*"))
        return "writing a checkpoint" if inside else "writing a file"
    if not (logdir / "options.json").exists():
        return "importing"
    if checkpoints(logdir) == before:
        return "starting or compiling" if not before else "resuming or training"
    last = int(max(checkpoints(logdir)))
    return "making pictures" if last >= 3200 else "training"


def arrays(folder):
    """All arrays of the training state in a checkpoint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for shardings, of which there is one
        stored = ocp.PyTreeCheckpointer().restore(folder / "training_state")
    return [np.asarray(leaf) for leaf in ocp.tree.to_flat_dict(stored).values()]


def summary(logdir):
    """summary.json without what is measured anew."""
    content = json.loads((logdir / "summary.json").read_text())
    for name in TIMES["summary.json"]:
        *inner, last = name.split(".")
        inside = content
        for key in inner:
            inside = inside[key]
        del inside[last]
    return content


def rows(logdir):
    """The rows of metrics.csv without what is measured anew."""
    return [
        {name: value for name, value in row.items() if name not in TIMES["metrics.csv"]}
        for row in read_rows(logdir / "metrics.csv")
    ]


def history(logdir):
    """The evaluations in the newest checkpoint without what is measured anew."""
    left_out = ("training/sps", "training/walltime", "training/compile_time")
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for row in checkpoint.load_history(logdir / "checkpoints")
    ]


def differences(logdir, reference):
    """What is not equal, as a list of names; empty if nothing is."""
    found = []
    if checkpoints(logdir) != checkpoints(reference):
        found.append("checkpoints that are kept")
    for name in sorted(checkpoints(logdir) & checkpoints(reference)):
        a, b = (arrays(each / "checkpoints" / name) for each in (logdir, reference))
        if len(a) != len(b) or any(
            x.dtype != y.dtype or x.tobytes() != y.tobytes() for x, y in zip(a, b, strict=True)
        ):
            found.append(f"arrays of {name}")
    for name, view in (("metrics.csv", rows), ("summary.json", summary), ("history", history)):
        if view(logdir) != view(reference):
            found.append(name)
    for name in PICTURES:
        if (logdir / name).read_bytes() != (reference / name).read_bytes():
            found.append(name)
    return found + [f"left over: {name}" for name in writes(logdir)]


def measure():
    """Kills, compares and writes what was found. Returns 1 if a run differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--chain", type=int, default=20, help="kills of one run before it ends")
    parser.add_argument("--minutes", type=float, default=1e9, help="after which it kills no more")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/kills.json"))
    given = parser.parse_args()
    draw = random.Random(given.seed)
    stages, chains, ended, done = collections.Counter(), [], 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ |= {"XDG_CACHE_HOME": str(root / "caches"), "MPLBACKEND": "Agg"}
        reference = root / "whole" / "reference"
        finish(reference)  # compiles
        shutil.rmtree(reference)
        whole = finish(reference)
        until = time.monotonic() + 60 * given.minutes
        # The pictures are titled by the options alone, so every run lies under the same name.
        while done < given.kills and time.monotonic() < until:
            logdir = root / f"chain-{len(chains)}" / "reference"
            killed = 0
            while killed < given.chain and done < given.kills and time.monotonic() < until:
                stage = kill(logdir, draw, whole)
                if stage is None:  # it was quicker than the kill; a finished run is not started
                    ended += 1
                    break
                stages[stage] += 1
                killed, done = killed + 1, done + 1
                print(f"{time.strftime('%X')} {done} of {given.kills}: while {stage}", flush=True)
            if not (logdir / "summary.json").exists():
                finish(logdir)
            different = differences(logdir, reference)
            chains.append({"kills": killed, "different": different})
            print(f"chain of {killed} kills: different: {different or 'nothing'}", flush=True)
            shutil.rmtree(logdir.parent)
        write_json(
            given.output,
            {
                "options": " ".join(OPTIONS),
                "kills": done,
                "ended_before_they_were_killed": ended,
                "stages": dict(stages),
                "chains": chains,
                "chains_that_differ": sum(bool(chain["different"]) for chain in chains),
                "compared": "training_state of every kept checkpoint, bit for bit; history.json; "
                "metrics.csv; summary.json; pictures, byte for byte; what is left over",
                "not_compared": {
                    **{name: list(left_out) for name, left_out in TIMES.items()},
                    "history.json": ["training/sps", "training/walltime", "training/compile_time"],
                },
                "seconds_of_an_uninterrupted_run": round(whole, 1),
                "versions": versions(),
                "machine": machine(),
            },
        )
    return int(any(chain["different"] for chain in chains))


if __name__ == "__main__":
    sys.exit(measure())
