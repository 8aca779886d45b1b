"""A step as a linear function of its arguments and of the few scalars in it that are not linear.

The program of x' = g(x, v, w) is read once more: every scalar is kept as an exact linear
combination, with rational coefficients, of the arguments z = (x, v, w), a constant, and of those
results that are not linear in anything before, here called *causes*: a quotient, a sine, a product
of two numbers that vary. For a step of semi-implicit Euler a nonlinear force is one cause, which
enters the speed with the factor dt and the position with dt^2: what is not known of it pushes both
at once, and not each by itself.

The program computes with float32 constants, and these are the rational numbers that are taken.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .._errors import ModelError
from ..models import Model
from ..models._arithmetic import Arithmetic
from ..models._interpreter import interpret
from ..models._step import traced_step
from ._branches import HULLS
from ._intervals import Interval
from ._taylor import Taylor

# The index of the constant in a combination, and of a constant that is infinite or no number.
ONE, _INFINITE = -1, -2
Combination = dict[int, Fraction]


class LinearParts(NamedTuple):
    """x'_i = sum_j rows[i][j] z_j + rows[i][ONE] + sum_c coefficient times cause c.

    Attributes:
        rows: For each next state the coefficients of the arguments in (x, v, w), by index, that of
            the constant at `ONE`, and those of the causes, which are numbered from n + d + k on.
        causes: What is known of each cause over the boxes that were asked for.
    """

    rows: list[Combination]
    causes: list[Taylor]


def linear_parts(model: Model, z: Interval, order: int = 1) -> LinearParts:
    """The linear parts of x' = f(x, a, w) over boxes of z = (x, a, w), shape (n + d + k, cells).

    Causes are numbered in the order of the program, the same for all boxes.

    Args:
        model: n states, d actions, k disturbances.
        z: The boxes.
        order: Highest derivative of the causes by z that is computed.

    Raises:
        ModelError: Naming the primitive, if the model uses one without a rule, or if an infinite
            constant is added to a next state.
    """
    reader = _Reader(len(z.lo))
    scalars = [
        _Scalar({i: Fraction(1)}, Taylor.variable(z[i], i, order=order)) for i in range(len(z.lo))
    ]
    n, d = model.state_size, model.action_size
    with np.errstate(all="ignore"):
        (outputs,) = interpret(
            traced_step(model),
            reader.arithmetic(),
            scalars[:n],
            scalars[n : n + d],
            scalars[n + d :],
        )
    rows = [output.combination for output in outputs]
    if any(_INFINITE in row for row in rows):
        raise ModelError(
            f"A next state of the model {model.name!r} must be a finite number, but a constant "
            "that is infinite or NaN is added to it."
        )
    return LinearParts(rows, reader.causes)


class SteadyEffects(NamedTuple):
    """What arguments of x' = g(x, v, w) do to it that is the same at every state.

    Attributes:
        values: The derivative of each next state by each of (v, w), shape (n, d + k), float64; 0
            where it is not the same everywhere.
        steady: Where it is, shape (n, d + k), boolean.
    """

    values: np.ndarray
    steady: np.ndarray


def steady_effects(model: Model) -> SteadyEffects:
    """The part of a model's effects that is read off its program, once for all states.

    Args:
        model: n states, d actions, k disturbances, affine in these.

    Raises:
        ModelError: As `linear_parts`.
    """
    n, count = model.state_size, model.action_size + model.disturbance_size
    # Which causes an argument enters does not depend on the box.
    rows, causes = linear_parts(model, Interval.point(np.zeros((n + count, 1))))
    values, steady = np.zeros((n, count)), np.ones((n, count), bool)
    for i, row in enumerate(rows):
        moved_by = {j for key in row if key >= n + count for j in causes[key - n - count].support}
        for j in range(count):
            steady[i, j] = n + j not in moved_by
            values[i, j] = float(row.get(n + j, 0)) if steady[i, j] else 0.0
    return SteadyEffects(values, steady)


class _Scalar(NamedTuple):
    """A scalar as a combination, and as bounds over the boxes."""

    combination: Combination
    bounds: Taylor

    @property
    def constant(self) -> Fraction | None:
        """The number that it is, or None if it varies."""
        if any(key != ONE for key in self.combination):
            return None
        return self.combination.get(ONE, Fraction(0))


class _Reader:
    """Reads a program of so many arguments."""

    def __init__(self, arguments: int):
        self.first = arguments
        self.causes: list[Taylor] = []

    def arithmetic(self) -> Arithmetic:
        operations = {name: self._cause_of(rule) for name, rule in HULLS.operations.items()}
        operations |= {
            "add": lambda a, b: self._sum(a, b, Fraction(1)),
            "add_any": lambda a, b: self._sum(a, b, Fraction(1)),
            "sub": lambda a, b: self._sum(a, b, Fraction(-1)),
            "neg": lambda a: _scaled(a, Fraction(-1), -a.bounds),
            "mul": self._product,
            "div": self._quotient,
        }
        solve = HULLS.solve
        assert solve is not None

        def solution(matrix: np.ndarray, right: list[_Scalar]) -> list[_Scalar]:
            plain = np.empty(matrix.shape, object)
            plain[:] = [[None if e is None else e.bounds for e in row] for row in matrix]
            return [self._cause(value) for value in solve(plain, [b.bounds for b in right])]

        return Arithmetic(
            constant=_constant,
            operations=operations,
            total=self._total,
            solve=solution,
            truth=HULLS.truth,
        )

    def _cause(self, bounds: Taylor) -> _Scalar:
        self.causes.append(bounds)
        return _Scalar({self.first + len(self.causes) - 1: Fraction(1)}, bounds)

    def _cause_of(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*operands: Any) -> Any:
            result = rule(*(o.bounds if isinstance(o, _Scalar) else o for o in operands))
            return self._cause(result) if isinstance(result, Taylor) else result

        return operation

    def _sum(self, a: _Scalar, b: _Scalar, factor: Fraction) -> _Scalar:
        combination = dict(a.combination)
        for key, value in b.combination.items():
            combination[key] = combination.get(key, Fraction(0)) + factor * value
        bounds = a.bounds + b.bounds if factor == 1 else a.bounds - b.bounds
        return _Scalar({key: value for key, value in combination.items() if value}, bounds)

    def _product(self, a: _Scalar, b: _Scalar) -> _Scalar:
        for one, other in ((a, b), (b, a)):
            if one.constant is not None:
                return _scaled(other, one.constant, a.bounds * b.bounds)
        return self._cause(a.bounds * b.bounds)

    def _quotient(self, a: _Scalar, b: _Scalar) -> _Scalar:
        bounds = a.bounds / b.bounds
        if b.constant:
            return _scaled(a, 1 / b.constant, bounds)
        return self._cause(bounds)

    def _total(self, terms: Sequence[_Scalar]) -> _Scalar:
        result = _constant(0.0)
        for term in terms:
            result = self._sum(result, term, Fraction(1))
        return result


def _constant(value: float) -> _Scalar:
    if not np.isfinite(value):
        return _Scalar({_INFINITE: Fraction(1)}, Taylor.constant(value))
    return _Scalar({ONE: Fraction(float(value))} if value else {}, Taylor.constant(value))


def _scaled(scalar: _Scalar, factor: Fraction, bounds: Taylor) -> _Scalar:
    if not factor:
        return _Scalar({}, bounds)
    return _Scalar({key: factor * value for key, value in scalar.combination.items()}, bounds)
