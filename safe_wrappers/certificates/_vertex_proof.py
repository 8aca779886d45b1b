"""Blocks of several states and one virtual input, proved at the vertices in exact rationals.

As in the plane (`_polygon_proof`): the block moves by y' = A y + B (v - v0) + k + E omega, so that
the mean of the inputs that keep the margins at some vertices keeps them at the mean of these
vertices. An input is sought in floating point at each vertex, and what it keeps is computed in
rationals. That S_b lies in X_b is shown by multipliers.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ._coupling import Coupling
from ._exact import Row, dot, product, whole
from ._farkas import Answer, prove_sides, sides_of_limits
from ._simple_vertices import Vertex, simple_vertices

# A set with more vertices than this would take minutes.
_MOST_VERTICES = 20_000
_HALVINGS = 60


def prove_at_vertices(
    F: Sequence[Row],
    room: Row,
    margins: Row,
    form: Coupling,
    limits: tuple[Row, Row],
    bounds: tuple[Row, Row],
) -> Answer:
    """Whether the block can be kept in S_b = {y : F y <= room} with these margins, and S_b in X_b.

    Args:
        F: Its facets, m rows.
        room: m positive rationals.
        margins: sigma, m numbers.
        form: Its exact form.
        limits: How far v may go below and above v0, one number each.
        bounds: How far y may go below and above 0, n_b numbers each.
    """
    inside = prove_sides(F, room, sides_of_limits(bounds))
    if inside.failed is not None:
        return inside
    corners = simple_vertices(F, room, _MOST_VERTICES)
    if corners is None:
        return Answer(float("nan"), f"it has vertices, at most {_MOST_VERTICES:,}", 0)
    count = inside.inequalities + len(corners) * len(F)
    push = [row[0] for row in form.B]
    # At y the input v keeps facet i by level - slope v - ahead . y.
    ahead = product(F, form.A)
    slopes = [dot(row, push) for row in F]
    levels = [
        r - sigma - dot(row, form.k) - form.push(row)
        for row, r, sigma in zip(F, room, margins, strict=True)
    ]
    inputs = _inputs(corners, ahead, slopes, levels, (limits[0][0], limits[1][0]))
    least = None
    integers = [whole([*a, s, v]) for a, s, v in zip(ahead, slopes, levels, strict=True)]
    for corner, v in zip(corners, inputs, strict=True):
        slack = min(_slack(row, scale, corner, v) for row, scale in integers)
        if slack < 0:
            return Answer(
                float(slack), f"an input keeps the margins at the vertex {_words(corner)}", count
            )
        least = slack if least is None else min(least, slack)
    assert least is not None
    return Answer(float(least), None, count)


def _inputs(
    corners: Sequence[Vertex],
    ahead: Sequence[Row],
    slopes: Row,
    levels: Row,
    limits: tuple[Fraction, Fraction],
) -> list[Fraction]:
    """An input within the limits at each vertex that keeps the facets best, nearly."""
    y = np.array([[n / corner.denominator for n in corner.numerators] for corner in corners])
    slope = np.array([float(v) for v in slopes])
    level = np.array([float(v) for v in levels]) - y @ np.array(ahead, float).T
    low, high = (np.full(len(y), float(end)) for end in (-limits[0], limits[1]))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        worst = np.argmin(level - middle[:, None] * slope, axis=1)
        less = slope[worst] > 0  # a smaller input keeps that facet better
        low, high = np.where(less, low, middle), np.where(less, middle, high)
    found = [Fraction(v) for v in ((low + high) / 2).tolist()]
    return [min(max(v, -limits[0]), limits[1]) for v in found]


def _slack(row: list[int], scale: int, corner: Vertex, v: Fraction) -> Fraction:
    """level - slope v - ahead . y, exactly."""
    *ahead, slope, level = row
    D, Y = corner.denominator, corner.numerators
    at = sum(a * b for a, b in zip(ahead, Y, strict=True))
    top = (level * D - at) * v.denominator - slope * v.numerator * D
    return Fraction(top, D * v.denominator * scale)


def _words(corner: Vertex) -> str:
    return "(" + ", ".join(f"{n / corner.denominator:.6g}" for n in corner.numerators) + ")"
