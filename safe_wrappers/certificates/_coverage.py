"""A cover of a polytope by simplices around its centre, checked in exact rational arithmetic.

Points are given by y = x - center, so that the centre is the origin here, and
S = {y : F y <= room} with the rational room = h - F center > 0 (`_room`).

The cover is built in floating point and may be wrong; `uncovered` decides whether it is right. If
boundary simplices

1. form a cycle: every ridge lies in exactly two of them, which induce opposite orientations on it
   when each simplex is oriented so that its determinant is positive,
2. have determinants other than zero, and
3. each lie in a half-space {y : F_i y >= room_i} for some row of S,

then the radial projection of the cycle onto the sphere covers every direction at least once (its
degree is the number of simplices over a generic direction, all counted positively). So every ray
from the origin meets a simplex, where it has left S or leaves it, and S lies in the union of the
cones conv(0, simplex).
"""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..sets import Box, Polytope
from ._room import exact_room, seen_from

# Vertices are moved outwards by this factor, far more than their rounding, so that exact checks of
# F v >= room succeed.
INFLATION = 1e-9
# Coordinates are multiples of 2^-_BITS of the set's extent: 53 - _BITS halvings of an edge are then
# exact in float64.
_BITS = 36
# Rows within this of their room at a vertex are taken to meet there, in the scale of the rows.
_INCIDENCE = 1e-9


@dataclass(frozen=True)
class Cover:
    """Boundary simplices of an outer approximation of a polytope, seen from its centre.

    Args:
        points: Vertices minus the centre, dyadic rationals of few digits, shape (v, n).
        simplices: Indices of the n corners of each simplex, ascending, shape (s, n).
        facets: For each simplex the row i with F_i y >= room_i on it, shape (s,).
    """

    points: np.ndarray
    simplices: np.ndarray
    facets: np.ndarray


def cover(safe_state_set: Polytope, center: np.ndarray) -> Cover:
    """Pulling triangulation of the boundary of S = {x : F x <= h}, its vertices moved away from the
    centre by 1 + 1e-9.
    """
    around = seen_from(safe_state_set, center)
    F, room = (np.asarray(part, np.float64) for part in around.halfspaces())
    vertices = np.array(around.vertices())
    incident = F @ vertices.T >= room[:, None] - _INCIDENCE
    # One step of Newton's method on the active rows removes most of qhull's error.
    for j, active in enumerate(incident.T):
        vertices[j] += np.linalg.lstsq(
            F[active], room[active] - F[active] @ vertices[j], rcond=None
        )[0]
    members = [frozenset(np.flatnonzero(row).tolist()) for row in incident]
    simplices, facets = [], []
    for facet in _maximal(members, F.shape[1]):
        row = members.index(facet)
        for simplex in _pulled(facet, members, F.shape[1] - 1):
            simplices.append(simplex)
            facets.append(row)
    grid = 2.0 ** (np.ceil(np.log2(np.abs(vertices).max(axis=0))) - _BITS)
    points = np.round(vertices * (1 + INFLATION) / grid) * grid
    return Cover(points, np.array(simplices, int).reshape(-1, F.shape[1]), np.array(facets, int))


def _maximal(sets: list[frozenset[int]], smallest: int) -> list[frozenset[int]]:
    """The sets of at least this size that are contained in no other, each once."""
    unique = sorted({s for s in sets if len(s) >= smallest}, key=lambda s: (-len(s), sorted(s)))
    return [s for i, s in enumerate(unique) if not any(s < other for other in unique[:i])]


def _pulled(face: frozenset[int], members: list[frozenset[int]], dim: int) -> list[tuple[int, ...]]:
    """Simplices of a face: cones from its lowest vertex over the faces without it.

    Faces shared by two are cut alike.
    """
    if len(face) == dim + 1:
        return [tuple(sorted(face))]
    apex = min(face)
    sides = _maximal([face & other for other in members if not face <= other], dim)
    return [
        tuple(sorted((apex, *s)))
        for side in sides
        if apex not in side
        for s in _pulled(side, members, dim - 1)
    ]


def uncovered(candidate: Cover, safe_state_set: Polytope, center: np.ndarray) -> str | None:
    """Why the cones over the simplices might not cover S, or None if they certainly do. Exact."""
    if len(candidate.simplices) == 0:
        return "the boundary of S has no simplices"
    F = [[Fraction(float(v)) for v in row] for row in np.asarray(safe_state_set.H)]
    room = exact_room(*safe_state_set.halfspaces(), center)
    if min(room) <= 0:
        return f"the centre {center} does not lie strictly inside S"
    points = [[Fraction(float(v)) for v in row] for row in candidate.points]
    ridges: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for simplex, facet in zip(candidate.simplices.tolist(), candidate.facets.tolist(), strict=True):
        for corner in simplex:
            if _dot(F[facet], points[corner]) < room[facet]:
                return (
                    f"vertex {center + candidate.points[corner]} lies inside the half-space of "
                    f"facet {facet}"
                )
        determinant = _determinant([points[corner] for corner in simplex])
        if determinant == 0:
            return f"the simplex of vertices {simplex} is flat"
        for position in range(len(simplex)):
            ridge = tuple(simplex[:position] + simplex[position + 1 :])
            ridges[ridge].append((1 if determinant > 0 else -1) * (-1) ** position)
    for ridge, orientations in ridges.items():
        if sorted(orientations) != [-1, 1]:
            return (
                f"the ridge of vertices {ridge} must lie between two boundary simplices, but its "
                f"orientations are {orientations}"
            )
    return None


def vertex_outside(
    candidate: Cover, constraint_set: Box | Polytope, center: np.ndarray
) -> int | None:
    """The index of a vertex of the cover outside X, the farthest; None if all lie in X, and the
    centre too. Exact.
    """
    G, g = constraint_set.halfspaces()
    room = exact_room(G, g, center)
    rows = [
        ([Fraction(v) for v in row], bound)
        for row, bound in zip(np.asarray(G, np.float64).tolist(), room, strict=True)
    ]
    worst, excess = None, Fraction(0)
    for index, point in enumerate([*candidate.points.tolist(), [0.0] * candidate.points.shape[1]]):
        exact = [Fraction(v) for v in point]
        for row, bound in rows:
            beyond = _dot(row, exact) - bound
            if beyond > excess:
                worst, excess = index, beyond
    return worst


def room_left(candidate: Cover, constraint_set: Box | Polytope, center: np.ndarray) -> float:
    """How far the vertices of the cover are inside X: 1 at the centre of S and 0 on the boundary of
    X, the smallest over all vertices and rows, rounded to float64; infinite if nothing bounds X.
    """
    G, _ = (np.asarray(part, np.float64) for part in constraint_set.halfspaces())
    room = np.array([float(bound) for bound in exact_room(*constraint_set.halfspaces(), center)])
    if not len(room):
        return float("inf")
    return float(np.min((room - candidate.points @ G.T) / room))


def pulled_inside(y: np.ndarray, safe_state_set: Polytope, center: np.ndarray) -> np.ndarray:
    """The state center + y moved towards the centre by as little as puts it into S, decided
    exactly. Shape (n,).
    """
    F, h = (np.asarray(part, np.float64).tolist() for part in safe_state_set.halfspaces())
    rows = [([Fraction(v) for v in row], Fraction(b)) for row, b in zip(F, h, strict=True)]
    while True:
        x = center + y
        if all(_dot(row, [Fraction(float(v)) for v in x]) <= bound for row, bound in rows):
            return x
        y = y * (1 - 2 * INFLATION)


def _dot(first: list[Fraction], second: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(first, second, strict=True)), Fraction(0))


def _determinant(rows: list[list[Fraction]]) -> Fraction:
    """By elimination."""
    rows, result = [list(row) for row in rows], Fraction(1)
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k] != 0), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            rows[k], rows[pivot], result = rows[pivot], rows[k], -result
        result *= rows[k][k]
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return result
