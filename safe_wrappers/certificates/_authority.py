"""Whether the actuators bring about every virtual input: the action of (x, v) lies in [-1, 1]^d for
all states of X and all v in V.

The action is enclosed over cells of X in two ways, of which the better one counts for each of its
components: by interval arithmetic, and in the middle of the cell plus derivative over the cell
times half-widths. A cell that fails is halved along the state whose derivative varies most over it.
"""

from typing import NamedTuple

import numpy as np

from ..models import InVirtualInputs, Model
from ..models._interpreter import interpret
from ..models._trace import trace
from ..sets import Box
from ._branches import HULLS
from ._cells import halved
from ._enclosure import derivatives, stack
from ._intervals import Interval, round_up
from ._taylor import Taylor

_CELLS = 50_000


class Authority(NamedTuple):
    """The largest actions that were found.

    Attributes:
        largest: An upper bound of |u_j| over X and V, shape (d,).
        cells: How many cells it took.
        state: The middle of the cell in which it is largest, shape (n,).
    """

    largest: np.ndarray
    cells: int
    state: np.ndarray

    @property
    def enough(self) -> bool:
        """Whether every action is in its box; false for NaN."""
        return bool(np.all(self.largest <= 1.0))


def authority(model: Model, X: Box, V: Box, cells: int = _CELLS) -> Authority:
    """The largest actions of virtual inputs in V at states of X.

    Args:
        model: With virtual inputs, or without: then these are the actions.
        X: Bounded.
        V: The box of virtual inputs.
        cells: Most cells.
    """
    lower, upper = (np.asarray(end, np.float64)[:, None] for end in (X.lower, X.upper))
    parts: list[np.ndarray] = [lower, upper, *over_cells(model, V, lower, upper)]
    while parts[0].shape[1] < cells:
        lower, upper, largest, widths = parts
        failed = ~np.all(largest <= 1.0, axis=0)
        side = np.argmax(np.where(np.isnan(widths), np.inf, widths), axis=0)
        split = failed & (np.take_along_axis(widths, side[None], axis=0)[0] > 0)
        if not split.any():
            break
        # The worst ones first, where there is not room for all.
        chosen = np.flatnonzero(split)
        if lower.shape[1] + len(chosen) > cells:
            order = np.argsort(-np.nan_to_num(largest[:, chosen].max(axis=0), nan=np.inf))
            chosen = chosen[order[: max(1, cells - lower.shape[1])]]
        new_lower, new_upper = halved(lower[:, chosen], upper[:, chosen], side[chosen])
        kept = np.setdiff1d(np.arange(lower.shape[1]), chosen)
        new: list[np.ndarray] = [new_lower, new_upper, *over_cells(model, V, new_lower, new_upper)]
        parts = [
            np.concatenate([old[:, kept], of_new], axis=1)
            for old, of_new in zip(parts, new, strict=True)
        ]
    lower, upper, largest, _ = parts
    worst = int(np.argmax(np.nan_to_num(largest.max(axis=0), nan=np.inf)))
    state = (lower[:, worst] + upper[:, worst]) / 2
    return Authority(largest.max(axis=1), lower.shape[1], state)


def over_cells(
    model: Model, V: Box, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Upper bounds of the actions' sizes over cells of states, and by how much the derivative of an
    action by each state varies over the cell.

    Args:
        model: n states, d actions.
        V: Virtual inputs.
        lower: Shape (n, cells).
        upper: The same.

    Returns:
        Shapes (d, cells) and (n, cells).
    """
    n, d = model.state_size, model.action_size
    cells = lower.shape[1]
    middle = (lower + upper) / 2
    half = round_up(np.maximum(upper - middle, middle - lower))
    of_V = [np.asarray(end, np.float64) for end in (V.lower, V.upper)]
    between = (of_V[0] + of_V[1]) / 2
    half = np.concatenate([half, np.repeat(round_up(of_V[1] - between)[:, None], cells, axis=1)])
    half[n:] = np.maximum(half[n:], round_up(between - of_V[0])[:, None])
    program = trace(InVirtualInputs(model).actions, n, d)
    x = [Taylor.variable(Interval(lower[i], upper[i]), i, order=1) for i in range(n)]
    v = [
        Taylor.variable(Interval(np.full(cells, lo), np.full(cells, hi)), n + j, order=1)
        for j, (lo, hi) in enumerate(zip(*of_V, strict=True))
    ]
    still = [Taylor(Interval.point(middle[i])) for i in range(n)]
    at = [Taylor(Interval.point(np.full(cells, value))) for value in between]
    with np.errstate(all="ignore"):
        (over,) = interpret(program, HULLS, x, v)
        (center,) = interpret(program, HULLS, still, at)
    slopes = derivatives(list(over), n + d, (cells,))
    by_value, at_middle = (
        stack([action.value for action in actions], (cells,)).magnitude
        for actions in (over, center)
    )
    push = (slopes.magnitude * half).sum(axis=1) * (1 + (n + d) * 2.0**-51)
    # NaN where nothing is known in one of the two ways.
    largest = np.fmin(round_up(at_middle + round_up(push)), by_value)
    return largest, ((slopes.hi - slopes.lo)[:, :n] * half[:n]).max(axis=0)
