"""What an attack has found."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Trajectory(NamedTuple):
    """A trajectory of T steps.

    Attributes:
        states: Shape (T + 1, n), as the plant had them.
        requests: What was asked for, shape (T, d).
        executed: What reached the plant, in [-1, 1]^d where it is safe, shape (T, d).
        disturbances: What acted, shape (T, k).
        margins: The least float64 margin of the state that each step reached and of those to which
            other disturbances in W would have led, shape (T,).
    """

    states: np.ndarray
    requests: np.ndarray
    executed: np.ndarray
    disturbances: np.ndarray
    margins: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class AttackReport:
    """The worst that an attack has found, from `attack`.

    Attributes:
        system: What the plant is called.
        safeguard: What was tried, or "none".
        claim: Digest of the claim that the steps were judged against; None if there is none, and
            the system's margin decided.
        exits: Steps that began in the safe set and left it, or would have left it under another
            disturbance in W.
        unsafe_actions: Steps in the safe set whose executed action lay outside the action box, or
            was not finite.
        steps: Steps that began in the safe set: all that were judged.
        seconds: How long it took.
        budget: How long it might take, s.
        seed: Random seed.
        margin: The least margin of all steps, in float64: negative if the safe set was left.
        strategy: What led to the worst step, in words.
        found_after: When the first unsafe step was found, s; None if none was.
        trajectory: The trajectory that ends with the worst step.
        worst_disturbance: The w of the worst step that leads to its margin, shape (k,).
        replay: Runs the requests and the disturbances of `trajectory` again, from its first state,
            and returns what happens.
    """

    system: str
    safeguard: str
    claim: str | None
    exits: int
    unsafe_actions: int
    steps: int
    seconds: float
    budget: float
    seed: int
    margin: float
    strategy: str
    found_after: float | None
    trajectory: Trajectory
    worst_disturbance: np.ndarray
    replay: Callable[[], Trajectory] = dataclasses.field(repr=False)

    @property
    def broken(self) -> bool:
        """Whether an unsafe step was found."""
        return self.exits > 0 or self.unsafe_actions > 0

    @property
    def message(self) -> str:
        """The answer, in one or two sentences."""
        if not self.broken:
            return (
                f"not broken: in {self.steps:,} steps no state was outside the safe set, and none "
                f"would have been under another disturbance in W; the least margin was "
                f"{self.margin:.3g}. That is a test, not a proof."
            )
        found = []
        if self.exits:
            found.append(f"{self.exits:,} left the safe set or could have")
        if self.unsafe_actions:
            found.append(f"{self.unsafe_actions:,} executed something outside the action box")
        after = len(self.trajectory.margins)
        return (
            f"broken: of {self.steps:,} steps {' and '.join(found)}. The worst trajectory is "
            f"{after} step{'' if after == 1 else 's'} long and ends with margin {self.margin:.3g}; "
            f"it was found after {self.found_after:.1f} s with {self.strategy}."
        )
