"""Blocks of one or two states and one virtual input, proved at the vertices in exact rationals.

The block moves by y' = A y + B (v - v0) + k + E omega, |omega_j| <= 1. At a vertex of S_b the
inputs that keep every facet's margin form an interval. If it meets V at each vertex, so it does at
every state of S_b: a state is a mean of vertices, and the mean of their inputs keeps it. Nothing is
said of how the input depends on the state.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ._coupling import Coupling
from ._exact import Row, dot
from ._farkas import Answer


class _Limits(NamedTuple):
    """How far the input may go below and above v0."""

    lower: Fraction
    upper: Fraction


def prove_polygon(
    F: Sequence[Row],
    room: Row,
    margins: Row,
    form: Coupling,
    limits: tuple[Row, Row],
    bounds: tuple[Row, Row],
) -> Answer:
    """Whether the block can be kept in S_b = {y : F y <= room} with these margins, and S_b in X_b.

    Args:
        F: Its facets, m rows of one or two rationals.
        room: m positive rationals.
        margins: sigma, m numbers.
        form: Its exact form.
        limits: How far v may go below and above v0, one number each.
        bounds: How far y may go below and above 0, n_b numbers each.
    """
    corners = vertices(F, room)
    count = len(corners) * (len(F) + 2 * len(F[0]))
    if corners is None or not corners:
        return Answer(float("nan"), "its vertices are exact", count)
    allowed = _Limits(limits[0][0], limits[1][0])
    least = None
    for corner in corners:
        for j, value in enumerate(corner):
            if not -bounds[0][j] <= value <= bounds[1][j]:
                return Answer(
                    float("nan"), f"state {j} stays in X at the vertex {_words(corner)}", count
                )
        slack = _slack(F, room, margins, form, allowed, corner)
        if slack < 0:
            return Answer(
                float(slack), f"an input keeps the margins at the vertex {_words(corner)}", count
            )
        least = slack if least is None else min(least, slack)
    assert least is not None
    return Answer(float(least), None, count)


def vertices(F: Sequence[Row], room: Row) -> list[Row]:
    """The vertices of {y : F y <= room} with one or two dimensions, exact; none if it is not
    bounded.

    In the plane neighbours in angle meet in a vertex; a facet that others make redundant has none.
    """
    if len(F[0]) == 1:
        above = [r / row[0] for row, r in zip(F, room, strict=True) if row[0] > 0]
        below = [r / row[0] for row, r in zip(F, room, strict=True) if row[0] < 0]
        return [[max(below)], [min(above)]] if above and below else []
    rows = _needed(F, room)
    corners = []
    for (a, r), (b, s) in zip(rows, rows[1:] + rows[:1], strict=True):
        across = a[0] * b[1] - a[1] * b[0]
        if across <= 0:
            return []
        corners.append([(r * b[1] - s * a[1]) / across, (s * a[0] - r * b[0]) / across])
    inside = all(
        row[0] * x + row[1] * y <= r for x, y in corners for row, r in zip(F, room, strict=True)
    )
    return corners if inside else []


def _needed(F: Sequence[Row], room: Row) -> list[tuple[Row, Fraction]]:
    """The facets that bound the set, by angle."""
    rows = sorted(
        zip(F, room, strict=True), key=lambda pair: np.arctan2(float(pair[0][1]), float(pair[0][0]))
    )
    kept = list(rows)
    changed = True
    while changed and len(kept) > 3:
        changed = False
        for i in range(len(kept)):
            (a, r), (b, s), (c, t) = kept[i - 1], kept[i], kept[(i + 1) % len(kept)]
            across = a[0] * c[1] - a[1] * c[0]
            if across <= 0:
                continue
            x, y = (r * c[1] - t * a[1]) / across, (t * a[0] - r * c[0]) / across
            if b[0] * x + b[1] * y <= s:
                del kept[i]
                changed = True
                break
    return kept


def _slack(
    F: Sequence[Row],
    room: Row,
    margins: Row,
    form: Coupling,
    limits: _Limits,
    corner: Row,
) -> Fraction:
    """The largest amount by which all margins can be kept better with one input, negative if they
    cannot; half the width of the inputs' interval where that is in the units of the facets.
    """
    ahead = [dot(row, corner) + k for row, k in zip(form.A, form.k, strict=True)]
    column = [row[0] for row in form.B]
    lines = []
    for row, r, sigma in zip(F, room, margins, strict=True):
        lines.append((dot(row, column), r - sigma - dot(row, ahead) - form.push(row)))
    # The largest t with slope v + t <= level for all rows: at an end, or where two rows meet.
    candidates = [-limits.lower, limits.upper]
    rising = [line for line in lines if line[0] > 0]
    falling = [line for line in lines if line[0] < 0]
    candidates += [(up[1] - down[1]) / (up[0] - down[0]) for up in rising for down in falling]
    inside = [v for v in candidates if -limits.lower <= v <= limits.upper]
    return max(min(level - slope * v for slope, level in lines) for v in inside)


def _words(corner: Row) -> str:
    return "(" + ", ".join(f"{float(v):.6g}" for v in corner) + ")"
