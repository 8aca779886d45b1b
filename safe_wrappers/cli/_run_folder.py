"""The folder of a run: what lies where, and whether it is new, interrupted or finished."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from ..evaluation import write_json
from ._options import Train
from ._usage import UsageError


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


def _to_json(options: Train) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(options).items() if name != "logdir"}
