"""S seen from its centre: {center + y : H y <= room}, with room = h - H center.

S = {x : H x <= h} may lie anywhere, and its numbers are float32 numbers. A claim scales the rows so
that every facet has the room 1, up to the rounding of h; all margins count in this scale. The
differences y = x - center are as large as S, however far away S lies, so all that is computed at
run time or in a proof is computed from y. Where the centre is the origin, y is x and room is h.

`exact_room` is the room itself, a rational number. What is computed in floating point takes a bound
of it on the side that is safe there.
"""

from fractions import Fraction

import numpy as np

from .._gate import Array
from ..sets import Polytope
from ._intervals import Interval


def exact_room(H: Array, h: Array, center: np.ndarray) -> list[Fraction]:
    """h_i - H_i center for each row of {x : H x <= h}, exactly."""
    rows, bounds = (np.asarray(part, np.float64).tolist() for part in (H, h))
    z = [Fraction(float(v)) for v in center]
    return [
        Fraction(bound) - sum(Fraction(a) * b for a, b in zip(row, z, strict=True))
        for row, bound in zip(rows, bounds, strict=True)
    ]


def room_bounds(safe_state_set: Polytope, center: np.ndarray) -> Interval:
    """Float64 bounds of the room, shape (m,)."""
    room = exact_room(*safe_state_set.halfspaces(), center)
    return Interval(*(np.array([find(r) for r in room]) for find in (largest_below, least_above)))


def seen_from(safe_state_set: Polytope, center: np.ndarray, dtype: type = np.float64) -> Polytope:
    """{y : H y <= room} in this dtype, the room rounded down: it holds no y with center + y outside
    S. S itself if the centre is the origin.
    """
    if not np.any(center):
        return safe_state_set
    room = exact_room(*safe_state_set.halfspaces(), center)
    below = np.array([largest_below(r, dtype) for r in room], dtype)
    return Polytope(np.asarray(safe_state_set.H, dtype), below)


def offsets(H: np.ndarray, center: np.ndarray) -> np.ndarray:
    """The largest float32 h for which no facet has more room than 1 at the centre, shape (m,).

    Args:
        H: Float32, shape (m, n).
        center: Float32, shape (n,).
    """
    h = exact_room(H, np.ones(len(H)), -center)
    return np.array([largest_below(value, np.float32) for value in h], np.float32)


def largest_below(value: Fraction, dtype: type = np.float64) -> np.floating:
    """The largest number of the dtype that is at most `value`."""
    number = dtype(float(value))
    while Fraction(float(number)) > value:
        number = np.nextafter(number, dtype(-np.inf))
    return number


def least_above(value: Fraction) -> np.floating:
    """The least float64 number that is at least `value`."""
    return -largest_below(-value)
