"""The metrics of a training on disk: a CSV file and TensorBoard events."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._files import write_text
from .._records import finite
from ._summary import Row

# What metrics.csv holds, in this order; TensorBoard uses the same names. Counts of training are
# totals so far.
COLUMNS: tuple[str, ...] = (
    "interactions",
    "eval/return",
    "eval/return_std",
    "eval/interventions_per_step",
    "eval/violations",
    "eval/fallbacks",
    "eval/smallest_margin",
    "training/episodes",
    "training/interventions",
    "training/violations",
    "training/fallbacks",
    "training/smallest_margin",
    "training/policy_loss",
    "training/value_loss",
    "training/gradient_norm",
    "training/regularisation",
    "training/skipped_updates",
    "training/skipped_critic_updates",
    "training/sps",
    "training/walltime",
)


def read_rows(metrics: Path) -> list[Row]:
    """The rows of a CSV file of metrics, none if there is no file.

    A line counts only if it is complete: a process that was killed, or a full disk, may have left
    half of the last one, in which 12,800 reads as 12.

    Raises:
        ValueError: If the file is none of metrics.
    """
    if not metrics.exists():
        return []
    lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    rows = []
    for row in csv.DictReader(line for line in lines if line.endswith("\n")):
        if None in row.values() or None in row:
            continue
        numbers = {name: float(value) for name, value in row.items() if value}
        if "interactions" not in numbers:
            raise ValueError(f"{metrics} must have a column `interactions`, as metrics.csv has.")
        rows.append(numbers | {"interactions": int(numbers["interactions"])})
    return rows


class MetricsWriter:
    """Writes metrics.csv and the TensorBoard events, and keeps the rows of the whole run, before an
    interruption too.

    The file is a view: it is written anew, whole, at every evaluation, and a run that goes on takes
    the rows before from its checkpoint.

    Args:
        metrics: The CSV file.
        tensorboard: The folder of the events.
        history: The evaluations before, as the checkpoint that a run goes on from holds them:
            `interactions` and the metrics of each.

    Attributes:
        rows: The evaluations so far.
    """

    def __init__(
        self, metrics: Path, tensorboard: Path, history: Sequence[Mapping[str, float]] = ()
    ):
        from tensorboardX import SummaryWriter

        self.rows = [_row(int(row["interactions"]), row) for row in history]
        self._metrics = metrics
        self._rewrite()
        resumed_at = int(self.rows[-1]["interactions"]) if self.rows else 0
        self._tensorboard = SummaryWriter(str(tensorboard), purge_step=resumed_at + 1)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *_) -> None:
        self._tensorboard.close()

    def write(self, interactions: int, metrics: Mapping[str, float]) -> Row:
        """Adds a row, complete on disk when this returns; the row that a resumed run starts from is
        there already.
        """
        if self.rows and self.rows[-1]["interactions"] == interactions:
            return self.rows[-1]
        row = _row(interactions, metrics)
        self.rows.append(row)
        self._rewrite()
        for name, value in row.items():
            self._tensorboard.add_scalar(name, value, interactions)
        return row

    def _rewrite(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS)
        table.writeheader()
        table.writerows(self.rows)
        write_text(self._metrics, text.getvalue())


def _row(interactions: int, metrics: Mapping[str, float]) -> Row:
    numbers = {name: float(metrics[name]) for name in COLUMNS if name in metrics}
    return numbers | {"interactions": interactions}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes readable, valid JSON, atomically: what is not a finite number becomes null."""
    write_text(path, json.dumps(finite(content), indent=2, allow_nan=False) + "\n")
