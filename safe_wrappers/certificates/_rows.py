"""Bounds of the safe action set at states: its rows, and the largest margin of any action."""

import numpy as np
from scipy.optimize import linprog

from ..models import Model
from ..sets import Box, Polytope
from ._enclosure import ModelEnclosure
from ._intervals import Interval, as_interval, round_down, round_up
from ._room import room_bounds


class RowBounds:
    """Enclosures of F_i (f(x, u, w) - center) over boxes, for the rows of S = {x : F x <= h} and
    all w in W. States are given by y = x - center.

    Attributes:
        room: h - F center, shape (m,): that next states satisfy F (x' - center) <= room is what has
            to be shown.
        enclosure: The model over boxes, at the centre of W, with states measured from the centre of
            S.

    Args:
        model: n states, d actions, k disturbances.
        safe_state_set: S, m rows.
        disturbance_set: W.
        center: A point strictly inside S, shape (n,).

    Raises:
        ModelError: Naming the primitive, if the model uses one without a rule.
    """

    def __init__(
        self, model: Model, safe_state_set: Polytope, disturbance_set: Box, center: np.ndarray
    ):
        self.F = np.asarray(safe_state_set.H, np.float64)
        self.room = room_bounds(safe_state_set, center)
        lower, upper = (
            np.asarray(b, np.float64) for b in (disturbance_set.lower, disturbance_set.upper)
        )
        w_center = 0.5 * (lower + upper)
        self.w_radius = round_up(np.maximum(upper - w_center, w_center - lower))
        self.enclosure = ModelEnclosure(model, w_center, center)
        self._center = np.asarray(center, np.float64)
        self.n, self.d = model.state_size, model.action_size

    def from_center(self, x: np.ndarray) -> Interval:
        """y = x - center for states of shape (n, cells)."""
        moved = Interval.point(x) - self._center[:, None]
        exact = self._center[:, None] == 0
        return Interval(np.where(exact, x, moved.lo), np.where(exact, x, moved.hi))

    def rows(self, y: Interval) -> tuple[Interval, Interval]:
        """The safe action set A u <= b at states of shape (n, cells): shapes (m, d, cells) and (m,
        cells).
        """
        c, B = self.enclosure.affine_in_action(y)
        return self.project(B), self.room[:, None] - (self.project(c) + self.disturbed(y))

    def disturbed(self, y: Interval) -> np.ndarray:
        """max_w |F_i E(x) (w - w_c)| over boxes of shape (n, cells), rounded up, shape (m,
        cells).
        """
        push = self.project(self.enclosure.disturbance_matrix(y)).magnitude
        return sum_up(round_up(push * self.w_radius[:, None]))

    def project(self, values: Interval) -> Interval:
        """F times values of shape (n, ...), by midpoints and radii: matrix products with an
        a-priori bound of their rounding.
        """
        middle = values.middle.reshape(self.n, -1)
        radius = round_up(
            np.maximum(
                values.hi.reshape(middle.shape) - middle, middle - values.lo.reshape(middle.shape)
            )
        )
        # A product of n terms, in any order, is off by at most n units of rounding of the product
        # of the magnitudes.
        slack = (self.n + 4) * 2.0**-51 * (np.abs(middle) + radius)
        total, spread = self.F @ middle, np.abs(self.F) @ round_up(radius + slack)
        shape = (len(self.F), *values.lo.shape[1:])
        return Interval(
            round_down(total - spread).reshape(shape), round_up(total + spread).reshape(shape)
        )

    def largest_margin(self, x: np.ndarray) -> float:
        """An upper bound of max_u min_i (b_i - A_i u) at the state x, shape (n,), by a linear
        program's multipliers; NaN if it fails.
        """
        A, b = (part[..., 0] for part in self.rows(self.from_center(x[:, None])))
        program = linprog(
            [*[0.0] * self.d, -1.0],
            A_ub=np.column_stack([A.middle, np.ones(len(self.F))]),
            b_ub=b.middle,
            bounds=[(-1.0, 1.0)] * self.d + [(None, None)],
        )
        if program.status != 0:
            return float("nan")
        # For y >= 0 with sum 1 every margin is at most y . (b - A u) <= y . b + |y A|, whatever y
        # is.
        y = Interval.point(np.maximum(-program.ineqlin.marginals, 0.0))
        pull, level = A * y[:, None], b * y
        bound = as_interval(0.0)
        for j in range(self.d):
            bound = bound + Interval.point(_accumulate(pull[:, j]).magnitude)
        return float(((bound + _accumulate(level)) / _accumulate(y)).hi)


def sum_up(terms: np.ndarray) -> np.ndarray:
    """Sums of non-negative terms over all axes but the first and the last, rounded up."""
    flat = terms.reshape(len(terms), -1, terms.shape[-1])
    # A sum of k terms in any order is off by at most (k - 1) units of rounding, relative to a sum
    # of positive terms.
    return round_up(flat.sum(axis=1) * (1.0 + flat.shape[1] * 2.0**-51))


def _accumulate(parts: Interval) -> Interval:
    """The sum over the first axis."""
    total = parts[0]
    for i in range(1, len(parts.lo)):
        total = total + parts[i]
    return total
