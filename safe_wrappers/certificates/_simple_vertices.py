"""All vertices of a polytope {y : F y <= r}, in exact rationals.

Vertices are found by walking along edges. At a vertex exactly n facets meet, which is checked in
integers, so that n edges leave it, each within all but one of these facets and up to another
vertex. A list of vertices that is closed, in which the other end of every edge of each vertex is,
is complete: the vertices and edges of a polytope are a connected graph (M. Balinski, 1961). No edge
goes on for ever either, so that the polytope is bounded.

Floating-point numbers only say where an edge probably ends.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from ._exact import Row, solved, whole

# So near in floating point, the ends of an edge are told apart in integers.
_NEAR = 1e-6
# By how much facets are moved apart where more than n of them meet.
_APART = Fraction(1, 2**36)


class Vertex(NamedTuple):
    """y = numerators / denominator, and the n facets that meet there, ascending."""

    numerators: tuple[int, ...]
    denominator: int
    facets: tuple[int, ...]


def simple_vertices(F: Sequence[Row], room: Row, most: int) -> list[Vertex] | None:
    """The vertices of {y : F y <= room}, or of a polytope around it that is larger by about 1e-11:
    where more than n facets meet, they are moved apart.

    Args:
        F: Facets, m rows of n rationals.
        room: m positive rationals.
        most: Most vertices.

    Returns:
        None if there are more, or if the polytope is unbounded or so flat that no vertices are
        found.
    """
    found = _Walk(F, room).vertices(most)
    if found is None:
        rng = np.random.default_rng(0)
        apart = [Fraction(int(u)) for u in rng.integers(1, 2**20, len(room))]
        wider = [r * (1 + _APART * u / 2**20) for r, u in zip(room, apart, strict=True)]
        found = _Walk(F, wider).vertices(most)
    return found


class _Walk:
    """A walk along the edges of {y : F y <= room}."""

    def __init__(self, F: Sequence[Row], room: Row):
        self._F, self._room, self._n = F, room, len(F[0])
        self._rows = np.array([[float(v) for v in row] for row in F])
        self._bounds = np.array([float(v) for v in room])
        # The inequalities in integers, bound - row . y >= 0.
        self._whole = []
        for row, r in zip(F, room, strict=True):
            *integers, bound = whole([*row, r])[0]
            self._whole.append((integers, bound))

    def vertices(self, most: int) -> list[Vertex] | None:
        start = self._start()
        if start is None:
            return None
        found: dict[tuple[int, ...], Vertex] = {start.facets: start}
        waiting = [start]
        while waiting:
            vertex = waiting.pop()
            for other in self._ends(vertex):
                if other is None or len(found) > most:
                    return None
                if other.facets not in found:
                    found[other.facets] = other
                    waiting.append(other)
        return list(found.values())

    def _start(self) -> Vertex | None:
        """Where a linear program ends."""
        way = np.random.default_rng(1).normal(size=self._n)
        program = linprog(-way, A_ub=self._rows, b_ub=self._bounds, bounds=(None, None))
        if program.status != 0:
            return None
        nearest = np.argsort(self._bounds - self._rows @ program.x, kind="stable")[: self._n]
        return self._at(tuple(sorted(int(i) for i in nearest)))

    def _ends(self, vertex: Vertex) -> list[Vertex | None]:
        """The other end of each edge that leaves a vertex, None where it was not found."""
        basis = list(vertex.facets)
        y = np.array([n / vertex.denominator for n in vertex.numerators])
        try:
            ways = -np.linalg.inv(self._rows[basis])
        except np.linalg.LinAlgError:
            return [None]
        slack = np.maximum(self._bounds - self._rows @ y, 0.0)
        ends = []
        for place, way in enumerate(ways.T):
            speed = self._rows @ way
            speed[basis] = 0.0
            ahead = np.flatnonzero(speed > 1e-12 * np.abs(speed).max())
            length = slack[ahead] / speed[ahead]
            nearest = length.min(initial=np.inf)
            rest = basis[:place] + basis[place + 1 :]
            candidates = ahead[length <= nearest * (1 + _NEAR) + 1e-12]
            end = None
            for i in candidates:
                end = self._at(tuple(sorted([*rest, int(i)])))
                if end is not None:
                    break
            ends.append(end)
        return ends

    def _at(self, facets: tuple[int, ...]) -> Vertex | None:
        """The point where these facets meet, if it is a vertex where no others do."""
        y = solved([[*self._F[i], self._room[i]] for i in facets])
        if y is None:
            return None
        Y, D = whole(y)
        for i, (row, bound) in enumerate(self._whole):
            left = bound * D - sum(a * b for a, b in zip(row, Y, strict=True))
            if left < 0 or (left == 0) != (i in facets):
                return None
        return Vertex(tuple(Y), D, facets)
