"""Float32 numbers in a computation, with a bound of their error: the standard model of
floating-point arithmetic.

Every operation returns its exact result with a relative error of at most u = 2^-24 (a few u for
division and elementary functions), a sum of k terms at most (k - 1) u of the sum of the magnitudes
in any order. Constants are float32 numbers and exact. Below 2^-126 an operation may lose
everything, and where a number may exceed the largest float32 number nothing is known: its error is
infinite.

**Choices.** A comparison of two numbers without error is decided in float32 as in real numbers. So
the computed value takes the branch of the exact one, and its error is that of the branches. If an
operand carries an error and the comparison is open, the computed value may lie on the other branch:
its error includes the jump between them. (Where the processor takes a number below 2^-126 for 0,
the step and the rows are both those of the state with 0 in its place, so they still agree.)

**Linear equations** by elimination with partial pivoting: the computed solution satisfies
(A + D) x = b with |D| <= g_3n |L| |U|, g_k = k u / (1 - k u) (N. J. Higham, Accuracy and Stability
of Numerical Algorithms, 2nd ed., theorem 9.4; 4 more roundings allow for divisions that are not
correctly rounded). Partial pivoting keeps |L_ik| <= 1 and
|U_kj| <= 2^(k - 1) max |A| (section 9.3), so (|L| |U|)_ij <= (2^n - 1) max |A|. If A and b come
with errors E_A and e_b, then

    |x_computed - x| <= C |x_computed| + |A^-1| e_b,  C = |A^-1| (|D| + E_A),

and with r = max |x_computed - x| <= max (C |x| + |A^-1| e_b) / (1 - |C|) where |C| < 1 in the
maximum norm. |A^-1| comes from an interval elimination. The pivots do not matter. Cholesky factors
have none, and are followed operation by operation.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models._arithmetic import Arithmetic
from ..models._linear_algebra import eliminate
from ._intervals import HALF_PI, Interval, hull, where
from ._truth import COMPARISONS, Truth, compare

UNIT_ROUNDOFF = 2.0**-24
# Relative errors in units of u: IEEE for sums and products, looser where backends differ.
_DIVISION = 4.0
_ELEMENTARY = 8.0
_POWER = 16.0
# Below float32's normal range an operation may lose everything, however small.
_UNDERFLOW = 2.0**-126
_LARGEST = float(np.finfo(np.float32).max)
# Covers the float64 rounding of the bounds themselves.
SAFETY = 1.001

Rule = Callable[[Interval], Interval]


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A float32 number in a computation: where its exact value lies and how far off it may be, over
    one or many boxes.
    """

    exact: Interval
    error: Any

    @classmethod
    def constant(cls, value: float) -> "Rounded":
        """A constant as float32 holds it."""
        held = float(np.float32(value))
        return cls(Interval.point(value), 0.0 if held == value else abs(held - value))

    @property
    def size(self) -> Any:
        """Largest magnitude of the computed number."""
        return self.exact.magnitude + self.error

    @property
    def reachable(self) -> Interval:
        """Where the computed number may lie."""
        return Interval(self.exact.lo - self.error * SAFETY, self.exact.hi + self.error * SAFETY)

    def rounded(self, units: Any = 1.0) -> "Rounded":
        """After one more rounding of `units` u, relative."""
        error = self.error + units * UNIT_ROUNDOFF * self.size * SAFETY + _UNDERFLOW
        return Rounded(self.exact, _finite(error, self.exact.magnitude + error))

    def __neg__(self) -> "Rounded":
        return Rounded(-self.exact, self.error)

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.exact + other.exact, self.error + other.error).rounded()

    def __sub__(self, other: "Rounded") -> "Rounded":
        return self + (-other)

    def __mul__(self, other: "Rounded") -> "Rounded":
        error = self.size * other.error + other.exact.magnitude * self.error
        # A square is not negative, which a product of two intervals does not know.
        exact = self.exact.power(2) if other is self else self.exact * other.exact
        return Rounded(exact, error).rounded()

    def __truediv__(self, other: "Rounded") -> "Rounded":
        exact, nearest = self.exact / other.exact, other.reachable.mignitude
        error = (self.error + exact.magnitude * other.error) / nearest
        # A compiler may multiply by the reciprocal, which may underflow.
        error = error + self.size * _UNDERFLOW
        return Rounded(exact, np.where(nearest >= _UNDERFLOW, error, np.inf)).rounded(_DIVISION)

    def __abs__(self) -> "Rounded":
        return Rounded(self.exact.abs(), self.error)

    def sign(self) -> "Rounded":
        """-1, 0 or 1."""
        jump = self.reachable.sign()
        return Rounded(self.exact.sign(), np.where(self.error == 0, 0.0, jump.hi - jump.lo))

    def power(self, exponent: int) -> "Rounded":
        """x^exponent by at most |exponent| multiplications."""
        if exponent < 0:
            return Rounded.constant(1.0) / self.power(-exponent)
        slope = Interval.point(float(exponent)) * self.reachable.power(exponent - 1)
        error = slope.magnitude * self.error
        # Intermediate powers are no larger than the last one, or than the number itself.
        units = _DIVISION + 2 * exponent
        return _checked(Rounded(self.exact.power(exponent), error).rounded(units), self.size)

    def real_power(self, exponent: float) -> "Rounded":
        """x^exponent, perhaps by exp(exponent log x)."""
        if exponent == int(exponent) and abs(exponent) <= 64:
            plain = self.power(int(exponent))
            return plain.rounded(_power_units(self, exponent))
        slope = self.reachable.real_power(exponent - 1.0) * exponent
        value = Rounded(self.exact.real_power(exponent), _spread(slope, self.error))
        return value.rounded(_power_units(self, exponent))

    def through(self, value: Rule, slope: Rule, *, absolute: float = 0.0) -> "Rounded":
        """An elementary function with the given value and derivative, both on intervals.

        Args:
            value: The function.
            slope: Its derivative.
            absolute: Its error in units of u beside the relative one.
        """
        error = _spread(slope(self.reachable), self.error) + absolute * UNIT_ROUNDOFF
        return Rounded(value(self.exact), error).rounded(_ELEMENTARY)


def _finite(error: Any, size: Any) -> Any:
    """The error, infinite where the number may overflow or nothing is known of it."""
    return np.where(size <= _LARGEST, error, np.inf)


def _checked(value: Rounded, size: Any) -> Rounded:
    return Rounded(value.exact, _finite(value.error, size))


def _spread(slope: Interval, error: Any) -> Any:
    """What a function makes of an error; nothing of none, even where it is steep without bound."""
    return np.where(np.asarray(error) == 0, 0.0, slope.magnitude * error)


def _power_units(base: Rounded, exponent: float) -> Any:
    """exp(y log x) multiplies the rounding of its argument y log x by itself."""
    logarithm = np.abs(np.log(np.maximum(base.exact.abs().lo, 1e-38)))
    logarithm = np.maximum(logarithm, np.abs(np.log(np.maximum(base.exact.magnitude, 1e-38))))
    return _POWER + 4 * abs(exponent) * logarithm


def total(terms: Sequence[Rounded]) -> Rounded:
    """The sum of the terms in any order, also pairwise or blocked."""
    if not terms:
        return Rounded.constant(0.0)
    exact, error = terms[0].exact, sum(t.error for t in terms)
    for term in terms[1:]:
        exact = exact + term.exact
    additions, sizes = len(terms) - 1, sum(t.size for t in terms)
    error = error + additions * UNIT_ROUNDOFF * sizes * SAFETY + additions * _UNDERFLOW
    return Rounded(exact, _finite(error, sizes + error))


def _compare(name: str) -> Callable[[Rounded, Rounded], Truth]:
    def comparison(first: Rounded, second: Rounded) -> Truth:
        exact = (np.asarray(first.error) == 0) & (np.asarray(second.error) == 0)
        reachable = first.reachable
        itself = reachable if first is second else second.reachable
        return compare(name, reachable, itself, exact)

    return comparison


def _select(condition: Truth, when_false: Any, when_true: Any) -> Any:
    if isinstance(when_false, Truth):
        return condition.choose(when_false, when_true)
    either = hull(when_false.exact, when_true.exact)
    exact = where(condition.open, either, where(condition.must, when_true.exact, when_false.exact))
    decided = np.where(condition.must, when_true.error, when_false.error)
    jump = (when_true.exact - when_false.exact).magnitude
    larger = np.maximum(when_true.error, when_false.error)
    undecided = larger + np.where(condition.sure, 0.0, jump)
    return Rounded(exact, np.where(condition.open, undecided, decided))


def _larger(first: Rounded, second: Rounded) -> Rounded:
    return Rounded(first.exact.larger(second.exact), np.maximum(first.error, second.error))


def _smaller(first: Rounded, second: Rounded) -> Rounded:
    return Rounded(first.exact.smaller(second.exact), np.maximum(first.error, second.error))


def _inverse_sine(value: Rule) -> Callable[[Rounded], Rounded]:
    """By atan2 and sqrt(1 - x^2), whose rounding counts for much near |x| = 1."""

    def function(x: Rounded) -> Rounded:
        room = 1.0 - x.reachable.power(2)
        error = _spread(room.sqrt().reciprocal(), x.error)
        error = error + _ELEMENTARY * UNIT_ROUNDOFF * room.reciprocal().magnitude
        return Rounded(value(x.exact), error).rounded(_ELEMENTARY)

    return function


def _atan2(y: Rounded, x: Rounded) -> Rounded:
    """The angle; its error is unbounded where the negative x axis or the origin is near."""
    cut = ~((x.reachable.lo > 0) | (y.reachable.lo > 0) | (y.reachable.hi < 0))
    radius = np.maximum(x.reachable.mignitude, y.reachable.mignitude)
    error = np.where(cut, np.inf, (y.error + x.error) / radius)
    return Rounded(angle(y.exact, x.exact), error).rounded(_ELEMENTARY)


def angle(y: Interval, x: Interval) -> Interval:
    """atan2(y, x) on intervals: all angles where the negative x axis or the origin may be met."""
    right = (y / x).arctan()
    above = HALF_PI - (x / y).arctan()
    below = -HALF_PI - (x / y).arctan()
    everything = Interval(-2.0 * HALF_PI.hi, 2.0 * HALF_PI.hi)
    result = where(y.hi < 0, below, everything)
    result = where(y.lo > 0, above, result)
    return where(x.lo > 0, right, result)


_INTERVALS = Arithmetic(
    constant=Interval.point,
    operations={
        "mul": Interval.__mul__,
        "sub": Interval.__sub__,
        "div": Interval.__truediv__,
        "neg": Interval.__neg__,
    },
    total=lambda terms: sum(terms[1:], terms[0]),
)


def _solve(matrix: np.ndarray, right: list[Rounded]) -> list[Rounded]:
    """Linear equations, see the top of this module."""
    n = len(right)
    entries = [[Rounded.constant(0.0) if e is None else e for e in row] for row in matrix]
    exact = np.empty((n, n), object)
    exact[:] = [[None if e is None else e.exact for e in row] for row in matrix]

    def solution(columns: list[Interval]) -> list[Interval]:
        return eliminate(exact, columns, _INTERVALS, least)

    x = solution([value.exact for value in right])
    units = [[Interval.point(float(i == j)) for i in range(n)] for j in range(n)]
    inverse = [[value.magnitude for value in solution(unit)] for unit in units]
    largest = _greatest([entry.size for row in entries for entry in row])
    roundings = (3 * n + 4) * UNIT_ROUNDOFF * SAFETY
    backward = roundings * (2.0**n - 1) * largest + n * _UNDERFLOW
    wrong = [[backward + entry.error for entry in row] for row in entries]
    lost = n * _UNDERFLOW * (1.0 + 2.0**n * largest)
    # C_ij and what the errors of b come to.
    C = [[sum(inverse[k][i] * wrong[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    base = [
        sum(C[i][j] * x[j].magnitude + inverse[j][i] * (right[j].error + lost) for j in range(n))
        for i in range(n)
    ]
    rho = _greatest([sum(row) for row in C]) * SAFETY
    r = np.where(rho < 1, _greatest(base) / (1 - rho), np.inf)
    return [
        _checked(Rounded(x[i], (base[i] + sum(C[i]) * r) * SAFETY).rounded(), 2.0**n * largest)
        for i in range(n)
    ]


def _greatest(values: Sequence[Any]) -> Any:
    return functools.reduce(np.maximum, values)


def least(value: Interval) -> float:
    """The smallest magnitude over all boxes, by which pivots are chosen; 0 where nothing is
    known.
    """
    return float(np.min(np.nan_to_num(value.mignitude, nan=0.0)))


def _through(value: Rule, slope: Rule, **options: float) -> Callable[[Rounded], Rounded]:
    return lambda t: t.through(value, slope, **options)


ROUNDING = Arithmetic(
    constant=Rounded.constant,
    operations={
        "add": Rounded.__add__,
        "add_any": Rounded.__add__,
        "sub": Rounded.__sub__,
        "neg": Rounded.__neg__,
        "mul": Rounded.__mul__,
        "div": Rounded.__truediv__,
        "integer_pow": Rounded.power,
        "pow": Rounded.real_power,
        "abs": Rounded.__abs__,
        "sign": Rounded.sign,
        "max": _larger,
        "min": _smaller,
        "and": Truth.__and__,
        "or": Truth.__or__,
        "xor": Truth.__xor__,
        "not": Truth.__invert__,
        **{name: _compare(name) for name in COMPARISONS},
        "select_n": _select,
        "atan2": _atan2,
        "asin": _inverse_sine(Interval.arcsin),
        "acos": _inverse_sine(Interval.arccos),
        "sin": _through(Interval.sin, Interval.cos),
        "cos": _through(Interval.cos, Interval.sin),
        "tan": _through(Interval.tan, lambda v: v.tan().power(2) + 1.0),
        "atan": _through(Interval.arctan, lambda v: (v.power(2) + 1.0).reciprocal()),
        "tanh": _through(Interval.tanh, lambda v: 1.0 - v.tanh().power(2)),
        "sinh": lambda t: t.through(Interval.sinh, Interval.cosh, absolute=_ELEMENTARY).rounded(
            2 * t.size
        ),
        "cosh": lambda t: t.through(Interval.cosh, Interval.sinh).rounded(2 * t.size),
        "logistic": _through(
            Interval.logistic, lambda v: v.logistic() * (1.0 - v.logistic()), absolute=_ELEMENTARY
        ),
        "exp": _through(Interval.exp, Interval.exp),
        "exp2": _through(Interval.exp2, Interval.exp2),
        "expm1": _through(Interval.expm1, Interval.exp, absolute=_ELEMENTARY),
        "log": _through(Interval.log, Interval.reciprocal),
        "log1p": _through(Interval.log1p, lambda v: (v + 1.0).reciprocal(), absolute=_ELEMENTARY),
        "sqrt": _through(Interval.sqrt, lambda v: (v.sqrt() * 2.0).reciprocal()),
        "rsqrt": _through(
            lambda v: v.sqrt().reciprocal(), lambda v: (v.sqrt() * v * 2.0).reciprocal()
        ),
        "cbrt": lambda t: t.through(
            Interval.cbrt, lambda v: (v.cbrt().power(2) * 3.0).reciprocal(), absolute=_POWER
        ).rounded(_POWER * (1.0 + np.log1p(t.size))),
    },
    total=total,
    solve=_solve,
)
