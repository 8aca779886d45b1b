"""Bounds of a model's value, gradient and Hessian over boxes, from the jaxpr of the function that
the environment steps.

Every scalar of the jaxpr becomes a `Taylor`: intervals of its value and of its first and second
derivatives with respect to chosen variables, over many boxes (cells) at once. The operations that
are known, and what each means here, are listed in docs/certificates.md; any other is refused by
name.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..models import Model
from ..models._arithmetic import Arithmetic
from ..models._interpreter import interpret
from ..models._step import traced_step
from ._branches import HULLS, Branches
from ._intervals import Interval
from ._taylor import Taylor, spread, union


class ModelEnclosure:
    """A model x' = f(x, u, w) over boxes.

    States and next states are measured from a centre, which states far from the origin need: what
    is called x and f(x, u, w) below is then y = x - center and f(center + y, u, w) - center. All
    derivatives are the same.

    Args:
        model: n states, d actions, k disturbances.
        disturbance: The disturbance at which values and derivatives by z = (x, u) are taken, shape
            (k,).
        center: The centre, shape (n,). Default: the origin.

    Raises:
        ModelError: Naming the primitive, if f uses one that is not in the table above.
    """

    def __init__(self, model: Model, disturbance: np.ndarray, center: np.ndarray | None = None):
        self._jaxpr = traced_step(model)
        self._sizes = model.state_size, model.action_size, model.disturbance_size
        self._disturbance = [Taylor.constant(value) for value in disturbance]
        # Nothing is added where the centre is 0: the outward rounding of a sum would widen it.
        center = np.zeros(model.state_size) if center is None else center
        self._center = [None if v == 0 else Taylor.constant(float(v)) for v in center]

    def value(self, x: Interval, u: Interval) -> Interval:
        """f(x, u, w), shape (n, cells), for x of shape (n, cells) and u of shape (d, cells)."""
        x_scalars, u_scalars = ([Taylor(part[i]) for i in range(len(part.lo))] for part in (x, u))
        outputs = self._run(x_scalars, u_scalars, self._disturbance)
        return stack([output.value for output in outputs], (x.lo.shape[1],))

    def affine_in_action(self, x: Interval) -> tuple[Interval, Interval]:
        """c, shape (n, cells), and B, shape (n, d, cells), of f = c + B u."""
        zeros = Interval.point(np.zeros(x.lo.shape[1]))
        u = [Taylor.variable(zeros, j, order=1) for j in range(self._sizes[1])]
        outputs = self._run([Taylor(x[i]) for i in range(len(x.lo))], u, self._disturbance)
        return stack([output.value for output in outputs], zeros.lo.shape), derivatives(
            outputs, self._sizes[1], zeros.lo.shape
        )

    def disturbance_matrix(self, x: Interval) -> Interval:
        """E, shape (n, k, cells), of f = c + B u + E w."""
        zeros = Interval.point(np.zeros(x.lo.shape[1]))
        u = [Taylor(zeros)] * self._sizes[1]
        w = [Taylor.variable(zeros, j, order=1) for j in range(self._sizes[2])]
        outputs = self._run([Taylor(x[i]) for i in range(len(x.lo))], u, w)
        return derivatives(outputs, self._sizes[2], zeros.lo.shape)

    def bend(self, z: Interval) -> "Bend":
        """How f bends and jumps over boxes of z = (x, u), shape (n + d, cells)."""
        scalars = [Taylor.variable(z[i], i, order=2) for i in range(len(z.lo))]
        n, count = self._sizes[0], len(z.lo)
        branches = Branches(count)
        outputs = self._run(scalars[:n], scalars[n:], self._disturbance, branches.arithmetic())
        cells = z.lo.shape[1]
        smooth = functools.reduce(union, (output.curved for output in outputs))
        curved = tuple(i for i in smooth if i < count)
        hessian = stack(
            [_second(output, curved, cells) for output in outputs],
            (len(curved), len(curved), cells),
        )
        jumps = derivatives(outputs, count + len(branches.slopes), (cells,))[:, count:]
        return Bend(curved, hessian, jumps, branches)

    def without_jumps(self, bend: "Bend", corners: np.ndarray, rough: np.ndarray) -> Interval:
        """f with each open choice in the middle, as `bend` found them, at corners of boxes.

        Args:
            bend: How the function bends over the boxes.
            corners: Corners of the boxes that `rough` selects, shape (n + d, boxes, corners).
            rough: Boxes with an open choice, shape (cells,), boolean.

        Returns:
            Shape (n, boxes, corners).
        """
        boxes, per_box = corners.shape[1:]
        z = Interval.point(corners.reshape(len(corners), -1))
        scalars = [Taylor(z[i]) for i in range(len(corners))]
        n = self._sizes[0]
        arithmetic = bend.branches.replay(rough, per_box).arithmetic()
        outputs = self._run(scalars[:n], scalars[n:], self._disturbance, arithmetic)
        values = stack([output.value for output in outputs], (boxes * per_box,))
        return Interval(*(end.reshape(n, boxes, per_box) for end in (values.lo, values.hi)))

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

    def _run(
        self,
        x: Sequence[Taylor],
        u: Sequence[Taylor],
        w: Sequence[Taylor],
        arithmetic: Arithmetic = HULLS,
    ) -> list[Taylor]:
        x = [t if c is None else t + c for t, c in zip(x, self._center, strict=True)]
        (outputs,) = interpret(self._jaxpr, arithmetic, x, u, w)
        return [t if c is None else t - c for t, c in zip(outputs, self._center, strict=True)]


def dependence(model: Model) -> list[tuple[int, ...]]:
    """What each next state of a model depends on, read off its program.

    Args:
        model: x' = f(x, a, w).

    Returns:
        For each next state the indices in (x, a, w), one behind the other, of the arguments from
        which a path of operations leads to it.

    Raises:
        ModelError: If the model uses an operation that the proof does not know; it is named.
    """
    return ModelEnclosure(model, np.zeros(model.disturbance_size)).dependence()


class Bend(NamedTuple):
    """How a function of z bends and jumps over boxes.

    Args:
        curved: Indices of the c variables with second derivatives.
        hessian: Second derivatives of f, open choices anywhere, shape (n, c, c, cells).
        jumps: How much each open choice moves f at most from its middle, shape (n, choices,
            cells).
        branches: The choices.
    """

    curved: tuple[int, ...]
    hessian: Interval
    jumps: Interval
    branches: Branches


def _second(output: Taylor, curved: tuple[int, ...], cells: int) -> Interval:
    """Second derivatives by these variables, shape (c, c, cells)."""
    if output.hessian is None:
        return Interval.point(np.zeros((len(curved), len(curved), cells)))
    kept = [i for i, variable in enumerate(output.curved) if variable in curved]
    part = output.hessian[np.ix_(kept, kept)]
    spread_out = spread(part, tuple(output.curved[i] for i in kept), curved)
    assert spread_out is not None
    return spread_out


def derivatives(outputs: Sequence[Taylor], count: int, cells: tuple[int, ...]) -> Interval:
    """First derivatives by variables 0, ..., count - 1, shape (outputs, count, *cells)."""
    everything, zeros = tuple(range(count)), Interval.point(np.zeros((count, 1)))
    parts = [spread(output.gradient, output.support, everything) or zeros for output in outputs]
    return stack(parts, (count, *cells))


def stack(parts: Sequence[Interval], shape: tuple[int, ...]) -> Interval:
    """One interval array of parts that are broadcast to this shape; there may be none."""
    if not parts:
        return Interval.point(np.zeros((0, *shape)))
    lo, hi = (
        np.stack([np.broadcast_to(getattr(part, end), shape) for part in parts])
        for end in ("lo", "hi")
    )
    return Interval(lo, hi)
