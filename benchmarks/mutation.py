"""Would the tests notice? Mutants of the library's source, and how many of them the tests kill.

A mutant is the source with one thing wrong (see `mutator/mutants.py`): a comparison turned, an
operator exchanged, a check dropped. Its tests run until one fails; if none does, it survives.
Survivors are gaps of the tests, or equivalent: no input tells them from the original. Those are
listed with the reason in `mutator/equivalents.json`, by their code and not by their lines.

    python benchmarks/mutation.py --count 200
    python benchmarks/mutation.py --count 200 --only safeguards/_base.py
    python benchmarks/mutation.py --again  # survivors meet the tests as they are now

Works in a copy of the repository in a temporary folder, and with one process. All that was run is
in the log, a file of JSON lines, and is not run again; so it can be interrupted at any time. JAX's
compiled programs are kept beside the log: what a program is found by is its content, so that no
mutant gets the program of another.

The result is a file with the numbers, of which `score` is the share of killed mutants among those
that are not equivalent; `score_before` counts what the tests said when each mutant was first run.
"""

import argparse
import compileall
import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mutator import fork_server, plan
from mutator.mutants import Mutant

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENTS = ROOT / "benchmarks" / "mutator" / "equivalents.json"
RESULT = ROOT / "benchmarks" / "results" / "mutation.json"
CPU_LIMIT = 60.0  # seconds of one test; they take at most about 20
LEFT_OUT = (".git", ".venv", ".*_cache", "build", "dist", "runs", "site", "shared")

Key = tuple[str, str, str, str]


def key_of(entry: dict[str, Any]) -> Key:
    """What identifies a mutant, of an entry of the log or of the list of equivalents."""
    return entry["file"], entry["scope"], entry["before"], entry["after"]


class Log:
    """What was run so far, as a file of JSON lines: mutants, and tests without a mutant."""

    def __init__(self, path: Path):
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        entries = [json.loads(line) for line in lines]
        self.runs = [entry for entry in entries if "file" in entry]
        self.sound = {(e["test"], e["digest"]) for e in entries if "test" in e}

    def add(self, entry: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if "file" in entry:
            self.runs.append(entry)
        else:
            self.sound.add((entry["test"], entry["digest"]))

    def first(self) -> dict[Key, dict[str, Any]]:
        """The first run of each mutant."""
        return {key_of(entry): entry for entry in reversed(self.runs)}

    def last(self) -> dict[Key, dict[str, Any]]:
        """The last run of each mutant."""
        return {key_of(entry): entry for entry in self.runs}


class Trial:
    """Runs mutants in a copy of the repository."""

    def __init__(self, tree: Path, log: Log, budget: float, show: bool):
        self.tree, self.log, self.budget, self.show = tree, log, budget, show
        self.durations: dict[str, float] = {}
        for entry in log.runs:
            self.durations |= entry.get("durations", {})

    def run(self, file: str, mutant: Mutant) -> dict[str, Any]:
        """Runs a mutant's tests, those first that killed others of its file, then the quick ones,
        and logs what became of it.

        Raises:
            RuntimeError: If a test that fails also fails without the mutant.
        """
        tests = plan.matching_tests(file, ROOT)
        kills = Counter(entry["by"] for entry in self.log.runs if entry["file"] == file)

        totals: defaultdict[str, float] = defaultdict(float)
        for test, seconds in self.durations.items():
            totals[test.split("::")[0]] += seconds

        def first(test: str) -> tuple[float, float, int, float]:
            test_file = test.split("::")[0]
            order = (totals[test_file], tests.index(test_file))
            return -kills[test], *order, self.durations.get(test, 0.0)

        path = self.tree / "safe_wrappers" / file
        original, times = path.read_text(), path.stat()
        path.write_text(mutant.source)
        try:
            result = self._tests(tests, first, self.budget)
        finally:
            path.write_text(original)
            # The compiled file of the original counts by its time.
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.durations |= result.durations
        if "::" in result.failed:
            self._require_sound(result.failed)
        entry = {
            "file": file,
            "scope": mutant.scope,
            "kind": mutant.kind,
            "before": mutant.before,
            "after": mutant.after,
            "outcome": "survived" if result.passed else "timeout" if result.timed_out else "killed",
            "by": result.failed,
            "cpu_seconds": round(result.cpu_seconds, 1),
            "left_out": result.left_out,
            "durations": result.durations,
        }
        self.log.add(entry)
        return entry

    def _require_sound(self, test: str) -> None:
        """Raises if a test fails without a mutant; runs it once for each content of its file."""
        file = self.tree / test.split("::")[0]
        entry = {"test": test, "digest": hashlib.sha256(file.read_bytes()).hexdigest()}
        if (entry["test"], entry["digest"]) in self.log.sound:
            return
        if not self._tests([test], lambda test: 0, math.inf).passed:
            raise RuntimeError(f"{test} fails without any mutant.")
        self.log.add(entry)

    def _tests(
        self, tests: list[str], first: Callable[[str], Any], budget: float
    ) -> fork_server.Result:
        return fork_server.run_tests(
            self.tree, tests, first=first, cpu_limit=CPU_LIMIT, budget=budget, show=self.show
        )


def summary(
    mutants: dict[str, list[Mutant]],
    order: Iterable[tuple[str, Mutant]],
    log: Log,
    equivalents: set[Key],
    seed: int,
) -> dict[str, Any]:
    """The numbers of the mutants that were run, or are known to be equivalent."""
    first, last = log.first(), log.last()
    per_file: dict[str, Counter[str]] = {file: Counter() for file in mutants}
    before: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    timeouts, survivors = [], []
    for file, mutant in order:
        key = (file, mutant.scope, mutant.before, mutant.after)
        if key not in last and key not in equivalents:
            continue

        def verdict(entry: dict[str, Any] | None, key: Key = key) -> str:
            if entry is not None and entry["outcome"] != "survived":
                return "killed"
            return "equivalent" if key in equivalents else "survived"

        now = verdict(last.get(key))
        before[verdict(first.get(key))] += 1
        per_file[file][now] += 1
        kinds.setdefault(mutant.kind, Counter())[now] += 1
        what = {"file": file, "scope": mutant.scope, "before": mutant.before, "after": mutant.after}
        if now == "survived":
            survivors.append(what)
        elif key in last and last[key]["outcome"] == "timeout":
            timeouts.append(what)

    def counts(found: Counter[str]) -> dict[str, int]:
        names = ("killed", "survived", "equivalent")
        return {"sampled": found.total()} | {name: found[name] for name in names}

    total = Counter[str]()
    for found in per_file.values():
        total.update(found)
    return {
        "sites": sum(map(len, mutants.values())),
        **counts(total),
        "score": _score(total),
        "score_before": _score(before),
        "seed": seed,
        "survivors": survivors,
        "timeouts": timeouts,
        "kinds": {kind: counts(found) for kind, found in sorted(kinds.items())},
        "files": {
            file: {"sites": len(mutants[file])} | counts(found) for file, found in per_file.items()
        },
    }


def _score(counts: Counter[str]) -> float | None:
    judged = counts["killed"] + counts["survived"]
    return round(counts["killed"] / judged, 4) if judged else None


def _prepare(cache: Path, tree: Path) -> None:
    """Copies the repository to `tree` and imports what it needs."""
    shutil.copytree(
        ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True
    )
    compileall.compile_dir(tree / "safe_wrappers", quiet=2)
    cache.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": str(cache.resolve()),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
        "JAX_PLATFORMS": "cpu",
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    sys.dont_write_bytecode = True
    fork_server.import_heavy_packages(tree)


def main() -> None:
    """Runs mutants and writes the result."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="mutants of the sample; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", nargs="+", default=(), metavar="FILE", help="room/file.py")
    parser.add_argument("--again", action="store_true", help="run only the survivors, once more")
    parser.add_argument(
        "--budget",
        type=float,
        default=300.0,
        help="seconds of CPU time for the tests of a mutant; the quickest come first, and a "
        "survivor says in the log how many were left out",
    )
    parser.add_argument("--log", type=Path, default=ROOT / "runs" / "mutation.jsonl")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--summary", action="store_true", help="run nothing, write the result")
    parser.add_argument("--show", action="store_true", help="show what pytest prints")
    options = parser.parse_args()

    mutants, log = plan.files(ROOT), Log(options.log)
    order = plan.drawn(mutants, options.seed)
    equivalents = {key_of(entry) for entry in json.loads(EQUIVALENTS.read_text())}
    last = log.last()
    chosen = []
    for place, (file, mutant) in enumerate(order):
        key = (file, mutant.scope, mutant.before, mutant.after)
        if key in equivalents or (options.only and file not in options.only):
            continue
        survived = key in last and last[key]["outcome"] == "survived"
        fresh = key not in last and (not options.count or place < options.count)
        if survived if options.again else fresh:
            chosen.append((file, mutant))
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        if chosen and not options.summary:
            tree = Path(folder) / "tree"
            _prepare(options.log.parent / "mutation_programs", tree)
            trial = Trial(tree, log, options.budget, options.show)
            for number, (file, mutant) in enumerate(chosen, 1):
                entry = trial.run(file, mutant)
                print(
                    f"{number}/{len(chosen)} {file}:{mutant.line} {entry['outcome']} "
                    f"({entry['cpu_seconds']} s): {mutant.before} -> {mutant.after}",
                    flush=True,
                )
    result = summary(mutants, order, log, equivalents, options.seed)
    # Only now: what forks must not have started JAX.
    from safe_wrappers.evaluation import machine, versions

    result |= {"versions": versions(), "machine": machine()}
    options.result.parent.mkdir(exist_ok=True)
    options.result.write_text(json.dumps(result, indent=1) + "\n")
    brief = {name: value for name, value in result.items() if name not in ("files", "kinds")}
    print(json.dumps(brief, indent=1))


if __name__ == "__main__":
    main()
