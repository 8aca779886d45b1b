"""What the linear form of a block leaves over, enclosed for all states of X, virtual inputs in V
and disturbances in W: the coupling of the blocks, and what is not linear.

With z = (x, v, w) and the linear parts of a step (`_linear_parts`), the next states of block b are

    x'_b = M z + m + sum_c q_c (cause c),  with exact columns q_c.

Causes whose columns are parallel are taken together. Of each the proof subtracts the slopes that
the claim's A_b and B_b give it in the block's own states and inputs, and encloses the rest: value
in the middle of a cell plus derivative over the cell times the cell's half-widths, over cells that
are halved where that helps. So

    x'_b - center_b = A y + B (v_b - v0) + k + sum_j e_j omega_j,   |omega_j| <= 1,

with one exact column e_j for each cause, each disturbance, each state and input of another block
that enters linearly, and for what float64 loses of A and B. A column e_j pushes all states of the
block at once, as its cause does: a force moves the position by dt times what it moves the speed.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from .._errors import CertificateError
from ..models import Model
from ..sets import Box
from ._block import Block
from ._cells import halved
from ._enclosure import derivatives
from ._exact import dot, rational, rationals
from ._intervals import Interval, round_up
from ._linear_parts import ONE, LinearParts, linear_parts
from ._taylor import Taylor
from ._virtual_blocks import BlockForm

Column = tuple[Fraction, ...]
# Cells are halved until there are so many, or their bound is that near to what was found at points,
# or that small a part of the cause itself.
_CELLS = 20_000
_NEAR = 1.02
_SMALL = 2e-3
_POINTS = 4096


class Range(NamedTuple):
    """The box of z = (x, v, w), shape (n + d + k,) each, float64, and where its parts begin."""

    lower: np.ndarray
    upper: np.ndarray
    sizes: tuple[int, int, int]

    @classmethod
    def of(cls, X: Box, V: Box, W: Box) -> "Range":
        """X x V x W."""
        lower, upper = (
            np.concatenate([np.asarray(getattr(part, end), np.float64) for part in (X, V, W)])
            for end in ("lower", "upper")
        )
        return cls(lower, upper, (X.dim, V.dim, W.dim))

    def own(self, block: Block) -> list[int]:
        """The indices in z of a block's states and virtual inputs."""
        return [*block.states, *(self.sizes[0] + j for j in block.actions)]

    def points(self, count: int) -> np.ndarray:
        """Points of the box, random and corners, shape (n + d + k, count)."""
        rng = np.random.default_rng(0)
        share = rng.uniform(-1, 1, (len(self.lower), count))
        share[:, ::2] = np.sign(share[:, ::2])
        middle, half = (self.lower + self.upper) / 2, (self.upper - self.lower) / 2
        return middle[:, None] + half[:, None] * share


class Cause(NamedTuple):
    """Causes with parallel columns in a block, as one.

    Attributes:
        column: How it enters the block's next states, exact.
        weights: The factor of each cause of the program, by number.
    """

    column: Column
    weights: dict[int, Fraction]

    def over(self, parts: LinearParts) -> Taylor:
        """Its bounds over the boxes of `parts`."""
        result = Taylor.constant(0.0)
        for number, weight in self.weights.items():
            result = result + parts.causes[number] * _taylor(weight)
        return result


class Rest(NamedTuple):
    """What is left of a cause: between `low` and `high`, and what points found."""

    low: float
    high: float
    found: float
    cells: int


@dataclasses.dataclass(frozen=True, eq=False)
class Coupling:
    """The exact form x'_b - center_b = A y + B (v_b - v0) + k + E omega of a block.

    Attributes:
        A: Rows of rationals, n_b of length n_b.
        B: Rows of rationals, n_b of length d_b.
        k: n_b rationals.
        columns: The columns of E, each n_b rationals.
        rests: What the causes of the block leave over.
        cells: How many cells it took.
    """

    A: tuple[Column, ...]
    B: tuple[Column, ...]
    k: Column
    columns: tuple[Column, ...]
    rests: tuple[Rest, ...]
    cells: int

    def push(self, row: Sequence[Fraction]) -> Fraction:
        """The most by which omega moves the next state along a facet: sum_j |row e_j|."""
        return sum((abs(dot(row, column)) for column in self.columns), Fraction(0))


def causes_of(parts: LinearParts, block: Block, arguments: int) -> list[Cause]:
    """The causes that enter a block, those with parallel columns together."""
    found: list[Cause] = []
    numbers = sorted({k for i in block.states for k in parts.rows[i] if k >= arguments})
    for number in numbers:
        column = tuple(parts.rows[i].get(number, Fraction(0)) for i in block.states)
        for cause in found:
            factor = _ratio(column, cause.column)
            if factor is not None:
                cause.weights[number - arguments] = factor
                break
        else:
            found.append(Cause(column, {number - arguments: Fraction(1)}))
    return found


def coupling(
    model: Model, block: Block, form: BlockForm, center: np.ndarray, range_: Range
) -> Coupling:
    """The exact form of a block, everything in it derived from the model's program.

    Args:
        model: The model in virtual inputs, x' = g(x, v, w).
        block: Its states and virtual inputs.
        form: A_b, B_b and v0 of the claim.
        center: The centre of S, shape (n,).
        range_: X x V x W.

    Raises:
        ModelError: If the model uses an operation without a rule.
        CertificateError: If the claim's numbers cannot be the linear form of these causes.
    """
    own, count = range_.own(block), len(range_.lower)
    whole = Interval(range_.lower[:, None], range_.upper[:, None])
    parts = linear_parts(model, whole, order=0)
    causes = causes_of(parts, block, count)
    states = len(block.states)
    A, B = rationals(form.A), rationals(form.B)
    AB = [a + b for a, b in zip(A, B, strict=True)]
    plain = [[parts.rows[i].get(j, Fraction(0)) for j in own] for i in block.states]
    missing = np.array(
        [[float(x - y) for x, y in zip(*rows, strict=True)] for rows in zip(AB, plain, strict=True)]
    )
    Q = np.array([[float(v) for v in cause.column] for cause in causes]).reshape(-1, states).T
    if causes and np.linalg.matrix_rank(Q) < len(causes):
        raise CertificateError(
            f"The states {list(block.states)} are moved by {len(causes)} nonlinear terms in ways "
            "that depend on one another, which has no proof here. Write the step such that one "
            "nonlinear term moves each speed."
        )
    slopes = np.linalg.pinv(Q) @ missing if causes else np.zeros((0, len(own)))
    middle = np.zeros(count)
    middle[own] = np.concatenate([center[list(block.states)], form.v0]).astype(np.float64)
    columns: list[Column] = []
    k = [parts.rows[i].get(ONE, Fraction(0)) - _fraction(center[i]) for i in block.states]
    rests = []
    for cause, slope in zip(causes, slopes, strict=True):
        slope = np.where(np.abs(slope) > 1e-12 * np.abs(slopes).max(initial=0.0), slope, 0.0)
        full = np.zeros(count)
        full[own] = slope
        rest = enclosed_rest(model, cause, full, range_)
        rests.append(rest)
        offset, half = _offset(rest)
        columns.append(tuple(half * q for q in cause.column))
        for i, q in enumerate(cause.column):
            k[i] += q * offset
            for j, s in enumerate(slope):
                plain[i][j] += q * _fraction(s)
    # What A and B do not say of the own states and inputs, and what others do linearly.
    at = rational(middle[own])
    reach = [_reach(range_, j, z) for j, z in zip(own, at, strict=True)]
    for i in range(states):
        k[i] += dot(plain[i], at)
    lost = [
        dot([abs(p - ab) for p, ab in zip(*rows, strict=True)], reach)
        for rows in zip(plain, AB, strict=True)
    ]
    columns += [
        tuple(lost[i] if row == i else Fraction(0) for row in range(states))
        for i in range(states)
        if lost[i]
    ]
    for j in range(count):
        if j in own:
            continue
        column = [parts.rows[i].get(j, Fraction(0)) for i in block.states]
        if any(column):
            low, high = _fraction(range_.lower[j]), _fraction(range_.upper[j])
            columns.append(tuple((high - low) / 2 * c for c in column))
            for i, c in enumerate(column):
                k[i] += (high + low) / 2 * c
    return Coupling(
        tuple(map(tuple, A)),
        tuple(map(tuple, B)),
        tuple(k),
        tuple(columns),
        tuple(rests),
        sum(rest.cells for rest in rests),
    )


def enclosed_rest(model: Model, cause: Cause, slope: np.ndarray, range_: Range) -> Rest:
    """Bounds of (cause) - slope . z over the range, by halving cells.

    Args:
        model: The model in virtual inputs.
        cause: What is to be bounded.
        slope: What is subtracted, shape (n + d + k,), float64.
        range_: The box of z.
    """
    points = range_.points(_POINTS)
    at = cause.over(linear_parts(model, Interval.point(points), order=0)).value
    values = np.broadcast_to(at.middle, points.shape[1:]) - slope @ points
    found = float(np.max(values) - np.min(values)) / 2
    near = max(2 * _NEAR * found, _SMALL * float(np.max(np.abs(at.middle))))
    lower, upper = range_.lower[:, None].copy(), range_.upper[:, None].copy()
    low, high, widths = _over(model, cause, slope, lower, upper)
    while len(low) < _CELLS:
        top, bottom = high.max(), low.min()
        if top - bottom <= near:
            break
        # The cells that reach into the outer part of what is above the points' range.
        worst = (high > top - 0.3 * (top - values.max())) | (
            low < bottom + 0.3 * (values.min() - bottom)
        )
        worst |= ~np.isfinite(high - low)
        chosen = np.flatnonzero(worst)
        side = np.argmax(widths[:, chosen], axis=0)
        if not np.any(widths[side, chosen] > 0):
            break
        kept = np.flatnonzero(~worst)
        new = halved(lower[:, chosen], upper[:, chosen], side)
        of_new = _over(model, cause, slope, *new)
        lower, upper = (
            np.concatenate([old[:, kept], ends], axis=1)
            for old, ends in zip((lower, upper), new, strict=True)
        )
        low, high, widths = (
            np.concatenate([old[..., kept], ends], axis=-1)
            for old, ends in zip((low, high, widths), of_new, strict=True)
        )
    return Rest(float(low.min()), float(high.max()), found, len(low))


def _over(
    model: Model, cause: Cause, slope: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of the rest over cells, and how much of their width each argument accounts for.

    Args:
        model: The model in virtual inputs.
        cause: What is bounded.
        slope: What is subtracted.
        lower: Shape (n + d + k, cells).
        upper: The same.

    Returns:
        Lower and upper bounds, shape (cells,), and shares, shape (n + d + k, cells).
    """
    cells = lower.shape[1]
    middle = (lower + upper) / 2
    half = round_up(np.maximum(upper - middle, middle - lower))
    over = cause.over(linear_parts(model, Interval(lower, upper), order=1))
    center = cause.over(linear_parts(model, Interval.point(middle), order=0)).value
    gradient = derivatives([over], len(lower), (cells,))[0]
    steep = gradient - Interval.point(slope[:, None])
    push = steep.magnitude * half
    total = round_up(push.sum(axis=0) * (1 + len(lower) * 2.0**-51))
    linear = slope[:, None] * middle
    at = center - Interval.point(linear.sum(axis=0))
    # A sum of so many products is off by as many units of rounding of their magnitudes.
    slack = (len(lower) + 2) * 2.0**-51 * np.abs(linear).sum(axis=0)
    low = np.broadcast_to(at.lo, (cells,)) - total - slack
    high = np.broadcast_to(at.hi, (cells,)) + total + slack
    return -round_up(-low), round_up(high), (gradient.hi - gradient.lo) * half


def _offset(rest: Rest) -> tuple[Fraction, Fraction]:
    """The middle and the half-width of what is left; no middle where it is rounding."""
    low, high = _fraction(rest.low), _fraction(rest.high)
    largest = max(abs(low), abs(high))
    if abs(low + high) <= largest * Fraction(1, 10**6):
        return Fraction(0), largest
    middle = _fraction((rest.low + rest.high) / 2)
    return middle, max(high - middle, middle - low)


def _reach(range_: Range, j: int, at: Fraction) -> Fraction:
    return max(_fraction(range_.upper[j]) - at, at - _fraction(range_.lower[j]))


def _taylor(weight: Fraction) -> Taylor:
    number = float(weight)
    if Fraction(number) == weight:
        return Taylor.constant(number)
    return Taylor(Interval(np.nextafter(number, -np.inf), np.nextafter(number, np.inf)))


def _ratio(first: Column, second: Column) -> Fraction | None:
    """The factor of two parallel columns, or None."""
    i = next(i for i, value in enumerate(second) if value)
    factor = first[i] / second[i]
    parallel = all(a == factor * b for a, b in zip(first, second, strict=True))
    return factor if parallel else None


def _fraction(value: float) -> Fraction:
    return Fraction(float(value))
