"""An a-priori bound of what float32 does to a safeguarded step.

Run-time code computes the rows A a <= b of the safe action set at a float32 state x, tests a
float32 action against them and steps the model, all in float32:

    c, B, E = model.affine(x);  A = H B;
    b = (room - eps) - H (c - center) - H E w_c - |H E| w_r;  accept if A a <= b;
    x' = model(x, a, w).

(w_c and w_r are the centre and the half-widths of the disturbance set; S = {x : H x <= h} is
{center + y : H y <= room}, see `_room`, where the float32 room is at most h - H center. If the
centre is the origin, the room is 1 and c - center is c.) If eps_i is at least the sum of

- the errors of A and b as computed, with |a_j| <= 1,
- the errors of normalising a row to unit length and of evaluating A a - b in the test, and
- |H_i| times the error of the step's own x',

then an accepted action gives H_i (x' - center) <= room_i, and so H_i x' <= h_i, exactly, for the
float32 vector x'. These errors are bounded over all x in the bounding box of S, where it lies,
|a| <= 1 and w in W by running the standard model of floating-point arithmetic (`_rounded`) through
the jaxprs of `model.unit_step` and `model.affine`, which are the programs that run. Contracting a
product and a sum into one operation only lowers the error. The model holds on CPUs and GPUs at
JAX's highest matrix precision; accelerators that round products to 10 bits are not covered.
"""

from collections.abc import Iterable

import numpy as np

from ..models import Model
from ..models._interpreter import interpret
from ..models._step import traced_step
from ..models._trace import trace
from ..sets import Box, Polytope
from ._intervals import Interval
from ._rounded import ROUNDING, SAFETY, UNIT_ROUNDOFF, Rounded, total

# Boxes into which the states are divided, so that intervals stay narrow.
_BOXES = 256


def rounding_bound(
    model: Model, centered_set: Polytope, disturbance_set: Box, center: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the float32 errors and of the actions' effect, over a safe state set.

    Args:
        model: n states, d actions, k disturbances.
        centered_set: S seen from its centre, {y : H y <= room} with float32 numbers, H of shape
            (m, n) and 0 < room <= 1.
        disturbance_set: W, a box in k dimensions with float32 bounds.
        center: The centre, shape (n,), float32.

    Returns:
        eps, shape (m,): the bound described at the top of this module, in the scale of the room.
        gain, shape (m,): a bound of the Euclidean length of H_i B(x).
    """
    # Where nothing is known, bounds become infinite or NaN, and the certificate's own check refuses
    # them.
    with np.errstate(all="ignore"):
        return _bound(model, centered_set, disturbance_set, np.asarray(center, np.float64))


def _bound(
    model: Model, centered_set: Polytope, disturbance_set: Box, center: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    H, room = (np.asarray(part, np.float64) for part in centered_set.halfspaces())
    vertices = centered_set.vertices()
    # Float32 states of S, padded by far more than the vertices' own error.
    reach = 1e-6 * np.abs(vertices).max(axis=0)
    x = _states(H, room, center, vertices.min(axis=0) - reach, vertices.max(axis=0) + reach)
    a = _variables(-np.ones(model.action_size), np.ones(model.action_size))
    lower, upper = (
        np.asarray(disturbance_set.lower, np.float64),
        np.asarray(disturbance_set.upper, np.float64),
    )
    w = _variables(lower, upper)
    middle = [Rounded.constant(v).rounded(2) for v in (lower + upper) / 2]
    radius = [Rounded.constant(v).rounded(2) for v in (upper - lower) / 2]

    (step,) = interpret(traced_step(model), ROUNDING, x, a, w)
    c, B, E = interpret(trace(lambda x: tuple(model.affine(x)), len(x)), ROUNDING, x)

    # A difference from 0 is not rounded.
    moved = [v if z == 0 else v - Rounded.constant(z) for v, z in zip(c, center, strict=True)]

    eps, gain = np.zeros(len(H)), np.zeros(len(H))
    for i, row in enumerate(H):
        A, F = [_dot(row, column) for column in B.T], [_dot(row, column) for column in E.T]
        # room - eps is rounded as well, and eps is not known yet: with 0 <= eps <= 1 no magnitude
        # exceeds 1.
        terms = [Rounded(Interval.point(room[i]), UNIT_ROUNDOFF), -_dot(row, moved)]
        terms += [-(f * v) for f, v in zip(F, middle, strict=True)] + [
            -(abs(f) * v) for f, v in zip(F, radius, strict=True)
        ]
        b = total(terms)
        step_error = sum(abs(h) * v.error for h, v in zip(row, step, strict=True))
        rows_error = b.error + sum(v.error for v in A)
        # Length (d + 2 operations), reciprocal or division, and product: at most d + 8 roundings of
        # each entry, and d + 1 more where the test sums them.
        test_error = (2 * len(A) + 12) * UNIT_ROUNDOFF * (b.size + sum(v.size for v in A))
        # The largest of all boxes; NaN if one of them is.
        eps[i] = np.max(step_error + rows_error + test_error) * SAFETY
        gain[i] = np.max(np.sqrt(sum(v.size**2 for v in A))) * SAFETY
    return eps, gain


def _states(
    H: np.ndarray, room: np.ndarray, center: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> list[Rounded]:
    """Exact float32 states in a grid of boxes around the centre, those that meet H y <= room, with
    y between these bounds.
    """
    n = len(lower)
    parts = max(1, int(_BOXES ** (1 / n)))
    ends = [np.linspace(lo, hi, parts + 1) for lo, hi in zip(lower, upper, strict=True)]
    index = np.stack(np.meshgrid(*[np.arange(parts)] * n, indexing="ij")).reshape(n, -1)
    los, his = (
        np.stack([end[side] for end, side in zip(ends, index + step, strict=True)])
        for step in (0, 1)
    )
    # The least H_i y in a box, with room for its own rounding.
    least = np.minimum(H[..., None] * los, H[..., None] * his).sum(axis=1)
    meets = (least <= room[:, None] + 1e-6).all(axis=0)
    # Neighbours share their ends, and rounding keeps an order: no state is lost between them.
    return _variables(*(center[:, None] + ends[:, meets] for ends in (los, his)))


def _dot(row: np.ndarray, column: Iterable[Rounded]) -> Rounded:
    """The product of a float32 row with computed numbers."""
    return total([Rounded.constant(h) * value for h, value in zip(row, column, strict=True)])


def _variables(lower: np.ndarray, upper: np.ndarray) -> list[Rounded]:
    """Exact float32 inputs in a box."""
    return [
        Rounded(Interval(np.asarray(lo), np.asarray(hi)), 0.0)
        for lo, hi in zip(lower, upper, strict=True)
    ]
