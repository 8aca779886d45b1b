"""Bounds of a model's value, gradient and Hessian over boxes, from the jaxpr of the function that
the environment steps.

Every scalar of the jaxpr becomes a `Taylor`: intervals of its value and of its first and second
derivatives with respect to chosen variables, over many boxes (cells) at once. The rules are forward
second-order differentiation in outward-rounded interval arithmetic. The operations known to the
proof are

| primitives | rule |
|---|---|
| `add`, `sub`, `neg`, `mul`, `div`, `integer_pow`, `square` | interval arithmetic; division by an interval that holds 0 is unbounded |
| `sin`, `cos`, `tan`, `atan`, `tanh`, `exp`, `log`, `sqrt` | value, derivative and second derivative on intervals |
| `reduce_sum`, `dot_general` | sums and products of the above |
| `slice`, `squeeze`, `reshape`, `concatenate`, `broadcast_in_dim`, `transpose`, `rev`, `split`, `expand_dims`, `copy` | move elements |
| `dynamic_slice`, `dynamic_update_slice`, `gather`, `scatter`, `select_n` with constant indices or predicates | move elements |
| `jit`, `closed_call`, `custom_jvp_call`, `custom_vjp_call`, `checkpoint` | run the function inside |
| `convert_element_type` between floats, `iota` and integer constants | exact |

Any other primitive is refused by name: `abs`, `max`, `min` and `select_n` on variables are not
twice differentiable, and loops have no rule.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..models import Model
from ..models._interpreter import Arithmetic, interpret, trace
from ._intervals import Interval

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
        support, curved = _union(self.support, other.support), _union(self.curved, other.curved)
        gradient = _plus(
            _spread(self.gradient, self.support, support),
            _spread(other.gradient, other.support, support),
        )
        hessian = _plus(
            _spread(self.hessian, self.curved, curved), _spread(other.hessian, other.curved, curved)
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
        support, curved = _union(self.support, other.support), _union(self.curved, other.curved)
        first, second = (
            _spread(self.gradient, self.support, support),
            _spread(other.gradient, other.support, support),
        )
        gradient = _plus(_times(first, other.value), _times(second, self.value))
        outer = (
            first[:, None] * second[None, :]
            if first is not None and second is not None and self.order == other.order == 2
            else None
        )
        curved = curved if outer is None else support
        hessian = _plus(
            _times(_spread(self.hessian, self.curved, curved), other.value),
            _times(_spread(other.hessian, other.curved, curved), self.value),
        )
        if outer is not None:
            hessian = _plus(
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
        hessian = _plus(
            _times(_spread(self.hessian, self.curved, self.support), first),
            (self.gradient[:, None] * self.gradient[None, :]) * bend(self.value),
        )
        return Taylor(result, self.support, gradient, self.support, hessian, self.order)


def _union(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return first if first == second else tuple(sorted({*first, *second}))


def _spread(part: Interval | None, old: tuple[int, ...], new: tuple[int, ...]) -> Interval | None:
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


def _plus(first: Interval | None, second: Interval | None) -> Interval | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _times(part: Interval | None, factor: Interval) -> Interval | None:
    return None if part is None else part * factor


def _total(terms: Sequence[Taylor]) -> Taylor:
    return functools.reduce(Taylor.__add__, terms, Taylor.constant(0.0))


def _through(value: Rule, slope: Rule, bend: Rule) -> Callable[[Taylor], Taylor]:
    return lambda t: t.through(value, slope, bend)


ENCLOSURE = Arithmetic(
    constant=Taylor.constant,
    operations={
        "add": Taylor.__add__,
        "add_any": Taylor.__add__,
        "sub": Taylor.__sub__,
        "neg": Taylor.__neg__,
        "mul": Taylor.__mul__,
        "div": Taylor.__truediv__,
        "integer_pow": Taylor.power,
        "sin": _through(Interval.sin, Interval.cos, lambda v: -v.sin()),
        "cos": _through(Interval.cos, lambda v: -v.sin(), lambda v: -v.cos()),
        "tan": _through(
            Interval.tan,
            lambda v: v.tan().power(2) + 1.0,
            lambda v: (v.tan().power(2) + 1.0) * v.tan() * 2.0,
        ),
        "atan": _through(
            Interval.arctan,
            lambda v: (v.power(2) + 1.0).reciprocal(),
            lambda v: v * -2.0 * (v.power(2) + 1.0).power(2).reciprocal(),
        ),
        "tanh": _through(
            Interval.tanh,
            lambda v: 1.0 - v.tanh().power(2),
            lambda v: v.tanh() * (v.tanh().power(2) - 1.0) * 2.0,
        ),
        "exp": _through(Interval.exp, Interval.exp, Interval.exp),
        "log": _through(Interval.log, Interval.reciprocal, lambda v: -v.power(2).reciprocal()),
        "sqrt": _through(
            Interval.sqrt,
            lambda v: (v.sqrt() * 2.0).reciprocal(),
            lambda v: -(v.sqrt() * v * 4.0).reciprocal(),
        ),
    },
    total=_total,
)


class ModelEnclosure:
    """A model x' = f(x, u, w) over boxes.

    Args:
        model: n states, d actions, k disturbances.
        disturbance: The disturbance at which values and derivatives by z = (x, u) are taken, shape
            (k,).

    Raises:
        ModelError: Naming the primitive, if f uses one that is not in the table above.
    """

    def __init__(self, model: Model, disturbance: np.ndarray):
        self._jaxpr = trace(model.step, model.state_size, model.action_size, model.disturbance_size)
        self._sizes = model.state_size, model.action_size, model.disturbance_size
        self._disturbance = [Taylor.constant(value) for value in disturbance]

    def value(self, x: Interval, u: Interval) -> Interval:
        """f(x, u, w), shape (n, cells), for x of shape (n, cells) and u of shape (d, cells)."""
        x_scalars, u_scalars = ([Taylor(part[i]) for i in range(len(part.lo))] for part in (x, u))
        outputs = self._run(x_scalars, u_scalars, self._disturbance)
        return _stack([output.value for output in outputs], (x.lo.shape[1],))

    def affine_in_action(self, x: Interval) -> tuple[Interval, Interval]:
        """c, shape (n, cells), and B, shape (n, d, cells), of f = c + B u."""
        zeros = Interval.point(np.zeros(x.lo.shape[1]))
        u = [Taylor.variable(zeros, j, order=1) for j in range(self._sizes[1])]
        outputs = self._run([Taylor(x[i]) for i in range(len(x.lo))], u, self._disturbance)
        return _stack([output.value for output in outputs], zeros.lo.shape), _derivatives(
            outputs, self._sizes[1], zeros.lo.shape
        )

    def disturbance_matrix(self, x: Interval) -> Interval:
        """E, shape (n, k, cells), of f = c + B u + E w."""
        zeros = Interval.point(np.zeros(x.lo.shape[1]))
        u = [Taylor(zeros)] * self._sizes[1]
        w = [Taylor.variable(zeros, j, order=1) for j in range(self._sizes[2])]
        outputs = self._run([Taylor(x[i]) for i in range(len(x.lo))], u, w)
        return _derivatives(outputs, self._sizes[2], zeros.lo.shape)

    def hessian(self, z: Interval) -> tuple[tuple[int, ...], Interval]:
        """Second derivatives of f by z = (x, u) over boxes.

        Args:
            z: Shape (n + d, cells).

        Returns:
            The indices of the c variables with second derivatives, and these, shape (n, c, c,
            cells).
        """
        scalars = [Taylor.variable(z[i], i, order=2) for i in range(len(z.lo))]
        n = self._sizes[0]
        outputs = self._run(scalars[:n], scalars[n:], self._disturbance)
        curved = functools.reduce(_union, (output.curved for output in outputs))
        shape = (len(curved), len(curved), z.lo.shape[1])
        parts = [
            _spread(output.hessian, output.curved, curved) or Interval.point(np.zeros(shape))
            for output in outputs
        ]
        return curved, _stack(parts, shape)

    def dependence(self) -> list[tuple[int, ...]]:
        """For each next state the indices in (x, u, w) of the arguments from which a path of
        operations leads to it.
        """
        n, d, k = self._sizes
        scalars = [
            Taylor.variable(Interval.point(np.zeros(1)), i, order=1) for i in range(n + d + k)
        ]
        return [
            output.support
            for output in self._run(scalars[:n], scalars[n : n + d], scalars[n + d :])
        ]

    def _run(self, x: Sequence[Taylor], u: Sequence[Taylor], w: Sequence[Taylor]) -> list[Taylor]:
        (outputs,) = interpret(self._jaxpr, ENCLOSURE, x, u, w)
        return list(outputs)


def _derivatives(outputs: Sequence[Taylor], count: int, cells: tuple[int, ...]) -> Interval:
    """First derivatives by variables 0, ..., count - 1, shape (outputs, count, *cells)."""
    everything, zeros = tuple(range(count)), Interval.point(np.zeros((count, 1)))
    parts = [_spread(output.gradient, output.support, everything) or zeros for output in outputs]
    return _stack(parts, (count, *cells))


def _stack(parts: Sequence[Interval], shape: tuple[int, ...]) -> Interval:
    lo, hi = (
        np.stack([np.broadcast_to(getattr(part, end), shape) for part in parts])
        for end in ("lo", "hi")
    )
    return Interval(lo, hi)
