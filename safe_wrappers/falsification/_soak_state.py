"""What a soak has counted so far, in a small file, so that it can go on after an interruption."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from .._files import write_text

_VERSION = 1
_SAMPLES = 128  # of the memory, at most


@dataclasses.dataclass
class SoakState:
    """Counts of the rounds that were judged; the next round is a function of the seed and of
    `rounds` alone.

    Attributes:
        about: What was run: system, safeguard, claim and seed.
        rounds: Rounds that were judged.
        steps, exits, unsafe_actions, episodes, episodes_left, margin, seconds: As in `SoakReport`.
        compilations: Programs that were compiled after the first round of a call.
        memory: Pairs (steps, MiB), thinned out.
    """

    about: dict[str, Any]
    rounds: int = 0
    steps: int = 0
    exits: int = 0
    unsafe_actions: int = 0
    episodes: int = 0
    episodes_left: int = 0
    margin: float = np.inf
    seconds: float = 0.0
    compilations: int = 0
    memory: list[tuple[int, float]] = dataclasses.field(default_factory=list)

    def remember(self, mebibytes: float) -> None:
        """Adds what the process needs now; of many values every other one is kept."""
        self.memory.append((self.steps, round(mebibytes, 1)))
        if len(self.memory) > _SAMPLES:
            self.memory = [self.memory[0], *self.memory[2::2]]

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        margin = self.margin if np.isfinite(self.margin) else repr(self.margin)
        record = {"version": _VERSION, **dataclasses.asdict(self), "margin": margin}
        write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def read(path: Path, about: dict[str, Any]) -> SoakState:
    """The state in a file, a new one if there is no file.

    Raises:
        ValueError: If the file is about something else, or is no such file.
    """
    if not path.exists():
        return SoakState(about)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version, found = record.pop("version"), record["about"]
        record["margin"] = float(record["margin"])
        record["memory"] = [(int(steps), float(size)) for steps, size in record["memory"]]
        state = SoakState(**record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"`state` must be the file of a soak, but {path} is none; give another path."
        ) from error
    if version != _VERSION or found != about:
        differ = [name for name in about if found.get(name) != about[name]] or ["version"]
        raise ValueError(
            f"`state` {path} is about another soak: it has another {' and '.join(differ)}. Give "
            "another path, or what it was begun with."
        )
    return state
