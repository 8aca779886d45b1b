"""Interval arithmetic in float64 with outward rounding, vectorised over numpy arrays.

Every operation returns bounds of the exact real result: a correctly rounded operation is off by at
most half a unit in the last place, and each bound is moved outwards by at least one. Elementary
functions, which numpy computes to within a few units, are moved by more (`_ELEMENTARY`).

A NaN bound means that nothing is known, and NaN spreads through every operation; so a comparison
that is to prove something must be one that fails on NaN, such as `hi <= bound`.
"""

from dataclasses import dataclass
from typing import Union

import numpy as np

Operand = Union["Interval", np.ndarray, float]

_ULP = 2.0**-52
# Added so that results near zero are widened too, where relative rounding errors do not hold.
_TINY = 1e-290
# Error of numpy's elementary functions: 2 units in the last place of 1 absolutely for sin and cos,
# 4 relatively for the others.
_TRIGONOMETRIC = 2.0**-51
_ELEMENTARY = 2.0**-50
# Beyond this the position relative to the extrema of sin is not resolved well.
_LARGEST_ANGLE = 1e6


def round_down(value) -> np.ndarray:
    """At most the exact result that `value` approximates to half a unit in the last place."""
    return value - (np.abs(value) * _ULP + _TINY)


def round_up(value) -> np.ndarray:
    """At least the exact result that `value` approximates to half a unit in the last place."""
    return value + (np.abs(value) * _ULP + _TINY)


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """The numbers between `lo` and `hi`, arrays of one shape."""

    lo: np.ndarray
    hi: np.ndarray

    # numpy arrays on the left of an operator leave it to this class.
    __array_ufunc__ = None

    @classmethod
    def point(cls, value) -> "Interval":
        """The interval that holds one number, given exactly."""
        value = np.asarray(value, np.float64)
        return cls(value, value)

    @property
    def _is_point(self) -> bool:
        return self.lo is self.hi

    def __getitem__(self, index) -> "Interval":
        return Interval(self.lo[index], self.hi[index])

    def __neg__(self) -> "Interval":
        if self._is_point:
            return Interval.point(-self.lo)
        return Interval(-self.hi, -self.lo)

    def __add__(self, other: Operand) -> "Interval":
        other = as_interval(other)
        return Interval(round_down(self.lo + other.lo), round_up(self.hi + other.hi))

    def __sub__(self, other: Operand) -> "Interval":
        other = as_interval(other)
        return Interval(round_down(self.lo - other.hi), round_up(self.hi - other.lo))

    def __mul__(self, other: Operand) -> "Interval":
        other = as_interval(other)
        if other._is_point:
            self, other = other, self
        first, second = self.lo * other.lo, self.lo * other.hi
        lo, hi = np.minimum(first, second), np.maximum(first, second)
        if not self._is_point:
            first, second = self.hi * other.lo, self.hi * other.hi
            lo, hi = (
                np.minimum(lo, np.minimum(first, second)),
                np.maximum(hi, np.maximum(first, second)),
            )
        return Interval(round_down(lo), round_up(hi))

    def __truediv__(self, other: Operand) -> "Interval":
        return self * as_interval(other).reciprocal()

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Operand) -> "Interval":
        return as_interval(other) - self

    def __rtruediv__(self, other: Operand) -> "Interval":
        return as_interval(other) / self

    def reciprocal(self) -> "Interval":
        """1 / x; unbounded where the interval holds zero."""
        bounded = (self.lo > 0) | (self.hi < 0)
        lo, hi = np.where(bounded, self.lo, 1.0), np.where(bounded, self.hi, 1.0)
        return Interval(
            np.where(bounded, round_down(1.0 / hi), -np.inf),
            np.where(bounded, round_up(1.0 / lo), np.inf),
        )

    def power(self, exponent: int) -> "Interval":
        """The integer power x^exponent."""
        if exponent < 0:
            return self.power(-exponent).reciprocal()
        if exponent == 0:
            return Interval.point(np.ones_like(self.lo))
        if exponent % 2 == 1:
            # Odd powers increase, so each bound comes from one end alone.
            return Interval(
                _power_of_ends(self.lo, exponent).lo, _power_of_ends(self.hi, exponent).hi
            )
        return Interval(
            _power_of_ends(self.mignitude, exponent).lo, _power_of_ends(self.magnitude, exponent).hi
        )

    @property
    def magnitude(self) -> np.ndarray:
        """Largest |x|, exact."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))

    @property
    def mignitude(self) -> np.ndarray:
        """Smallest |x|, exact."""
        return np.maximum(np.maximum(self.lo, -self.hi), 0.0)

    @property
    def middle(self) -> np.ndarray:
        """A number in the middle, not rounded outwards."""
        return 0.5 * (self.lo + self.hi)

    @property
    def width(self) -> np.ndarray:
        """At least hi - lo."""
        return round_up(self.hi - self.lo)

    def sin(self) -> "Interval":
        """Sine."""
        return _cosine(self.lo, self.hi, np.sin, 0.25)

    def cos(self) -> "Interval":
        """Cosine."""
        return _cosine(self.lo, self.hi, np.cos, 0.0)

    def tan(self) -> "Interval":
        """Tangent; unbounded where the interval may hold a pole."""
        bounded = self.cos().mignitude > 0
        lo, hi = np.where(bounded, self.lo, 0.0), np.where(bounded, self.hi, 0.0)
        # tan increases between poles, and an interval that holds none is shorter than a period.
        inside = _increasing(np.tan, lo, hi)
        return Interval(np.where(bounded, inside.lo, -np.inf), np.where(bounded, inside.hi, np.inf))

    def arctan(self) -> "Interval":
        """Arctangent."""
        return _increasing(np.arctan, self.lo, self.hi)

    def tanh(self) -> "Interval":
        """Hyperbolic tangent."""
        result = _increasing(np.tanh, self.lo, self.hi)
        return Interval(np.maximum(result.lo, -1.0), np.minimum(result.hi, 1.0))

    def exp(self) -> "Interval":
        """Exponential."""
        result = _increasing(np.exp, self.lo, self.hi)
        return Interval(np.maximum(result.lo, 0.0), result.hi)

    def log(self) -> "Interval":
        """Natural logarithm; nothing is known where the interval holds a number that is not
        positive.
        """
        positive = np.where(self.lo > 0, 1.0, np.nan)
        # log is small near 1 without losing accuracy relative to 1, so it is padded absolutely too.
        result = _increasing(
            np.log, np.where(self.lo > 0, self.lo, 1.0), np.where(self.lo > 0, self.hi, 1.0)
        )
        return Interval((result.lo - _ELEMENTARY) * positive, (result.hi + _ELEMENTARY) * positive)

    def sqrt(self) -> "Interval":
        """Square root; nothing is known where the interval holds a negative number."""
        valid = np.where(self.lo >= 0, 1.0, np.nan)
        lo, hi = np.where(self.lo >= 0, self.lo, 0.0), np.where(self.lo >= 0, self.hi, 0.0)
        return Interval(
            np.maximum(round_down(np.sqrt(lo)), 0.0) * valid, round_up(np.sqrt(hi)) * valid
        )

    def cbrt(self) -> "Interval":
        """Cube root."""
        return _increasing(np.cbrt, self.lo, self.hi)

    def exp2(self) -> "Interval":
        """2^x."""
        result = _increasing(np.exp2, self.lo, self.hi)
        return Interval(np.maximum(result.lo, 0.0), result.hi)

    def expm1(self) -> "Interval":
        """exp(x) - 1."""
        result = _increasing(np.expm1, self.lo, self.hi)
        return Interval(np.maximum(result.lo, -1.0), result.hi)

    def log1p(self) -> "Interval":
        """log(1 + x); nothing is known where the interval holds a number <= -1."""
        return _increasing(
            np.log1p, *(np.where(self.lo > -1, end, np.nan) for end in (self.lo, self.hi))
        )

    def sinh(self) -> "Interval":
        """Hyperbolic sine."""
        return _increasing(np.sinh, self.lo, self.hi)

    def cosh(self) -> "Interval":
        """Hyperbolic cosine."""
        result = _increasing(np.cosh, self.mignitude, self.magnitude)
        return Interval(np.maximum(result.lo, 1.0), result.hi)

    def arcsin(self) -> "Interval":
        """Arcsine; nothing is known where the interval leaves [-1, 1]."""
        inside = (self.lo >= -1) & (self.hi <= 1)
        return _increasing(
            np.arcsin, *(np.where(inside, end, np.nan) for end in (self.lo, self.hi))
        )

    def arccos(self) -> "Interval":
        """Arccosine; nothing is known where the interval leaves [-1, 1]."""
        return HALF_PI - self.arcsin()

    def logistic(self) -> "Interval":
        """1 / (1 + exp(-x))."""
        return ((-self).exp() + 1.0).reciprocal()

    def real_power(self, exponent: float) -> "Interval":
        """x^exponent for x >= 0; nothing is known where the interval holds a negative number."""
        if exponent < 0:
            return self.real_power(-exponent).reciprocal()
        valid = np.where(self.lo >= 0, 1.0, np.nan)
        result = _increasing(lambda x: np.power(x, exponent), self.lo * valid, self.hi * valid)
        return Interval(np.maximum(result.lo, 0.0), result.hi)

    def abs(self) -> "Interval":
        """Absolute value."""
        return Interval(self.mignitude, self.magnitude)

    def sign(self) -> "Interval":
        """Sign: -1, 0 or 1."""
        return Interval(np.sign(self.lo), np.sign(self.hi))

    def larger(self, other: Operand) -> "Interval":
        """max(x, y)."""
        other = as_interval(other)
        return Interval(np.maximum(self.lo, other.lo), np.maximum(self.hi, other.hi))

    def smaller(self, other: Operand) -> "Interval":
        """min(x, y)."""
        other = as_interval(other)
        return Interval(np.minimum(self.lo, other.lo), np.minimum(self.hi, other.hi))


def as_interval(value: Operand) -> Interval:
    """`value` itself, or the point interval of a number or array."""
    return value if isinstance(value, Interval) else Interval.point(value)


def hull(first: Interval, second: Interval) -> Interval:
    """The smallest interval that holds both."""
    return Interval(np.minimum(first.lo, second.lo), np.maximum(first.hi, second.hi))


def where(condition: np.ndarray, first: Interval, second: Interval) -> Interval:
    """`first` where the condition holds, else `second`."""
    if first._is_point and second._is_point:
        return Interval.point(np.where(condition, first.lo, second.lo))
    return Interval(
        np.where(condition, first.lo, second.lo), np.where(condition, first.hi, second.hi)
    )


def _power_of_ends(value: np.ndarray, exponent: int) -> Interval:
    """x^exponent for exact x by repeated multiplication, which stays tight: points have no
    dependency to lose.
    """
    result = base = Interval.point(value)
    for _ in range(exponent - 1):
        result = result * base
    return result


def _increasing(function, lo: np.ndarray, hi: np.ndarray) -> Interval:
    lo, hi = function(lo), function(hi)
    return Interval(
        lo - (np.abs(lo) * _ELEMENTARY + _TINY), hi + (np.abs(hi) * _ELEMENTARY + _TINY)
    )


def _cosine(lo: np.ndarray, hi: np.ndarray, function, phase: float) -> Interval:
    """Bounds of cos(x - 2 pi phase), which `function` evaluates: its maxima lie at phase + k turns,
    its minima half a turn on.
    """
    at_lo, at_hi = function(lo), function(hi)
    turns_lo, turns_hi = lo / (2 * np.pi), hi / (2 * np.pi)
    # Taken to hold an extremum when in doubt: the turns are known to about 1e-16 of 1e6.
    slack = 1e-9
    has_maximum = np.floor(turns_hi - phase + slack) >= np.ceil(turns_lo - phase - slack)
    has_minimum = np.floor(turns_hi - phase - 0.5 + slack) >= np.ceil(
        turns_lo - phase - 0.5 - slack
    )
    resolved = (np.maximum(np.abs(lo), np.abs(hi)) <= _LARGEST_ANGLE) | np.isnan(lo) | np.isnan(hi)
    lower = np.maximum(np.minimum(at_lo, at_hi) - _TRIGONOMETRIC, -1.0)
    upper = np.minimum(np.maximum(at_lo, at_hi) + _TRIGONOMETRIC, 1.0)
    return Interval(
        np.where(has_minimum | ~resolved, -1.0, lower),
        np.where(has_maximum | ~resolved, 1.0, upper),
    )


# Half of pi lies between these neighbours.
HALF_PI = Interval(np.asarray(np.pi / 2), np.asarray(np.nextafter(np.pi / 2, 2.0)))
