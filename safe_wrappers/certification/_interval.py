"""One state: the largest interval, read off the model on a fine grid."""

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
    ends = _kept(task, lower, upper)
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


def _kept(task: Task, lower: float, upper: float) -> tuple[float, float]:
    center = float(task.center[0])
    x = np.linspace(lower, upper, _POINTS)
    with jax.enable_x64():
        c, B, E = (
            np.asarray(part)[:, 0]
            for part in jax.jit(jax.vmap(task.model.affine))(jnp.asarray(x[:, None]))
        )
    W = task.disturbances
    w_low, w_high = (np.asarray(end, np.float64) for end in (W.lower, W.upper))
    least = c + np.minimum(E * w_low, E * w_high).sum(axis=1)
    most = c + np.maximum(E * w_low, E * w_high).sum(axis=1)
    reach = np.abs(B).sum(axis=1)
    while True:
        margin = _MARGIN * (upper - lower) / 2
        low, high = lower + margin, upper - margin
        # Some action moves [least, most] by at most `reach` into [low, high].
        good = (most - reach <= high) & (least + reach >= low) & (most - least <= high - low)
        bad = ~good & (x >= lower) & (x <= upper)
        if not bad.any():
            return lower, upper
        below, above = x[bad & (x <= center)], x[bad & (x >= center)]
        if len(below):
            lower = x[min(np.searchsorted(x, below.max()) + 1, _POINTS - 1)]
        if len(above):
            upper = x[max(np.searchsorted(x, above.min()) - 1, 0)]
        if not lower < center < upper:
            raise SynthesisError(
                f"There is no safe set for `{task.model.name}` around the state {center:.6g}: near "
                f"{x[bad].mean():.6g} the disturbance moves it by up to "
                f"{(most - least)[bad].max() / 2:.3g} a step to each side, and the actions by "
                f"{reach[bad].min():.3g}. Use stronger actions or a smaller disturbance set."
            )
