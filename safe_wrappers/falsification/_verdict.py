"""Which steps were safe, decided in float64."""

from typing import NamedTuple

import numpy as np

from ._window import Steps, Windows

_NEAREST = 64  # steps whose margins are computed in float64 although they are safe beyond doubt


class Verdict(NamedTuple):
    """What the judge says of T steps of N trajectories, arrays of shape (T, N).

    Attributes:
        counted: Whether the step began in the safe set: only then is anything promised.
        margin: The least margin of the state that was reached and of those that other disturbances
            in W would have led to: in float64 where it decides, else as it was in float32.
        exit: Whether a counted step left the safe set, or could have.
        unsafe_action: Whether a counted step executed an action outside the action box.
    """

    counted: np.ndarray
    margin: np.ndarray
    exit: np.ndarray
    unsafe_action: np.ndarray

    @property
    def broken(self) -> np.ndarray:
        """Whether a step was unsafe in either way."""
        return self.exit | self.unsafe_action


def judged(windows: Windows, steps: Steps) -> Verdict:
    """The verdict on the steps of some windows.

    A step whose float32 margin is above the judge's threshold is safe. All others, and the nearest
    of the safe ones, are judged in float64: the float32 state that was reached, and the float32
    states to which every disturbance among which the worst lies would have led.
    """
    judge, least = windows.judge, np.asarray(steps.least)
    uncertain = ~(least > judge.threshold)
    nearest = np.argpartition(np.nan_to_num(least, nan=-np.inf), _NEAREST, axis=None)[:_NEAREST]
    uncertain.ravel()[nearest] = True
    x, action = steps.x[uncertain], steps.action[uncertain]
    reached = judge.exact(steps.reached[uncertain])
    possible = windows.next_states(x, action)
    worst = judge.exact(possible.reshape(-1, possible.shape[-1])).reshape(len(x), -1).min(axis=1)
    margin = least.astype(np.float64)
    margin[uncertain] = np.minimum(reached, worst)
    outside = np.zeros_like(uncertain)
    outside[uncertain] = reached < 0
    # The first states are covered; every other one was reached by the step before.
    counted = np.concatenate([np.ones_like(outside[:1]), ~outside[:-1]])
    arrived = np.all(np.abs(steps.action) <= 1, axis=-1)  # false for NaN
    return Verdict(counted, margin, counted & (margin < 0), counted & ~arrived)
