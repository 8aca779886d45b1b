"""What float32 does to a safeguarded step in virtual inputs: the bound of `_rounding`, for a set
that is kept in them.

Run-time code computes at a float32 state x, all in float32,

    c, B, E = g's affine form;  A = H B;  b = (room - eps) - H (c - center) - H E w_c - |H E| w_r;
    for each input j an interval lo_j <= v_j <= hi_j within V, from the rows A v <= b of its block
    and the worst that the inputs of other blocks do;
    c_v, G = affine form of what actions u bring about;
    rows  G u <= hi - c_v  and  -G u <= c_v - lo,  accepted as all rows are;
    x' = g(x, v, w) with v = P^-1 (a - p), computed anew from the accepted action.

So eps_i bounds the error of A and b, |A_i| times the error of the rows in the units of v, the
rounding of v itself and that of g. All of it is bounded over boxes that cover X, which holds S.

**Commanded by virtual inputs** (`models.Commanded`) the rows are lo_j <= v_j <= hi_j themselves, in
units that map [-1, 1] onto V, and the executed action is that of the accepted v. eps covers this,
too. The interval, the units and the test take at most 8 roundings of the size of V, where a
quotient counts twice since compilers multiply by reciprocals, less than the 2 d + 16 that the
errors of G u <= hi - c_v count; v lies in V, exactly; and by the error of its action, which is that
of the anchor, it misses v by no more than an accepted u may.

**The solution of P v = a - p.** Where nothing else is known, its operations are followed one by
one. That fails for many joints, where intervals of P do not tell that it is regular. Where P is
symmetric and P - diag(least) positive semidefinite, let S = diag(least)^(-1/2): S P S - I is
positive semidefinite. Elimination computes the solution of a matrix that is off by Delta with
|Delta| <= g |L| |D| |L^T|, g = (3 d + 16) u (N. J. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., theorems 10.3 and 10.4; a division counts as 4 roundings), and by the
inequality of Cauchy and Schwarz (|L| |D| |L^T|)_ij <= sqrt(P_ii P_jj) up to a factor 1 + 2 g, so
that |S Delta S| <= g sum_i P_ii / least_i in the Euclidean norm. With the errors E of the entries
of P, rho = |S Delta S| + |S E S| < 1 and e those of b,

    |S^-1 (computed - exact)| <= (|S e| + rho |S^-1 exact|) / (1 - rho),  |S^-1 exact| <= |S b|.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .._margins import tau
from ..models import InVirtualInputs, Model
from ..models._interpreter import interpret
from ..models._step import traced_step
from ..models._trace import trace
from ..sets import Box, Polytope
from ._block import Block
from ._branches import HULLS
from ._intervals import Interval
from ._rounded import ROUNDING, SAFETY, UNIT_ROUNDOFF, Rounded, total
from ._taylor import Taylor
from ._virtual_blocks import are_the_actions

# Boxes into which the states are divided at most, where few are not enough.
_BOXES = 4096
# How much more than V, as a share of it, the rows may let an action bring about by rounding.
_BEYOND = 0.2
# The share of V that stays unused by the inputs of a block that has several of them: the rows that
# keep these in V are not those of facets, which have a margin.
SPARE = 0.02
# Covers numbers that are so small that float32 loses all of them.
_TINY = 1e-30


def virtual_rounding_bound(
    model: Model,
    inputs: Box,
    blocks: Sequence[Block],
    centered_set: Polytope,
    constraint_set: Box,
    disturbance_set: Box,
    center: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the float32 errors and of the actions' effect, over X.

    Args:
        model: n states, d actions, k disturbances.
        inputs: V, d dimensions.
        blocks: They share out the states and the virtual inputs.
        centered_set: S seen from its centre, {y : H y <= room}, H of shape (m, n), float32.
        constraint_set: X, bounded, which holds S.
        disturbance_set: W, a box with float32 bounds.
        center: The centre, shape (n,), float32.

    Returns:
        eps, shape (m,): the bound described at the top of this module, in the scale of the room.
        gain, shape (m,): a bound of the length of the row of facet i in the units of actions.
    """
    facets = len(centered_set.H)
    eps = gain = np.full(facets, np.nan)
    with np.errstate(all="ignore"):
        for x in _grids(model, constraint_set):
            moved = _Inputs.over(model, inputs, x)
            eps, gain = _bound(
                model, inputs, blocks, centered_set, disturbance_set, np.asarray(center), x, moved
            )
            if np.isfinite(eps).all() and np.isfinite(gain).all():
                break
    return eps, gain


def _bound(
    model: Model,
    V: Box,
    blocks: Sequence[Block],
    centered_set: Polytope,
    W: Box,
    center: np.ndarray,
    x: list[Rounded],
    moved: "_Inputs",
) -> tuple[np.ndarray, np.ndarray]:
    H, room = (np.asarray(part, np.float64) for part in centered_set.halfspaces())
    stepped = InVirtualInputs(model).stepped
    largest = _largest(V)
    v = [
        Rounded(Interval(lo - row, hi + row), error)
        for lo, hi, row, error in zip(V.lower, V.upper, moved.row, moved.step, strict=True)
    ]
    lower, upper = (np.asarray(end, np.float64) for end in (W.lower, W.upper))
    w = [Rounded(Interval(lo, hi), 0.0) for lo, hi in _ends(W)]
    (step,) = interpret(traced_step(stepped), ROUNDING, x, v, w)
    c, B, E = interpret(trace(lambda x: tuple(stepped.affine(x)), len(x)), ROUNDING, x)
    middle = [Rounded.constant(value).rounded(2) for value in (lower + upper) / 2]
    radius = [Rounded.constant(value).rounded(2) for value in (upper - lower) / 2]
    from_center = [
        value if z == 0 else value - Rounded.constant(z)
        for value, z in zip(c, center.astype(np.float64), strict=True)
    ]
    own = _own_inputs(blocks, H)
    d = model.action_size
    if not (are_the_actions(model, V) or _spare(model, blocks, moved, largest)):
        return np.full(len(H), np.inf), np.full(len(H), np.inf)
    eps, gain = np.zeros(len(H)), np.zeros(len(H))
    for i, row in enumerate(H):
        A, F = [_dot(row, column) for column in B.T], [_dot(row, column) for column in E.T]
        terms = [Rounded(Interval.point(room[i]), UNIT_ROUNDOFF), -_dot(row, from_center)]
        terms += [-(f * value) for f, value in zip(F, middle, strict=True)]
        terms += [-(abs(f) * value) for f, value in zip(F, radius, strict=True)]
        b = total(terms)
        reach = sum(a.size * most for a, most in zip(A, largest, strict=True))
        rows = b.error + sum(a.error * most for a, most in zip(A, largest, strict=True))
        rows = rows + (2 * d + 16) * UNIT_ROUNDOFF * (b.size + reach)
        rows = rows + sum(a.size * wrong for a, wrong in zip(A, moved.row, strict=True))
        # Twice for its own inputs: an interval that ends at V has a middle half as deep.
        rows = rows + sum(A[j].size * moved.row[j] for j in own[i])
        stepped_wrong = sum(abs(h) * value.error for h, value in zip(row, step, strict=True))
        eps[i] = np.max(rows + stepped_wrong) * SAFETY
        gain[i] = np.max(sum(A[j].size * moved.length[j] for j in own[i])) * SAFETY
    return eps, gain


class _Inputs(NamedTuple):
    """What float32 does on the way from actions in [-1, 1]^d to virtual inputs, each shape (d,).

    Attributes:
        row: By how much an accepted action may bring about more than the interval of an input.
        step: The error of an input as the step computes it, for an accepted action.
        length: A bound of the length of the rows of G.
    """

    row: np.ndarray
    step: np.ndarray
    length: np.ndarray

    @classmethod
    def over(cls, model: Model, V: Box, x: list[Rounded]) -> "_Inputs":
        """Over boxes of states."""
        parts, d = InVirtualInputs(model), model.action_size
        v = [Rounded(Interval(lo, hi), 0.0) for lo, hi in _ends(V)]
        (anchor,) = interpret(trace(parts.actions, len(x), d), ROUNDING, x, v)
        solved = _followed(parts, x) if _least(model) is None else _by_least(parts, V, x)
        G, wrong_G, c, wrong_c, wrong_v = solved
        largest = _largest(V)
        size = largest + c + G.sum(axis=1)
        test = (2 * d + 16) * UNIT_ROUNDOFF * size
        # The anchor is an action as computed: what it misses counts as an error of the rows.
        missed = G @ np.array([_max(a.error) + 2 * UNIT_ROUNDOFF for a in anchor])
        row = (wrong_G.sum(axis=1) + wrong_c + test + missed) * SAFETY
        row = np.where(row <= _BEYOND * largest, row, np.inf)
        return cls(row, wrong_v * SAFETY, np.sqrt(np.sum(G**2, axis=1)) * SAFETY)


def _followed(parts: InVirtualInputs, x: list[Rounded]) -> tuple[np.ndarray, ...]:
    """Sizes and errors of G and c, and the error of v, operation by operation."""
    d = parts.model.action_size
    u = [Rounded(Interval(np.asarray(-1.0), np.asarray(1.0)), 0.0)] * d
    c, G = interpret(trace(lambda x: tuple(parts.inputs(x)), len(x)), ROUNDING, x)
    (v,) = interpret(trace(parts.of_actions, len(x), d), ROUNDING, x, u)
    sizes, errors = (
        np.array([[_max(getattr(entry, name)) for entry in row] for row in G])
        for name in ("size", "error")
    )
    of_c = [np.array([_max(getattr(entry, name)) for entry in c]) for name in ("size", "error")]
    return sizes, errors, *of_c, np.array([_max(entry.error) for entry in v])


def _by_least(parts: InVirtualInputs, V: Box, x: list[Rounded]) -> tuple[np.ndarray, ...]:
    """The same by the theorem at the top of this module."""
    model = parts.model
    virtual, d, n = model.virtual, model.action_size, len(x)
    least = _least(model)
    assert virtual is not None
    assert least is not None
    scale = 1.0 / np.sqrt(least)
    (P,) = interpret(trace(virtual.matrix, n), ROUNDING, x)
    (p,) = interpret(trace(virtual.offset, n), ROUNDING, x)
    lower = [(i, j) for i in range(d) for j in range(i + 1)]
    size = {key: _max(P[key].size) for key in lower}
    wrong = {key: _max(P[key].error) for key in lower}
    trace_of = sum(size[i, i] * scale[i] ** 2 for i in range(d))
    entries = np.sqrt(
        sum((2 - (i == j)) * (wrong[i, j] * scale[i] * scale[j]) ** 2 for i, j in lower)
    )
    factor = (3 * d + 16) * UNIT_ROUNDOFF
    rho = (factor * (1 + 3 * factor) * trace_of + entries) * SAFETY
    if not rho < 0.5:
        return tuple(np.full(shape, np.inf) for shape in ((d, d), (d, d), d, d, d))
    # Columns of G: the exact right-hand sides are the half-widths of the action box.
    units = model.action_units
    half = np.ones(d) if units.plain else units.half_width.astype(np.float64)
    middle = np.zeros(d) if units.plain else units.center.astype(np.float64)
    G = scale[:, None] * (scale * half)[None, :]
    wrong_G = G * rho / (1 - rho)
    of_p, wrong_p = (np.array([_max(getattr(e, name)) for e in p]) for name in ("size", "error"))
    # a - p, with the action in natural units: a product and two sums.
    largest = np.abs(middle) + half
    right = wrong_p + 3 * UNIT_ROUNDOFF * (largest + of_p)
    c = _norm(scale * (np.abs(middle) + of_p))
    wrong_c = (_norm(scale * right) + rho * c) / (1 - rho)
    # An accepted action may bring about a little more than V allows.
    wrong_v = (_norm(scale * right) + rho * (1 + _BEYOND) * _norm(_largest(V) / scale)) / (1 - rho)
    return (
        G * (1 + rho / (1 - rho)),
        wrong_G + _TINY,
        scale * (c + wrong_c),
        scale * wrong_c + _TINY,
        scale * wrong_v + _TINY,
    )


def _least(model: Model) -> np.ndarray | None:
    least = None if model.virtual is None else model.virtual.least
    return None if least is None else np.asarray(least, np.float64)


def _spare(model: Model, blocks: Sequence[Block], moved: "_Inputs", largest: np.ndarray) -> bool:
    """Whether the inputs of blocks that have several, which a gain gives, can be told from V: the
    proof keeps them inside by `SPARE`.
    """
    test = tau(model.action_size, np.float32)
    inputs = [j for block in blocks if len(block.actions) > 1 for j in block.actions]
    needed = moved.row + 2.0 * test * moved.length
    return all(needed[j] <= SPARE * largest[j] for j in inputs)


def _own_inputs(blocks: Sequence[Block], H: np.ndarray) -> list[tuple[int, ...]]:
    """For each facet the virtual inputs of its block."""
    own: list[tuple[int, ...]] = [()] * len(H)
    for block in blocks:
        for i in block.facets(H):
            own[i] = block.actions
    return own


def _grids(model: Model, constraint_set: Box) -> Iterator[list[Rounded]]:
    """Boxes of float32 states that cover X, finer and finer in the states that enter nonlinearly;
    float32 neighbours of the ends are in.
    """
    lower, upper = (
        np.asarray(end, np.float32) for end in (constraint_set.lower, constraint_set.upper)
    )
    lower, upper = np.nextafter(lower, np.float32(-np.inf)), np.nextafter(upper, np.float32(np.inf))
    curved = nonlinear_states(model, constraint_set)
    for parts in itertools.count():
        count = 2**parts
        if parts and (not curved or count ** len(curved) > _BOXES):
            return
        index = np.indices((count,) * len(curved)).reshape(len(curved), count ** len(curved))
        boxes = []
        for i, (lo, hi) in enumerate(zip(lower.astype(float), upper.astype(float), strict=True)):
            if i in curved:
                ends, at = np.linspace(lo, hi, count + 1), index[curved.index(i)]
                boxes.append(Rounded(Interval(ends[at], ends[at + 1]), 0.0))
            else:
                boxes.append(Rounded(Interval(np.asarray(lo), np.asarray(hi)), 0.0))
        yield boxes


def nonlinear_states(model: Model, constraint_set: Box) -> list[int]:
    """The states that enter the actions of virtual inputs, or the motion that these cause, in
    another way than linearly.
    """
    parts, n, d = InVirtualInputs(model), model.state_size, model.action_size
    lower, upper = (
        np.asarray(end, np.float64) for end in (constraint_set.lower, constraint_set.upper)
    )
    x = [
        Taylor.variable(Interval(np.array([lo]), np.array([hi])), i, order=2)
        for i, (lo, hi) in enumerate(zip(lower, upper, strict=True))
    ]
    still = Interval.point(np.zeros(1))
    v = [Taylor.variable(still, n + j, order=2) for j in range(d)]
    w = [Taylor(still)] * model.disturbance_size
    with np.errstate(all="ignore"):
        (actions,) = interpret(trace(parts.actions, n, d), HULLS, x, v)
        (motion,) = interpret(traced_step(parts.stepped), HULLS, x, v, w)
    return sorted({i for value in (*actions, *motion) for i in value.curved if i < n})


def _ends(box: Box) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (np.asarray(lo, np.float64), np.asarray(hi, np.float64))
        for lo, hi in zip(box.lower, box.upper, strict=True)
    ]


def _dot(row: np.ndarray, column: Sequence[Rounded]) -> Rounded:
    """The product of a float32 row with computed numbers, without those that it does not see."""
    return total(
        [Rounded.constant(h) * value for h, value in zip(row, column, strict=True) if h != 0]
    )


def _largest(box: Box) -> np.ndarray:
    """The largest magnitude in a box along each axis, float64."""
    return np.maximum(np.abs(box.lower), np.abs(box.upper)).astype(np.float64)


def _norm(vector: np.ndarray) -> float:
    return float(np.sqrt(np.sum(vector**2)))


def _max(value: np.ndarray | float) -> float:
    return float(np.max(value))


def input_allowance(model: Model, inputs: Box, constraint_set: Box) -> np.ndarray:
    """How much of each virtual input the rounding of a safeguarded step takes, shape (d,): about
    what a facet's margin must be along that input, beside that of its own arithmetic.

    Args:
        model: With virtual inputs or without.
        inputs: V.
        constraint_set: X, bounded.
    """
    test = tau(model.action_size, np.float32)
    allowance = np.full(model.action_size, np.inf)
    with np.errstate(all="ignore"):
        for x in _grids(model, constraint_set):
            moved = _Inputs.over(model, inputs, x)
            allowance = 2.0 * (moved.row + moved.step) + 2.0 * test * moved.length
            if np.isfinite(allowance).all():
                break
    return allowance
