"""The metrics of a training on disk: a CSV file and TensorBoard events."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def read_rows(metrics: Path, until: int) -> list[Row]:
    """The rows of a CSV file of metrics with at most this many interactions."""
    if not metrics.exists():
        return []
    with metrics.open(newline="") as file:
        rows = [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]
    rows = [row | {"interactions": int(row["interactions"])} for row in rows]
    return [row for row in rows if row["interactions"] <= until]


class MetricsWriter:
    """Writes metrics.csv and the TensorBoard events, and keeps the rows of the whole run, before an
    interruption too.

    Args:
        metrics: The CSV file.
        tensorboard: The folder of the events.
        resumed_at: Interactions of the checkpoint that a run goes on from, or 0; later rows are
            dropped.
    """

    def __init__(self, metrics: Path, tensorboard: Path, resumed_at: int):
        from tensorboardX import SummaryWriter

        self.rows = read_rows(metrics, until=resumed_at)
        self._seconds_before = self.rows[-1].get("training/walltime", 0.0) if self.rows else 0.0
        self._file = metrics.open("w", newline="")
        self._csv = csv.DictWriter(self._file, COLUMNS, extrasaction="ignore")
        self._csv.writeheader()
        self._csv.writerows(self.rows)
        self._tensorboard = SummaryWriter(str(tensorboard), purge_step=resumed_at + 1)

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
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
        self._csv.writerow(row)
        self._file.flush()
        for name, value in row.items():
            self._tensorboard.add_scalar(name, value, interactions)
        return row


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes readable, valid JSON: what is not a finite number becomes null."""
    path.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
