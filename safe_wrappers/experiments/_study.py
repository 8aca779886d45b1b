"""A study: which learners are trained on which tasks behind which safeguards."""

import dataclasses
import fnmatch
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .._errors import SafeWrappersError

UNSAFE = "none"
ALGORITHMS = ("shac", "ppo", "sac")
REFERENCES = {
    "lqr": "clipped linear-quadratic control behind boundary projection",
    "optimum": "the best safe trajectories that optimisation finds without disturbances",
    "none": "nothing",
}


class StudyError(SafeWrappersError, ValueError):
    """A study that cannot be run: what must hold, what was found, and what to write instead."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be learned.

    Args:
        name: Its name in the study.
        system: A bundled system.
        num_timesteps: Environment interactions of each training.
        options: Options of the environment.
        evaluation_options: Options that differ in the evaluation, such as `disturbance`.
        reference: What returns are compared with, on the same starts: "lqr", clipped
            linear-quadratic control behind boundary projection; "optimum", the best safe
            trajectories that `evaluation.constrained_optimum` finds, for evaluations without
            disturbances; or "none".
        episode_length: Steps of an evaluation episode.
        title: What it is called in tables and figures.
    """

    name: str
    system: str
    num_timesteps: int
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    evaluation_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reference: str = "lqr"
    episode_length: int = 240
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Learner:
    """Who learns.

    Args:
        name: Its name in the study.
        algorithm: "shac", or "ppo" or "sac" of Brax.
        num_timesteps: Environment interactions, if not those of the task.
        options: Arguments of the trainer.
    """

    name: str
    algorithm: str
    num_timesteps: int | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A safeguard with its gradient rule.

    Args:
        name: Its name in the study.
        safeguard: The name of the safeguard, or "none".
        options: Its options, such as `gradient` and `mapping`.
        regularisation: c of c |a_s - a|^2 in the policy's loss, which SHAC alone has.
        title: What it is called in tables and figures.
    """

    name: str
    safeguard: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    regularisation: float = 0.0
    title: str = ""


@dataclasses.dataclass(frozen=True)
class StudyRow:
    """One row of a study: a learner on a task behind a safeguard, with all its seeds.

    Args:
        task: What is learned.
        learner: Who learns.
        variant: The safeguard in the training.
        deployed: Safeguards behind which the trained policies are evaluated, too.
        seeds: How many seeds, from 0 on.
        evaluations: How many evaluations of a training, the one before it included.
        episodes: Episodes of an evaluation, the same for all rows of a task.
    """

    task: Task
    learner: Learner
    variant: Variant
    deployed: tuple[Variant, ...] = ()
    seeds: int = 10
    evaluations: int = 21
    episodes: int = 128

    @property
    def name(self) -> str:
        """TASK/LEARNER/SAFEGUARD."""
        return f"{self.task.name}/{self.learner.name}/{self.variant.name}"

    @property
    def num_timesteps(self) -> int:
        """Interactions of each training."""
        return self.learner.num_timesteps or self.task.num_timesteps

    @property
    def digest(self) -> str:
        """SHA-256 of all that the row says: results count only for the very same row."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Published:
    """What a publication reports for a row.

    Args:
        row: Name of the row.
        values: By name: `return`, `interactions` (to 95 % of the final return), `stuck`, `seconds`.
    """

    row: str
    values: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Study:
    """A declared table of trainings.

    Args:
        name: Its name.
        title: What it is called.
        text: What it asks, in a sentence or two.
        rows: The rows, in the order of the file.
        published: What a publication reports for rows.
        source: That publication.
    """

    name: str
    title: str
    text: str
    rows: tuple[StudyRow, ...]
    published: tuple[Published, ...] = ()
    source: str = ""

    def chosen(self, patterns: Sequence[str]) -> tuple[StudyRow, ...]:
        """The rows whose names match one of the patterns, in which * stands for anything; all rows
        if there is no pattern.

        Raises:
            StudyError: If a pattern matches no row.
        """
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(row.name, pattern) for row in self.rows):
                raise StudyError(
                    f"A row must match {pattern!r}, but none of {self.name} does; its rows are "
                    f"{', '.join(row.name for row in self.rows)}."
                )
        return tuple(
            row
            for row in self.rows
            if not patterns or any(fnmatch.fnmatchcase(row.name, each) for each in patterns)
        )
