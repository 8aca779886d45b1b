"""An a-priori bound of what float32 does to a safeguarded step.

Run-time code computes the rows A a <= b of the safe action set at a float32 state x, tests a
float32 action against them and steps the model, all in float32:

    c, B, E = model.affine(x);  A = H B;  b = (1 - eps) - H c - H E w_c - |H E| w_r;  accept if A a
    <= b;  x' = model(x, a, w).

(w_c and w_r are the centre and the half-widths of the disturbance set.) If eps_i is at least the
sum of

- the errors of A and b as computed, with |a_j| <= 1,
- the errors of normalising a row to unit length and of evaluating A a - b in the test, and
- |H_i| times the error of the step's own x',

then an accepted action gives H_i x' <= 1, exactly, for the float32 vector x'. These errors are
bounded over all x in the bounding box of S, |a| <= 1 and w in W by running the standard model of
floating-point arithmetic through the jaxprs of `model.step` and `model.affine`: every operation
returns its exact result with a relative error of at most u = 2^-24 (a few u for division and
elementary functions), a sum of k terms at most (k - 1) u of the sum of the magnitudes in any order,
a constant at most u of itself. Contracting a product and a sum into one operation only lowers the
error. The model holds on CPUs and GPUs at JAX's highest matrix precision; accelerators that round
products to 10 bits are not covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..models import Model
from ..models._interpreter import Arithmetic, interpret, trace
from ..sets import Box, Polytope
from ._intervals import Interval

UNIT_ROUNDOFF = 2.0**-24
# Relative errors in units of u: IEEE for sums and products, looser where backends differ.
_DIVISION = 4.0
_ELEMENTARY = 8.0
# Below float32's normal range an operation may lose everything, however small.
_UNDERFLOW = 2.0**-126
# Covers the float64 rounding of the bounds themselves.
_SAFETY = 1.001


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A float32 number in a computation: where its exact value lies and how far off it may be."""

    exact: Interval
    error: float

    @classmethod
    def constant(cls, value: float) -> "Rounded":
        """A float64 constant that is rounded to float32."""
        return cls(Interval.point(value), abs(float(np.float32(value)) - value))

    @property
    def size(self) -> float:
        """Largest magnitude of the computed number."""
        return float(self.exact.magnitude) + self.error

    @property
    def reachable(self) -> Interval:
        """Where the computed number may lie."""
        return Interval(self.exact.lo - self.error * _SAFETY, self.exact.hi + self.error * _SAFETY)

    def rounded(self, units: float = 1.0) -> "Rounded":
        """After one more rounding of `units` u, relative."""
        return Rounded(
            self.exact, self.error + units * UNIT_ROUNDOFF * self.size * _SAFETY + _UNDERFLOW
        )

    def __neg__(self) -> "Rounded":
        return Rounded(-self.exact, self.error)

    def __add__(self, other: "Rounded") -> "Rounded":
        return Rounded(self.exact + other.exact, self.error + other.error).rounded()

    def __sub__(self, other: "Rounded") -> "Rounded":
        return self + (-other)

    def __mul__(self, other: "Rounded") -> "Rounded":
        error = self.size * other.error + float(other.exact.magnitude) * self.error
        # A square is not negative, which a product of two intervals does not know.
        exact = self.exact.power(2) if other is self else self.exact * other.exact
        return Rounded(exact, error).rounded()

    def __truediv__(self, other: "Rounded") -> "Rounded":
        exact = self.exact / other.exact
        nearest = float(other.reachable.mignitude)
        error = (
            (self.error + float(exact.magnitude) * other.error) / nearest if nearest > 0 else np.inf
        )
        return Rounded(exact, error).rounded(_DIVISION)

    def __abs__(self) -> "Rounded":
        return Rounded(Interval(self.exact.mignitude, self.exact.magnitude), self.error)

    def power(self, exponent: int) -> "Rounded":
        """x^exponent by at most |exponent| multiplications."""
        slope = Interval.point(float(exponent)) * self.reachable.power(exponent - 1)
        error = float(slope.magnitude) * self.error
        return Rounded(self.exact.power(exponent), error).rounded(_DIVISION + 2 * abs(exponent))

    def through(self, value, slope) -> "Rounded":
        """An elementary function with the given value and derivative, both on intervals."""
        error = float(slope(self.reachable).magnitude) * self.error
        return Rounded(value(self.exact), error).rounded(_ELEMENTARY)


def total(terms: Sequence[Rounded]) -> Rounded:
    """The sum of the terms in any order, also pairwise or blocked."""
    if not terms:
        return Rounded.constant(0.0)
    exact, error = terms[0].exact, sum(t.error for t in terms)
    for term in terms[1:]:
        exact = exact + term.exact
    additions = len(terms) - 1
    return Rounded(
        exact,
        error
        + additions * UNIT_ROUNDOFF * sum(t.size for t in terms) * _SAFETY
        + additions * _UNDERFLOW,
    )


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
        "sin": lambda t: t.through(Interval.sin, Interval.cos),
        "cos": lambda t: t.through(Interval.cos, Interval.sin),
        "tan": lambda t: t.through(Interval.tan, lambda v: v.tan().power(2) + 1.0),
        "atan": lambda t: t.through(Interval.arctan, lambda v: (v.power(2) + 1.0).reciprocal()),
        "tanh": lambda t: t.through(Interval.tanh, lambda v: 1.0 - v.tanh().power(2)),
        "exp": lambda t: t.through(Interval.exp, Interval.exp),
        "log": lambda t: t.through(Interval.log, Interval.reciprocal),
        "sqrt": lambda t: t.through(Interval.sqrt, lambda v: (v.sqrt() * 2.0).reciprocal()),
    },
    total=total,
)


def rounding_bound(
    model: Model, safe_state_set: Polytope, disturbance_set: Box
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the float32 errors and of the actions' effect, over a safe state set.

    Args:
        model: n states, d actions, k disturbances.
        safe_state_set: S = {x : H x <= 1} with float32 rows, H of shape (m, n).
        disturbance_set: W, a box in k dimensions with float32 bounds.

    Returns:
        eps, shape (m,): the bound described at the top of this module, in the scale h = 1.
        gain, shape (m,): a bound of the Euclidean length of H_i B(x).
    """
    # Where nothing is known, bounds become infinite or NaN, and the certificate's own check refuses
    # them.
    with np.errstate(all="ignore"):
        return _bound(model, safe_state_set, disturbance_set)


def _bound(
    model: Model, safe_state_set: Polytope, disturbance_set: Box
) -> tuple[np.ndarray, np.ndarray]:
    H = np.asarray(safe_state_set.H, np.float64)
    vertices = safe_state_set.vertices()
    # Float32 states of S, padded by far more than the vertices' own error.
    reach = 1e-6 * np.abs(vertices).max(axis=0)
    x = _variables(vertices.min(axis=0) - reach, vertices.max(axis=0) + reach)
    a = _variables(-np.ones(model.action_size), np.ones(model.action_size))
    lower, upper = (
        np.asarray(disturbance_set.lower, np.float64),
        np.asarray(disturbance_set.upper, np.float64),
    )
    w = _variables(lower, upper)
    center = [Rounded.constant(v).rounded(2) for v in (lower + upper) / 2]
    radius = [Rounded.constant(v).rounded(2) for v in (upper - lower) / 2]

    (step,) = interpret(trace(model.step, len(x), len(a), len(w)), ROUNDING, x, a, w)
    c, B, E = interpret(trace(lambda x: tuple(model.affine(x)), len(x)), ROUNDING, x)

    eps, gain = np.zeros(len(H)), np.zeros(len(H))
    for i, row in enumerate(H):
        A, F = [_dot(row, column) for column in B.T], [_dot(row, column) for column in E.T]
        # 1 - eps is rounded as well, and eps is not known yet: 1 is its bound.
        terms = [Rounded(Interval.point(1.0), UNIT_ROUNDOFF), -_dot(row, c)]
        terms += [-(f * v) for f, v in zip(F, center, strict=True)] + [
            -(abs(f) * v) for f, v in zip(F, radius, strict=True)
        ]
        b = total(terms)
        step_error = sum(abs(h) * v.error for h, v in zip(row, step, strict=True))
        rows_error = b.error + sum(v.error for v in A)
        # Length (d + 2 operations), reciprocal or division, and product: at most d + 8 roundings of
        # each entry, and d + 1 more where the test sums them.
        test_error = (2 * len(A) + 12) * UNIT_ROUNDOFF * (b.size + sum(v.size for v in A))
        eps[i] = (step_error + rows_error + test_error) * _SAFETY
        gain[i] = np.sqrt(sum(v.size**2 for v in A)) * _SAFETY
    return eps, gain


def _dot(row: np.ndarray, column: np.ndarray) -> Rounded:
    """The product of a float32 row with computed numbers."""
    return total([Rounded.constant(h) * value for h, value in zip(row, column, strict=True)])


def _variables(lower: np.ndarray, upper: np.ndarray) -> list[Rounded]:
    """Exact float32 inputs in a box."""
    return [
        Rounded(Interval(np.float64(lo), np.float64(hi)), 0.0)
        for lo, hi in zip(lower, upper, strict=True)
    ]  # pyright: ignore[reportArgumentType]
