"""The results of a study as tidy CSV files: one line per evaluation of a run, and one per run."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._files import write_text

EVALUATIONS, RUNS = "evaluations.csv", "runs.csv"
CURVES, REFERENCES = "curves.csv", "references.csv"

# Of one evaluation of a run.
EVALUATION_COLUMNS = (
    "row",
    "seed",
    "interactions",
    "return",
    "unsafe_requests",
    "exits",
    "judged_exits",
)
# Of a run at its end; `behind` is the safeguard in the evaluation, if not that of the training.
# `row_seconds` is what all seeds of the row took together, compilation and evaluation included.
RUN_COLUMNS = (
    "row",
    "behind",
    "seed",
    "interactions",
    "return",
    "interactions_to_own_95_percent",
    "unsafe_requests",
    "exits",
    "judged_exits",
    "final_exits",
    "smallest_margin",
    "fallbacks",
    "training_exits",
    "training_unsafe_requests",
    "training_fallbacks",
    "skipped_updates",
    "training_seconds",
    "row_seconds",
    "machine",
)
# Of all seeds of a row at one evaluation: the median return and its 10 % and 90 % quantiles.
CURVE_COLUMNS = ("row", "interactions", "median", "low", "high")

Line = dict[str, Any]


class Results(NamedTuple):
    """What is known of the rows of a study that are finished.

    Attributes:
        runs: One entry per run, and one more per safeguard behind which it was deployed.
        curves: One entry per row and evaluation: the returns of its seeds there.
        references: By task, the return that its runs are compared with.
    """

    runs: list[Line]
    curves: list[Line]
    references: dict[str, float]


def write_csv(path: Path, columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> None:
    """Writes a table atomically; numbers with at most seven digits, what is None as nothing."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for line in lines:
        table.writerow({name: _shown(line.get(name)) for name in columns})
    write_text(path, text.getvalue())


def read_csv(path: Path) -> list[Line]:
    """The lines of such a table, numbers as numbers, nothing as None; none if there is no file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: _value(name, text) for name, text in line.items()}
            for line in csv.DictReader(file)
        ]


def write_results(folder: Path, results: Results) -> None:
    """Writes the tables of a study that its tables and figures are made from."""
    write_csv(folder / RUNS, RUN_COLUMNS, results.runs)
    write_csv(folder / CURVES, CURVE_COLUMNS, results.curves)
    lines = [{"task": task, "return": value} for task, value in results.references.items()]
    write_csv(folder / REFERENCES, ("task", "return"), lines)


def read_results(folder: Path) -> Results:
    """What `safe-wrappers experiment` wrote into a folder.

    Args:
        folder: Its output folder.
    """
    references = {line["task"]: line["return"] for line in read_csv(folder / REFERENCES)}
    return Results(read_csv(folder / RUNS), read_csv(folder / CURVES), references)


_WORDS = ("row", "behind", "task", "machine")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.7g}"


def _value(name: str, text: str | None) -> Any:
    if name in _WORDS:
        return text or ""
    if not text:
        return None
    number = float(text)
    return int(number) if number.is_integer() else number
