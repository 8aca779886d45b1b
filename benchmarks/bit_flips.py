"""Single bits are flipped in the files of runs and of certificates: is each flip noticed, or
without effect?

After each flip the run is read as `evaluate`, `export` and a resumed `train` read it: options,
which checkpoint, its evaluations, summary, policy. The result must be that of the whole run, or an
error of one line that names the file and says what to do, or the checkpoint before with a line that
says so and names the file. A certificate must be refused by a `CertificateError`, or be equal.

    python benchmarks/bit_flips.py
    python benchmarks/bit_flips.py --flips 100
"""

import argparse
import collections
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import jax
import numpy as np

import safe_wrappers as sw
from safe_wrappers.algos.shac import checkpoint
from safe_wrappers.cli import main
from safe_wrappers.cli._run_folder import RunFolder
from safe_wrappers.cli._usage import UsageError
from safe_wrappers.evaluation import machine, versions, write_json
from safe_wrappers.plots import learning_curve

OPTIONS = (
    *("train", "safe_pendulum", "--num-timesteps", "96", "--num-evals", "4"),
    *("--num-envs", "4", "--horizon-length", "4", "--episode-length", "16", "--seed", "5"),
)
CERTIFICATES = [
    (system, name)
    for system in ("safe_pendulum", "safe_cart_pole", "safe_quadrotor")
    for name in sw.envs.certificate_names(system)
]
REMEDIES = ("give ", "put back", "delete", "can be", "train on")


def interrupted(finished, folder):
    """A copy of a finished run, as it was before its last evaluation."""
    shutil.copytree(finished, folder)
    (folder / "summary.json").unlink()
    shutil.rmtree(max((folder / "checkpoints").glob("[0-9]" * 12)))
    return folder


def read(folder):
    """What the commands read of a run, by what reads it: a value, or an error."""
    run = RunFolder(folder)

    def policy():
        found = run.checkpoint("last")
        arrays = jax.tree.leaves(checkpoint.load(found))
        return found.name, [np.asarray(leaf).tobytes() for leaf in arrays]

    def resumed():
        with run.for_training(run.options(), run._stored()[1]) as before:
            found = run.newest_checkpoint(otherwise="the training starts anew.")
            return before, None if found is None else checkpoint.load_history(found)

    def curve():
        (line, *yardstick) = learning_curve(folder).axes[0].get_lines()
        return line.get_xydata().tolist(), [list(each.get_ydata()) for each in yardstick]

    return {
        name: outcome(reader)
        for name, reader in {
            "options": lambda: repr(run._stored()),
            "evaluate, export": policy,
            "best": lambda: run.checkpoint("best").name,
            "train": resumed,
            "learning_curve": curve,
        }.items()
    }


def outcome(reader):
    """(what was read, None, what was said), or (None, the error, what was said)."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            value, error = reader(), None
        except Exception as caught:
            value, error = None, caught
    return value, error, said.getvalue() + "".join(str(each.message) for each in warned)


def judged(found, expected, file):
    """What came of a flip in a file: the worst of what each reader made of it."""
    kinds = ["equal"]
    for name, (value, error, said) in found.items():
        right, right_error, _ = expected[name]
        if error is None and right_error is None and value == right:
            kinds.append("equal")
        elif error is not None and right_error is not None and str(error) == str(right_error):
            kinds.append("equal")
        elif error is not None:
            text = str(error)
            known = isinstance(error, UsageError | ValueError)
            names = file.name in text or all(part in text for part in file.parts[-2:])
            clear = known and "\n" not in text and names and any(r in text for r in REMEDIES)
            kinds.append("refused" if clear else f"unclear: {name}: {type(error).__name__}: {text}")
        elif file.name in said and said.count("\n") <= 2:
            kinds.append("the checkpoint before")
        else:
            kinds.append(f"silent: {name}: {file}")
    order = ("equal", "the checkpoint before", "refused")
    return max(kinds, key=lambda kind: order.index(kind) if kind in order else len(order))


@contextlib.contextmanager
def flipped(path, draw):
    """Flips a random bit of a file, for as long as the block runs."""
    content = path.read_bytes()
    damaged = bytearray(content)
    at = draw.randrange(8 * len(content))
    damaged[at // 8] ^= 1 << at % 8
    path.write_bytes(damaged)
    try:
        yield
    finally:
        path.write_bytes(content)


def flips_of_a_run(folder, draw, number):
    """Flips bits of a run, in each file beside the checkpoints and in each checkpoint as often.
    Returns a count of what came of them.
    """
    expected = read(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > 0)
    groups = collections.defaultdict(list)
    for path in files:
        parts = path.relative_to(folder).parts
        groups[parts[:2] if parts[0] == "checkpoints" else parts[:1]].append(path)
    names = sorted(groups)
    whole = {path: path.read_bytes() for path in files}
    counts = collections.Counter()
    for i in range(number):
        path = draw.choice(groups[names[i % len(names)]])
        with flipped(path, draw):
            counts[judged(read(folder), expected, path.relative_to(folder))] += 1
        for each, content in whole.items():  # a resumed run writes its options anew
            if not each.exists() or each.read_bytes() != content:
                each.write_bytes(content)
    return counts


def flips_of_certificates(folder, draw, number):
    """Flips bits of shipped certificates. Returns a count of what came of them."""
    counts = collections.Counter()
    path, again = folder / "certificate.json", folder / "again.json"
    for i in range(number):
        system, name = CERTIFICATES[i % len(CERTIFICATES)]
        sw.envs.load_certificate(system, name).save(path)
        content = path.read_bytes()
        with flipped(path, draw):
            try:
                sw.envs.load_certificate(system, str(path)).save(again)
                counts["equal" if again.read_bytes() == content else f"silent: {name}"] += 1
            except sw.CertificateError as error:
                clear = str(path) in str(error) and "\n" not in str(error)
                counts["refused" if clear else f"unclear: {error}"] += 1
            except Exception as error:
                counts[f"unclear: {type(error).__name__}: {error}"] += 1
    return counts


def measure():
    """Flips, and writes what was found. Returns 1 if a flip was not noticed as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/bit_flips.json"))
    given = parser.parse_args()
    draw = random.Random(given.seed)
    os.environ["MPLBACKEND"] = "Agg"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        if main([*OPTIONS, "--logdir", str(root / "finished")]):
            raise RuntimeError("The training failed.")
        counts = {"certificates": flips_of_certificates(root, draw, given.flips)}
        halted = interrupted(root / "finished", root / "interrupted")
        counts["interrupted run"] = flips_of_a_run(halted, draw, given.flips // 2)
        counts["finished run"] = flips_of_a_run(root / "finished", draw, given.flips // 2)
    print(json.dumps(counts, indent=2))
    write_json(given.output, {**counts, "versions": versions(), "machine": machine()})
    good = {"equal", "refused", "the checkpoint before"}
    return int(any(set(each) - good for each in counts.values()))


if __name__ == "__main__":
    sys.exit(measure())
