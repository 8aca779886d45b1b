"""Functions that bend or jump (`abs`, `sign`, `max`, `min`, choices by a comparison) over boxes.

**Values and first derivatives** (`HULLS`): where a choice is open, hulls of both branches. The
derivative by a variable on which the comparison depends is unbounded there, since the function may
jump; by any other variable it is that of one of the branches. For rows, the variables are action
and disturbance, on which no comparison depends.

**Bending** (`Branches`): a function that has no second derivative is written as one that has, of
further variables e_k in [-1, 1], one for each operation that is open in some cell:

    |t|        = s t + c + r e    if lo < 0 < hi, with the slope s of the chord from (lo, |lo|) to
                 (hi, |hi|), and c in the middle of the values of |t| - s t
    sign t     = 1/2 (sign lo + sign hi) + 1/2 (sign hi - sign lo) e
    p ? t : f  = 1/2 (f + t) + 1/2 (t - f) e     if p is open
    max(a, b)  = 1/2 (a + b + |a - b|)

The e_k are some functions of z with values in [-1, 1]; nothing else is known of them. So over a
cell f(z) = g(z, e(z)) with g smooth, and by the mean value theorem

    F_i f(z) <= F_i g(z, 0) + sum_k max |d (F_i g) / d e_k|,

the maximum over the cell's box and all e. The first term is interpolated as every smooth function
is, from the corners' own values g(z_j, 0): these take the choices as they were left open over the
cell (`Branches.replay`). |t| loses 1/2 (hi - lo) at most, so the loss falls as cells shrink; at a
jump what remains is that each state near it may take the worse branch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..models._arithmetic import Arithmetic
from ..models._linear_algebra import eliminate
from ._intervals import Interval, hull, round_up, where
from ._rounded import least
from ._taylor import SMOOTH, Taylor, blend, spread, total, union
from ._truth import COMPARISONS, Truth, compare


def _compare(name: str) -> Callable[[Taylor, Taylor], Truth]:
    def comparison(first: Taylor, second: Taylor) -> Truth:
        return compare(name, first.value, second.value, slopes=_slopes(first - second))

    return comparison


def _slopes(t: Taylor) -> dict[int, np.ndarray]:
    if t.gradient is None:
        return {}
    return dict(zip(t.support, t.gradient.magnitude, strict=True))


_LOGIC: dict[str, Callable[..., Any]] = {
    "and": Truth.__and__,
    "or": Truth.__or__,
    "xor": Truth.__xor__,
    "not": Truth.__invert__,
    **{name: _compare(name) for name in COMPARISONS},
}


def _arithmetic(**rough: Callable[..., Any]) -> Arithmetic:
    operations = {**SMOOTH, **_LOGIC, **rough}
    arithmetic = Arithmetic(
        constant=Taylor.constant, operations=operations, total=total, truth=Truth.known
    )

    def solve(matrix: np.ndarray, right: list[Taylor]) -> list[Taylor]:
        return eliminate(matrix, right, arithmetic, lambda t: least(t.value))

    return arithmetic._replace(solve=solve)


def _first_order(value: Interval, slopes: dict[int, Interval]) -> Taylor:
    """A scalar with these first derivatives; those by other variables are zero."""
    if not slopes:
        return Taylor(value)
    shape = np.broadcast_shapes(*(slope.lo.shape for slope in slopes.values()))
    lo, hi = (
        np.stack([np.broadcast_to(getattr(slopes[i], end), shape) for i in sorted(slopes)])
        for end in ("lo", "hi")
    )
    return Taylor(value, tuple(sorted(slopes)), Interval(lo, hi), order=1)


def _derivative(t: Taylor, variables: tuple[int, ...]) -> dict[int, Interval]:
    gradient = spread(t.gradient, t.support, variables)
    if gradient is None:
        return {i: Interval.point(np.zeros(1)) for i in variables}
    return {i: gradient[row] for row, i in enumerate(variables)}


_UNBOUNDED = Interval(np.asarray(-np.inf), np.asarray(np.inf))


def _select_hull(condition: Truth, when_false: Any, when_true: Any) -> Any:
    if isinstance(when_false, Truth):
        return condition.choose(when_false, when_true)
    decided = where(condition.must, when_true.value, when_false.value)
    value = where(condition.open, hull(when_false.value, when_true.value), decided)
    variables = union(when_false.support, when_true.support)
    variables = union(variables, tuple(condition.slopes))
    no, yes = (_derivative(t, variables) for t in (when_false, when_true))
    slopes = {
        i: where(
            condition.open,
            _UNBOUNDED if i in condition.slopes else hull(no[i], yes[i]),
            where(condition.must, yes[i], no[i]),
        )
        for i in variables
    }
    return _first_order(value, slopes)


def _absolute_hull(t: Taylor) -> Taylor:
    sign, value = t.value.sign(), t.value.abs()
    return _first_order(value, {i: s * sign for i, s in _derivative(t, t.support).items()})


def _sign_hull(t: Taylor) -> Taylor:
    flat = (t.value.lo > 0) | (t.value.hi < 0)
    slope = where(flat, Interval.point(np.zeros(1)), _UNBOUNDED)
    return _first_order(t.value.sign(), dict.fromkeys(t.support, slope))


def _larger_hull(first: Taylor, second: Taylor) -> Taylor:
    chosen = _select_hull(compare("ge", first.value, second.value), second, first)
    return Taylor(
        first.value.larger(second.value),
        chosen.support,
        chosen.gradient,
        order=chosen.order,
    )


HULLS = _arithmetic(
    abs=_absolute_hull,
    sign=_sign_hull,
    max=_larger_hull,
    min=lambda first, second: -_larger_hull(-first, -second),
    select_n=_select_hull,
)


class Branches:
    """The operations that bend or jump, over one block of cells, in the order of evaluation.

    Args:
        variables: Number of variables z; the e_k have the indices that follow.

    Attributes:
        slopes: For each e_k, how fast its operation's operand moves with each variable.
        jumps: Whether an open operation may jump and does not just bend.
    """

    def __init__(self, variables: int):
        self._variables = variables
        self._decisions: list[list[np.ndarray]] = []
        self._open: list[np.ndarray] = []
        self.slopes: list[dict[int, np.ndarray]] = []
        self.jumps = False

    def arithmetic(self) -> Arithmetic:
        """Taylor enclosures with these rules."""
        return _arithmetic(
            abs=self._absolute,
            sign=self._sign,
            max=self._larger,
            min=lambda first, second: -self._larger(-first, -second),
            select_n=self._select,
        )

    def rough(self, cells: int) -> np.ndarray:
        """The cells in which some operation is open, shape (cells,)."""
        result = np.zeros(cells, bool)
        for mask in self._open:
            result |= mask
        return result

    def replay(self, cells: np.ndarray, times: int) -> "Branches":
        """The same decisions for points of the cells that `cells` selects, `times` in each."""

        def repeated(decision: np.ndarray) -> np.ndarray:
            return np.repeat(np.broadcast_to(decision, cells.shape)[cells], times)

        return _Replay([[repeated(part) for part in parts] for parts in self._decisions])

    def _decided(self, *decisions: np.ndarray) -> tuple[np.ndarray, ...]:
        """Decisions over the cells, for use now and at the replay."""
        self._decisions.append([np.asarray(decision) for decision in decisions])
        return decisions

    def _unknown(self, mask: np.ndarray, slopes: dict[int, np.ndarray]) -> Taylor:
        """The next e_k, for the cells of the mask."""
        self._open.append(mask)
        self.slopes.append(slopes)
        index = self._variables + len(self.slopes) - 1
        return Taylor.variable(Interval(np.full(1, -1.0), np.full(1, 1.0)), index, order=2)

    def _absolute(self, t: Taylor) -> Taylor:
        lo, hi = t.value.lo, t.value.hi
        positive, negative = lo >= 0, hi <= 0
        bends = ~(positive | negative)
        slope = np.where(bends, np.clip((hi + lo) / (hi - lo), -1.0, 1.0), 0.0)
        ends = [
            Interval.point(np.where(bends, np.abs(end), 0.0)) - Interval.point(slope) * end
            for end in (lo, hi)
        ]
        # |t| - s t is convex: between 0, at t = 0, and its value at an end.
        top = np.where(bends, np.maximum(ends[0].hi, ends[1].hi), 0.0)
        positive, bends, slope, top = self._decided(positive, bends, slope, top)
        straight = blend(positive, t, -t)
        if not bends.any():
            return straight
        half = Taylor(Interval.point(0.5 * top))
        spread_out = Taylor(Interval.point(round_up(0.5 * top)))
        e = self._unknown(bends, _slopes(t))
        return blend(bends, t * Taylor(Interval.point(slope)) + half + spread_out * e, straight)

    def _sign(self, t: Taylor) -> Taylor:
        sign = t.value.sign()
        middle, radius = self._decided(0.5 * (sign.lo + sign.hi), 0.5 * (sign.hi - sign.lo))
        value = Taylor(Interval.point(middle))
        if np.all(radius == 0):
            return value
        self.jumps = True
        return value + Taylor(Interval.point(radius)) * self._unknown(radius != 0, _slopes(t))

    def _larger(self, first: Taylor, second: Taylor) -> Taylor:
        difference = first - second
        wins, loses = difference.value.lo >= 0, difference.value.hi <= 0
        wins, bends = self._decided(wins, ~(wins | loses))
        chosen = blend(wins, first, second)
        if not bends.any():
            return chosen
        return blend(bends, (first + second + self._absolute(difference)) * _HALF, chosen)

    def _select(self, condition: Truth, when_false: Any, when_true: Any) -> Any:
        if isinstance(when_false, Truth):
            return condition.choose(when_false, when_true)
        must, undecided = self._decided(condition.must, condition.open)
        chosen = blend(must, when_true, when_false)
        if not undecided.any():
            return chosen
        self.jumps = True
        middle = (when_false + when_true) * _HALF
        jump = (when_true - when_false) * _HALF * self._unknown(undecided, condition.slopes)
        return blend(undecided, middle + jump, chosen)


_HALF = Taylor(Interval.point(0.5))


class _Replay(Branches):
    """Decisions that were taken before, with every e_k at 0."""

    def __init__(self, decisions: list[list[np.ndarray]]):
        super().__init__(0)
        self._coming = iter(decisions)

    def _decided(self, *decisions: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(next(self._coming))

    def _unknown(self, mask: np.ndarray, slopes: dict[int, np.ndarray]) -> Taylor:
        return Taylor.constant(0.0)
