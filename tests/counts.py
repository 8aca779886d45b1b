"""How much the suites of hostile values, faults and forgeries tried, and what became of it.

A suite calls `record`. With `--record-counts FILE` the counts of all suites that ran are written to
the file (see `conftest.py`), from which the documentation takes its numbers; without it they are
forgotten.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safe_wrappers.evaluation import machine, versions

NUMBERS = ("tried", "caught", "unsafe", "silently_wrong", "unclear")

# What the test that runs now has recorded; `conftest.py` attaches it to the test's report.
recorded: list[dict[str, Any]] = []


def record(
    *,
    caught: int,
    unsafe: int = 0,
    silently_wrong: int = 0,
    unclear: int = 0,
    note: str = "",
    suite: str = "",
) -> None:
    """Records what a test tried; the counts of a suite's tests are added up.

    Call it before the assertions, so that what fails is counted, too.

    Args:
        caught: What was refused by a clear error, flagged, or answered rightly: a safe action was
            executed, or no false claim was called proved.
        unsafe: What executed an unsafe action without a flag, or called a false claim proved.
        silently_wrong: What took or returned a wrong value without an error or a flag.
        unclear: What ended in an error that does not name the argument.
        note: One sentence: what is counted, and what else there is to know.
        suite: "FAMILY/WHAT", such as "faults/ray mask"; by default the folder and the name of the
            test file, such as "hostile/safe_action".
    """
    numbers = (int(caught), int(unsafe), int(silently_wrong), int(unclear))
    entry = dict(zip(NUMBERS, (sum(numbers), *numbers), strict=True))
    recorded.append({"suite": suite, **entry, "note": note})


def merged(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a suite, sorted by its name, with each note once."""
    suites: dict[str, dict[str, Any]] = {}
    for entry in entries:
        known = suites.setdefault(entry["suite"], dict.fromkeys(NUMBERS, 0) | {"notes": {}})
        for name in NUMBERS:
            known[name] += entry[name]
        if entry["note"]:
            known["notes"][entry["note"]] = None
    return [
        {"suite": suite}
        | {name: known[name] for name in NUMBERS}
        | {"note": " ".join(known["notes"])}
        for suite, known in sorted(suites.items())
    ]


def write(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Writes the counts of suites as JSON lines; other suites in the file stay as they are."""
    made_with = {"version": versions()["safe_wrappers"], "machine": machine()}
    fresh = [entry | made_with for entry in merged(entries)]
    names = {entry["suite"] for entry in fresh}
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [entry for entry in map(json.loads, lines) if entry["suite"] not in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(f"{json.dumps(entry)}\n" for entry in sorted([*kept, *fresh], key=_suite))
    )


def _suite(entry: dict[str, Any]) -> str:
    return entry["suite"]
