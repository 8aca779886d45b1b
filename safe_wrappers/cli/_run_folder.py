"""The folder of a run: what lies where, and whether it is new, interrupted or finished."""

import contextlib
import dataclasses
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._files import lock, remove_leftovers
from .._records import read_record, write_record
from ._options import Train
from ._usage import UsageError, flag

_MAY_CHANGE = ("keep",)  # options on which the result does not depend
_PROGRAM = "program"  # beside the options: what is computed, see `_subject.program`


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
        self._lock = path / ".lock"

    @contextlib.contextmanager
    def for_training(self, options: Train, program: str) -> Iterator[int | None]:
        """Takes the folder for this process, created if need be: for a new run, to resume an
        interrupted one, or to extend a finished one.

        Args:
            options: Those of the run.
            program: Digest of what it computes.

        Yields:
            How long the run was to be before, if it is extended now; else None.

        Raises:
            UsageError: If the folder cannot be written to, another process trains in it, or it
                holds a finished run, or one with other options or of another system.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            held = lock(self._lock)
        except OSError as error:
            raise self._not_writable(error) from error
        if isinstance(held, int):
            raise UsageError(
                f"the process {held or 'of another user'} trains in {self.path}; wait for it, or "
                "give another --logdir."
            )
        with held:
            for folder in (self.path, self.checkpoints):
                remove_leftovers(folder)
            yield self._prepare(options, program)

    def _prepare(self, options: Train, program: str) -> int | None:
        before = None
        if self._options.exists():
            stored, stored_program = self._stored()
            self._require_same(stored, options)
            if stored_program != program:
                raise UsageError(
                    f"{self.path} holds a run of {options.system} as it was: its equations, "
                    "reward, safe set or safeguard have changed since, or JAX has. Give another "
                    "--logdir for a new run."
                )
            if options.num_timesteps > stored.num_timesteps:
                before = stored.num_timesteps
            elif self.summary.exists():
                raise UsageError(
                    f"{self.path} holds a finished run; look at it with `safe-wrappers "
                    f"evaluate {self.path}`, extend it with a larger --num-timesteps, or give "
                    "another --logdir for a new run."
                )
        try:
            # In this order: a process that ends in between leaves an interrupted run.
            self.summary.unlink(missing_ok=True)
            write_record(self._options, {**_to_json(options), _PROGRAM: program})
        except OSError as error:
            raise self._not_writable(error) from error
        return before

    def options(self) -> Train:
        """The options that the run was started with.

        Raises:
            UsageError: If there is no run in the folder.
        """
        return self._stored()[0]

    def is_of(self, program: str) -> bool:
        """Whether the run computed what has this digest."""
        return self._stored()[1] == program

    def newest_checkpoint(self, otherwise: str | None = None) -> Path | None:
        """The folder of the newest checkpoint that can be read, named by its interactions, or None.

        Args:
            otherwise: What is done if none can be read; then damaged ones are named on the
                terminal, and what is done instead. None: nothing is said.
        """
        from ..algos.shac import checkpoint

        found, damaged = checkpoint.newest(self.checkpoints)
        if damaged and otherwise is not None:
            for folder, reason in damaged.items():
                print(f"safe-wrappers: {self._damaged(folder, reason)}.", file=sys.stderr)
            instead = otherwise if found is None else f"that of {int(found.name):,} is taken."
            print(f"safe-wrappers: {instead}", file=sys.stderr)
        return found

    def checkpoint(self, which: str) -> Path:
        """The folder of a checkpoint.

        Args:
            which: "last", "best" by the return of the evaluations, or the interactions.

        Raises:
            UsageError: If there is no such checkpoint, or it cannot be read.
        """
        from ..algos.shac import checkpoint

        try:
            with warnings.catch_warnings(record=True) as skipped:
                warnings.simplefilter("always")
                found = checkpoint.choose(
                    self.checkpoints, int(which) if which.isdecimal() else which
                )
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path} has no checkpoint yet; train on with the command that started it."
            ) from error
        except ValueError as error:
            raise UsageError(str(error).replace("`which`", "--checkpoint")) from error
        for warning in skipped:
            print(f"safe-wrappers: {warning.message}", file=sys.stderr)
        return found

    def _damaged(self, checkpoint: Path, reason: str) -> str:
        return (
            f"the checkpoint of {int(checkpoint.name):,} interactions in {self.path} cannot be "
            f"read: {reason}"
        )

    def _stored(self) -> tuple[Train, str]:
        try:
            content = read_record(self._options)
            program = content.pop(_PROGRAM)
            return Train(**content, logdir=self.path), program
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path} is not the folder of a run: it has no "
                f"{self._options.name}; give the --logdir of a training."
            ) from error
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{self._options} cannot be read: {error}; put back a copy of it, or give another "
                "--logdir."
            ) from error

    def _require_same(self, stored: Train, options: Train) -> None:
        before, given = _to_json(stored), _to_json(options)
        different = [
            name for name in given if given[name] != before[name] and name not in _MAY_CHANGE
        ]
        if options.num_timesteps > stored.num_timesteps:
            different.remove("num_timesteps")
        if different:
            name = different[0]
            kind = "a finished" if self.summary.exists() else "an interrupted"
            less = "; it can only grow" if name == "num_timesteps" else ""
            raise UsageError(
                f"{self.path} holds {kind} run with {flag(name)} {_shown(before[name])}, not "
                f"{_shown(given[name])}{less}; go on with its own options, or give another "
                "--logdir."
            )

    def _not_writable(self, error: OSError) -> UsageError:
        return UsageError(
            f"--logdir {self.path} must be a folder that can be written to: {error.strerror}."
        )


def _shown(value: Any) -> str:
    return "left out" if value is None else str(value)


def _to_json(options: Train) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(options).items() if name != "logdir"}
