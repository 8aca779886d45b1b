"""One state: the largest interval, read off the model on a fine grid."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import SetDimensionError
from ..certificates import prove
from ..sets import Box, Polytope
from ..synthesis import SynthesisError
from ._anneal import Found, claim_of
from ._failure import not_proved
from ._task import Task

_POINTS = 4001
_MARGIN = 5e-4  # of half the width; the proof asks for less than half of it
_INWARD = 1e-6  # relative: room for float32 rounding


def interval(task: Task) -> Found:
    """The largest interval that is robust control invariant, up to the grid, and its proof.

    An interval can be kept if from each of its states some action leads back into it for every
    disturbance. Where that fails, the interval ends before; this is repeated until it holds.

    Raises:
        SetDimensionError: If X is not bounded.
        SynthesisError: If no interval around the centre can be kept.
        NotProved: If the interval could not be proved.
    """
    lower, upper = _bounds(task.constraints)
    if not np.isfinite([lower, upper]).all():
        raise SetDimensionError(
            f"`constraints` must bound the state of `{task.model.name}` on both sides, but it is "
            f"from {lower} to {upper}."
        )
    ends = _kept(_Grid.of(task, lower, upper), float(task.center[0]))
    if ends is None:
        raise SynthesisError(_too_weak(task, lower, upper))
    center = np.array([(ends[0] + ends[1]) / 2])
    H = np.array([[1.0], [-1.0]]) * 2 / (ends[1] - ends[0]) * (1 + _INWARD)
    safe_state_set = Polytope(H.astype(np.float32), 1.0 + H @ center)
    claim = claim_of(task, safe_state_set, center)
    proof = prove(claim, max_cells=task.effort.max_cells)
    if not proof.proved:
        raise not_proved(claim, proof, 1)
    length = float(ends[1] - ends[0])
    return Found(claim, proof, center, length, 1.0, 0, length)


def _bounds(constraints: Box | Polytope) -> tuple[float, float]:
    if isinstance(constraints, Box):
        return float(constraints.lower[0]), float(constraints.upper[0])
    return -constraints.support([-1.0]), constraints.support([1.0])


class _Grid(NamedTuple):
    """States x, the least and the largest next state without action over all disturbances, and how
    far the actions move it to either side; shape (points,) each.
    """

    x: np.ndarray
    least: np.ndarray
    most: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, task: Task, lower: float, upper: float) -> "_Grid":
        x = np.linspace(lower, upper, _POINTS)
        with jax.enable_x64():
            c, B, E = (
                np.asarray(part)[:, 0]
                for part in jax.jit(jax.vmap(task.model.affine))(jnp.asarray(x[:, None]))
            )
        ends = [
            np.asarray(end, np.float64)
            for end in (task.disturbances.lower, task.disturbances.upper)
        ]
        pushes = np.stack([E * end for end in ends])
        least, most = c + pushes.min(axis=0).sum(axis=1), c + pushes.max(axis=0).sum(axis=1)
        return cls(x, least, most, np.abs(B).sum(axis=1))


def _kept(grid: _Grid, center: float) -> tuple[float, float] | None:
    """The ends of the largest interval around a state that can be kept, or None."""
    x, least, most, reach = grid
    first, last = 0, len(x) - 1
    while x[first] < center < x[last]:
        margin = _MARGIN * (x[last] - x[first]) / 2
        low, high = x[first] + margin, x[last] - margin
        # Some action moves [least, most] by at most `reach` into [low, high].
        good = (most - reach <= high) & (least + reach >= low) & (most - least <= high - low)
        bad = np.flatnonzero(~good[first : last + 1]) + first
        if not len(bad):
            return float(x[first]), float(x[last])
        below, above = bad[x[bad] <= center], bad[x[bad] >= center]
        first = below.max() + 1 if len(below) else first
        last = above.min() - 1 if len(above) else last
    return None


def _too_weak(task: Task, lower: float, upper: float) -> str:
    """Why there is no interval, in words."""
    grid, center = _Grid.of(task, lower, upper), float(task.center[0])
    here = int(np.argmin(np.abs(grid.x - center)))
    push, reach = (grid.most - grid.least)[here] / 2, grid.reach[here]
    return (
        f"There is no safe set for `{task.model.name}` around the state {center:.6g}: there the "
        f"disturbance moves it by up to {push:.3g} a step to each side, and the actions by "
        f"{reach:.3g}. Use stronger actions, a smaller disturbance set, or another `center=`."
    )
