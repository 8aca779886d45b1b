"""How large the box of virtual inputs may be: what the actuators bring about everywhere, all inputs
at once.

Over a cell of states action i is at most sum_j |P_ij| v_j + |p_i|. Of all boxes that these
inequalities allow the one of largest volume is taken, by a concave program.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from ..certificates._authority import over_cells
from ..certificates._branches import HULLS
from ..certificates._cells import halved
from ..certificates._enclosure import derivatives, stack
from ..certificates._intervals import Interval
from ..certificates._taylor import Taylor
from ..models import InVirtualInputs, Model
from ..models._interpreter import interpret
from ..models._trace import trace
from ..sets import Box

_CELLS = 3000
# So many halvings in a row may find no more than this share.
_PATIENCE, _WORTH = 12, 1e-3
_USED = 0.985  # of the actuators' limits; the proof encloses them again
_TIGHTEST = 400


class Need(NamedTuple):
    """What actions need over cells of states, in units of their limits.

    Attributes:
        matrix: |P|, shape (cells, d, d).
        offset: |p|, shape (cells, d).
    """

    matrix: np.ndarray
    offset: np.ndarray

    def scales(self, v: np.ndarray) -> np.ndarray:
        """The largest t for which inputs t v are brought about all over a cell, negative if none
        is, shape (cells,).
        """
        return np.min((_USED - self.offset) / np.maximum(self.matrix @ v, 1e-300), axis=1)


def need(model: Model, X: Box, v: np.ndarray) -> Need:
    """What actions need over cells. Those that leave the least for inputs like v are halved, along
    the state whose derivatives vary most over them.
    """
    lower, upper = (np.asarray(end, np.float64)[:, None] for end in (X.lower, X.upper))
    found, best, since = _over(model, lower, upper), -np.inf, 0
    V, most = Box(-v, v), _CELLS // max(1, len(v) - 2) ** 2
    while lower.shape[1] < most and since < _PATIENCE:
        scales = found.scales(v)
        since = 0 if scales.min() > best + _WORTH * abs(best) else since + 1
        best = max(best, float(scales.min()))
        low, high = float(scales.min()), float(np.median(scales))
        (chosen,) = np.nonzero(scales <= low + 0.1 * (high - low))
        _, widths = over_cells(model, V, lower[:, chosen], upper[:, chosen])
        side, at = np.argmax(np.nan_to_num(widths, nan=np.inf), axis=0), np.arange(len(chosen))
        if not np.any(widths[side, at] > 0):
            break
        kept = np.setdiff1d(np.arange(lower.shape[1]), chosen)
        new = halved(lower[:, chosen], upper[:, chosen], side)
        of_new = _over(model, *new)
        found = Need(
            np.concatenate([found.matrix[kept], of_new.matrix]),
            np.concatenate([found.offset[kept], of_new.offset]),
        )
        lower, upper = (
            np.hstack([old[:, kept], ends]) for old, ends in zip((lower, upper), new, strict=True)
        )
    return found


def largest_inputs(needed: Need, caps: np.ndarray) -> np.ndarray | None:
    """Half-widths of the largest box of virtual inputs, shape (d,); None if the actuators do not
    even hold the plant.

    Args:
        needed: What actions need.
        caps: Most that an input may be, shape (d,), positive.
    """
    d = len(caps)
    room = (_USED - needed.offset).reshape(-1)
    if not np.all(room > 0):
        return None
    rows = needed.matrix.reshape(-1, d) * caps
    start = min(1.0, float(np.min(room / np.maximum(rows.sum(axis=1), 1e-300)))) * 0.9
    z, chosen = np.full(d, np.log(start)), np.argsort(room / np.maximum(rows.sum(axis=1), 1e-300))
    chosen = chosen[:_TIGHTEST]
    share = np.exp(z)
    for _ in range(6):
        result = minimize(
            lambda z: -z.sum(),
            z,
            jac=lambda z: -np.ones(d),
            bounds=[(-20.0, 0.0)] * d,
            constraints=[
                {
                    "type": "ineq",
                    "fun": lambda z, c=chosen: room[c] - rows[c] @ np.exp(z),
                    "jac": lambda z, c=chosen: -rows[c] * np.exp(z),
                }
            ],
            method="SLSQP",
            options={"maxiter": 200},
        )
        share = np.exp(np.minimum(result.x, 0.0))
        ratio = float(np.min(room / np.maximum(rows @ share, 1e-300)))
        if ratio >= 1 - 1e-6:
            break
        chosen = np.unique(np.concatenate([chosen, np.argsort(room - rows @ share)[:200]]))
        z = np.log(share * min(ratio, 1.0) * 0.95)
    ratio = float(np.min(room / np.maximum(rows @ share, 1e-300)))
    return caps * share * min(1.0, ratio) * (1 - 1e-9)


def _over(model: Model, lower: np.ndarray, upper: np.ndarray) -> Need:
    n, d, cells = model.state_size, model.action_size, lower.shape[1]
    x = [Taylor(Interval(lower[i], upper[i])) for i in range(n)]
    still = Interval.point(np.zeros(cells))
    v = [Taylor.variable(still, j, order=1) for j in range(d)]
    with np.errstate(all="ignore"):
        (actions,) = interpret(trace(InVirtualInputs(model).actions, n, d), HULLS, x, v)
    offset = stack([action.value for action in actions], (cells,)).magnitude.T
    return Need(derivatives(list(actions), d, (cells,)).magnitude.transpose(2, 0, 1), offset)
