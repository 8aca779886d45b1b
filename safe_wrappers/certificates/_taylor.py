"""Taylor enclosures: intervals of a scalar and of its first and second derivatives, over many boxes
(cells) at once.

The rules are forward second-order differentiation in outward-rounded interval arithmetic, and hold
for smooth functions; `_branches` has those that bend or jump.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ._intervals import Interval, where
from ._rounded import angle

Rule = Callable[[Interval], Interval]


@dataclass(frozen=True, slots=True, eq=False)
class Taylor:
    """Bounds of a scalar function and its derivatives over cells.

    Args:
        value: Shape (cells,), or () for a constant.
        support: Indices of the variables that it depends on, ascending; all other derivatives are
            zero.
        gradient: Shape (s, cells) for the s variables of the support; None without support or below
            order 1.
        curved: Indices of the variables with second derivatives, a part of the support.
        hessian: Shape (c, c, cells) for the c curved variables; None if there are none.
        order: Highest derivative that is computed, 0, 1 or 2.
    """

    value: Interval
    support: tuple[int, ...] = ()
    gradient: Interval | None = None
    curved: tuple[int, ...] = ()
    hessian: Interval | None = None
    order: int = 0

    @classmethod
    def constant(cls, value: float) -> "Taylor":
        """A constant over all cells."""
        return cls(Interval.point(value))

    @classmethod
    def variable(cls, value: Interval, index: int, order: int) -> "Taylor":
        """The variable of this index, with its range in each cell."""
        return (
            cls(value, (index,), Interval.point(np.ones((1, 1))), order=order)
            if order > 0
            else cls(value)
        )

    def __neg__(self) -> "Taylor":
        gradient, hessian = (
            None if part is None else -part for part in (self.gradient, self.hessian)
        )
        return Taylor(-self.value, self.support, gradient, self.curved, hessian, self.order)

    def __add__(self, other: "Taylor") -> "Taylor":
        support, curved = union(self.support, other.support), union(self.curved, other.curved)
        gradient = plus(
            spread(self.gradient, self.support, support),
            spread(other.gradient, other.support, support),
        )
        hessian = plus(
            spread(self.hessian, self.curved, curved), spread(other.hessian, other.curved, curved)
        )
        return Taylor(
            self.value + other.value,
            support,
            gradient,
            curved,
            hessian,
            max(self.order, other.order),
        )

    def __sub__(self, other: "Taylor") -> "Taylor":
        return self + (-other)

    def __mul__(self, other: "Taylor") -> "Taylor":
        if other is self:
            # A square is not negative, which a product of two intervals does not know.
            return self.power(2)
        support, curved = union(self.support, other.support), union(self.curved, other.curved)
        first, second = (
            spread(self.gradient, self.support, support),
            spread(other.gradient, other.support, support),
        )
        gradient = plus(times(first, other.value), times(second, self.value))
        outer = (
            first[:, None] * second[None, :]
            if first is not None and second is not None and self.order == other.order == 2
            else None
        )
        curved = curved if outer is None else support
        hessian = plus(
            times(spread(self.hessian, self.curved, curved), other.value),
            times(spread(other.hessian, other.curved, curved), self.value),
        )
        if outer is not None:
            hessian = plus(
                hessian, outer + Interval(outer.lo.swapaxes(0, 1), outer.hi.swapaxes(0, 1))
            )
        return Taylor(
            self.value * other.value,
            support,
            gradient,
            curved,
            hessian,
            max(self.order, other.order),
        )

    def __truediv__(self, other: "Taylor") -> "Taylor":
        return self * other.through(
            Interval.reciprocal,
            lambda v: -v.power(2).reciprocal(),
            lambda v: v.power(3).reciprocal() * 2.0,
        )

    def power(self, exponent: int) -> "Taylor":
        """The integer power x^exponent."""
        if exponent in (0, 1):
            return Taylor.constant(1.0) if exponent == 0 else self
        return self.through(
            lambda v: v.power(exponent),
            lambda v: v.power(exponent - 1) * float(exponent),
            lambda v: v.power(exponent - 2) * float(exponent * (exponent - 1)),
        )

    def through(self, value: Rule, slope: Rule, bend: Rule) -> "Taylor":
        """phi(self), given phi and its first and second derivatives on intervals (the chain
        rule).
        """
        result = value(self.value)
        if self.gradient is None:
            return Taylor(result)
        first = slope(self.value)
        gradient = self.gradient * first
        if self.order < 2:
            return Taylor(result, self.support, gradient, order=self.order)
        hessian = plus(
            times(spread(self.hessian, self.curved, self.support), first),
            (self.gradient[:, None] * self.gradient[None, :]) * bend(self.value),
        )
        return Taylor(result, self.support, gradient, self.support, hessian, self.order)


def union(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return first if first == second else tuple(sorted({*first, *second}))


def spread(part: Interval | None, old: tuple[int, ...], new: tuple[int, ...]) -> Interval | None:
    """Derivatives by the variables `old` as derivatives by `new`, which contains them: zeros
    elsewhere.
    """
    if part is None or old == new:
        return part
    axes = part.lo.ndim - 1
    places = np.ix_(*[[new.index(i) for i in old]] * axes)

    def embed(array: np.ndarray) -> np.ndarray:
        result = np.zeros((*[len(new)] * axes, array.shape[-1]))
        result[places] = array
        return result

    lo = embed(part.lo)
    return Interval(lo, lo if part.lo is part.hi else embed(part.hi))


def plus(first: Interval | None, second: Interval | None) -> Interval | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def times(part: Interval | None, factor: Interval) -> Interval | None:
    return None if part is None else part * factor


def blend(condition: np.ndarray, first: Taylor, second: Taylor) -> Taylor:
    """`first` in the cells where the condition holds, else `second`."""
    support, curved = union(first.support, second.support), union(first.curved, second.curved)
    order = max(first.order, second.order)
    return Taylor(
        where(condition, first.value, second.value),
        support,
        _blended(condition, first.gradient, second.gradient, first.support, second.support),
        curved,
        _blended(condition, first.hessian, second.hessian, first.curved, second.curved),
        order,
    )


def _blended(
    condition: np.ndarray,
    first: Interval | None,
    second: Interval | None,
    of_first: tuple[int, ...],
    of_second: tuple[int, ...],
) -> Interval | None:
    if first is None and second is None:
        return None
    variables, zeros = union(of_first, of_second), Interval.point(np.zeros(1))
    first = zeros if first is None else spread(first, of_first, variables)
    second = zeros if second is None else spread(second, of_second, variables)
    assert first is not None
    assert second is not None
    return where(condition, first, second)


def total(terms: Sequence[Taylor]) -> Taylor:
    """The sum of the terms."""
    return functools.reduce(Taylor.__add__, terms, Taylor.constant(0.0))


def real_power(base: Taylor, exponent: float) -> Taylor:
    """x^exponent; for x >= 0 unless the exponent is an integer."""
    if exponent == int(exponent):
        return base.power(int(exponent))
    return base.through(
        lambda v: v.real_power(exponent),
        lambda v: v.real_power(exponent - 1.0) * exponent,
        lambda v: v.real_power(exponent - 2.0) * (exponent * (exponent - 1.0)),
    )


def arctan2(y: Taylor, x: Taylor) -> Taylor:
    """The angle of (x, y); nothing is known of it where the negative x axis or the origin may be
    met.
    """
    # Off the branch cut, atan(y / x) and -atan(x / y) have the derivatives of the angle.
    right, across = _arctan(y / x), -_arctan(x / y)
    tangent = blend(x.value.lo > 0, right, across)
    defined = (x.value.lo > 0) | (y.value.lo > 0) | (y.value.hi < 0)
    unknown = Interval.point(np.where(defined, 0.0, np.nan))
    derivatives = [
        None if part is None else part + unknown for part in (tangent.gradient, tangent.hessian)
    ]
    return Taylor(
        angle(y.value, x.value),
        tangent.support,
        derivatives[0],
        tangent.curved,
        derivatives[1],
        tangent.order,
    )


def _smooth(value: Rule, slope: Rule, bend: Rule) -> Callable[[Taylor], Taylor]:
    return lambda t: t.through(value, slope, bend)


_LOG_2 = Interval.point(2.0).log()
_arctan = _smooth(
    Interval.arctan,
    lambda v: (v.power(2) + 1.0).reciprocal(),
    lambda v: v * -2.0 * (v.power(2) + 1.0).power(2).reciprocal(),
)


def _logistic_slope(v: Interval) -> Interval:
    return v.logistic() * (-v).logistic()


def _inverse_root(v: Interval) -> Interval:
    return (1.0 - v.power(2)).sqrt().reciprocal()


SMOOTH: dict[str, Callable[..., Taylor]] = {
    "add": Taylor.__add__,
    "add_any": Taylor.__add__,
    "sub": Taylor.__sub__,
    "neg": Taylor.__neg__,
    "mul": Taylor.__mul__,
    "div": Taylor.__truediv__,
    "integer_pow": Taylor.power,
    "pow": real_power,
    "atan2": arctan2,
    "sin": _smooth(Interval.sin, Interval.cos, lambda v: -v.sin()),
    "cos": _smooth(Interval.cos, lambda v: -v.sin(), lambda v: -v.cos()),
    "tan": _smooth(
        Interval.tan,
        lambda v: v.tan().power(2) + 1.0,
        lambda v: (v.tan().power(2) + 1.0) * v.tan() * 2.0,
    ),
    "asin": _smooth(Interval.arcsin, _inverse_root, lambda v: v * _inverse_root(v).power(3)),
    "acos": _smooth(
        Interval.arccos, lambda v: -_inverse_root(v), lambda v: -v * _inverse_root(v).power(3)
    ),
    "atan": _arctan,
    "sinh": _smooth(Interval.sinh, Interval.cosh, Interval.sinh),
    "cosh": _smooth(Interval.cosh, Interval.sinh, Interval.cosh),
    "tanh": _smooth(
        Interval.tanh,
        lambda v: 1.0 - v.tanh().power(2),
        lambda v: v.tanh() * (v.tanh().power(2) - 1.0) * 2.0,
    ),
    "logistic": _smooth(
        Interval.logistic,
        _logistic_slope,
        lambda v: _logistic_slope(v) * ((-v).logistic() - v.logistic()),
    ),
    "exp": _smooth(Interval.exp, Interval.exp, Interval.exp),
    "exp2": _smooth(
        Interval.exp2, lambda v: v.exp2() * _LOG_2, lambda v: v.exp2() * _LOG_2 * _LOG_2
    ),
    "expm1": _smooth(Interval.expm1, Interval.exp, Interval.exp),
    "log": _smooth(Interval.log, Interval.reciprocal, lambda v: -v.power(2).reciprocal()),
    "log1p": _smooth(
        Interval.log1p,
        lambda v: (v + 1.0).reciprocal(),
        lambda v: -(v + 1.0).power(2).reciprocal(),
    ),
    "sqrt": _smooth(
        Interval.sqrt,
        lambda v: (v.sqrt() * 2.0).reciprocal(),
        lambda v: -(v.sqrt() * v * 4.0).reciprocal(),
    ),
    "rsqrt": _smooth(
        lambda v: v.sqrt().reciprocal(),
        lambda v: -(v.sqrt() * v * 2.0).reciprocal(),
        lambda v: (v.sqrt() * v.power(2)).reciprocal() * 0.75,
    ),
    "cbrt": _smooth(
        Interval.cbrt,
        lambda v: (v.cbrt().power(2) * 3.0).reciprocal(),
        lambda v: -(v.cbrt().power(5) * 4.5).reciprocal(),
    ),
}
