"""The folder of a run: what lies where, and whether it is new, interrupted or finished."""

import csv
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation import Row
from ._options import Train
from ._usage import UsageError

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


class RunFolder:
    """The files of one run. `options.json` marks a run as started, `summary.json` as finished.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.csv"
        self.tensorboard = path / "tensorboard"
        self.summary = path / "summary.json"
        self._options = path / "options.json"

    @classmethod
    def for_training(cls, options: Train) -> "RunFolder":
        """The folder `options.logdir`, created if need be, for a new run or to resume an
        interrupted one.

        Raises:
            UsageError: If it cannot be written to, holds a finished run, or an interrupted one with
                other options.
        """
        folder = cls(options.logdir)
        if folder.summary.exists():
            raise UsageError(
                f"{folder.path} holds a finished run; look at it with `safe-wrappers evaluate "
                f"{folder.path}`, or give another --logdir for a new run."
            )
        if folder._options.exists():
            folder._require_same(options)
            return folder
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            write_json(folder._options, _to_json(options))
        except OSError as error:
            raise UsageError(
                f"--logdir {folder.path} must be a folder that can be written to: {error.strerror}."
            ) from error
        return folder

    def options(self) -> Train:
        """The options that the run was started with.

        Raises:
            UsageError: If there is no run in the folder.
        """
        try:
            content = json.loads(self._options.read_text())
            return Train(**content, logdir=self.path)
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path} is not the folder of a run: it has no "
                f"{self._options.name}; give the --logdir of a training."
            ) from error
        except (OSError, TypeError, ValueError) as error:
            raise UsageError(f"{self._options} cannot be read: {error}.") from error

    def newest_checkpoint(self) -> Path | None:
        """The folder of the newest complete checkpoint, named by its interactions, or None."""
        from ..algos.shac import checkpoint

        try:
            return checkpoint.latest(self.checkpoints)
        except FileNotFoundError:
            return None

    def rows(self, until: int) -> list[Row]:
        """The rows of metrics.csv with at most this many interactions."""
        if not self.metrics.exists():
            return []
        with self.metrics.open(newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]
        rows = [row | {"interactions": int(row["interactions"])} for row in rows]
        return [row for row in rows if row["interactions"] <= until]

    def _require_same(self, options: Train) -> None:
        stored, given = _to_json(self.options()), _to_json(options)
        different = [name for name in given if given[name] != stored[name]]
        if different:
            name = different[0]
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{self.path} holds an interrupted run with {flag} {stored[name]}, not "
                f"{given[name]}; resume it with its own options, or give another --logdir."
            )


class MetricsWriter:
    """Writes metrics.csv and the TensorBoard events, and keeps the rows of the whole run, before an
    interruption too.
    """

    def __init__(self, folder: RunFolder, resumed_at: int):
        from tensorboardX import SummaryWriter

        self.rows = folder.rows(until=resumed_at)
        self._seconds_before = self.rows[-1].get("training/walltime", 0.0) if self.rows else 0.0
        self._file = folder.metrics.open("w", newline="")
        self._csv = csv.DictWriter(self._file, COLUMNS, extrasaction="ignore")
        self._csv.writeheader()
        self._csv.writerows(self.rows)
        self._tensorboard = SummaryWriter(str(folder.tensorboard), purge_step=resumed_at + 1)

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


def _to_json(options: Train) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(options).items() if name != "logdir"}
