"""The metrics of a training on disk: a CSV file and TensorBoard events."""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._files import write_text
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

    The history is never shortened: a row that a resumed run will write again stays on disk until
    that run has come as far.

    Args:
        metrics: The CSV file.
        tensorboard: The folder of the events.
        resumed_at: Interactions of the checkpoint that a run goes on from, or 0.
    """

    def __init__(self, metrics: Path, tensorboard: Path, resumed_at: int):
        from tensorboardX import SummaryWriter

        found = read_rows(metrics)
        self.rows = [row for row in found if row["interactions"] <= resumed_at]
        self._stale = found[len(self.rows) :]
        self._seconds_before = self.rows[-1].get("training/walltime", 0.0) if self.rows else 0.0
        self._metrics = metrics
        self._rewrite()
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
        row = {name: float(metrics[name]) for name in COLUMNS if name in metrics} | {
            "interactions": interactions
        }
        row["training/walltime"] = self._seconds_before + metrics.get("training/walltime", 0.0)
        self.rows.append(row)
        if self._stale:
            self._stale = [old for old in self._stale if old["interactions"] > interactions]
            self._rewrite()
        else:
            with self._metrics.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, COLUMNS).writerow(row)
        for name, value in row.items():
            self._tensorboard.add_scalar(name, value, interactions)
        return row

    def _rewrite(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows([*self.rows, *self._stale])
        write_text(self._metrics, text.getvalue())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes readable, valid JSON, atomically: what is not a finite number becomes null."""
    write_text(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
