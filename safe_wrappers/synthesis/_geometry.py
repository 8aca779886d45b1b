"""Vertices of {y : H y <= 1}, sample points on its boundary, and how they move with H."""

from typing import NamedTuple

import numpy as np
from scipy.spatial import ConvexHull, QhullError


class Template(NamedTuple):
    """How free normals, shape (p, n), make up the facets H, shape (m, n):
    H_i = sign_i normals_row(i).
    """

    sign: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, count: int, *, symmetric: bool) -> "Template":
        """H = [normals; -normals] if symmetric, otherwise H = normals, for `count` normals."""
        rows = np.arange(count)
        if symmetric:
            return cls(np.repeat([1.0, -1.0], count), np.concatenate([rows, rows]))
        return cls(np.ones(count), rows)

    @property
    def symmetric(self) -> bool:
        """Whether H holds every row with both signs."""
        return bool(np.any(self.sign < 0))

    def facets(self, normals: np.ndarray) -> np.ndarray:
        """H, shape (m, n)."""
        return self.sign[:, None] * normals[self.row]


class Vertices(NamedTuple):
    """The vertices of {y : H y <= 1} with n active rows each.

    A vertex in which more than n facets meet appears once for every simplex of its dual face: each
    copy then has its own sensitivity, that of the vertex it becomes when the facets move apart.
    """

    points: np.ndarray  # (v, n)
    rows: np.ndarray  # (v, n), indices into H

    @classmethod
    def of(cls, H: np.ndarray) -> "Vertices | None":
        """By duality: the facets of the convex hull of the rows of H.

        None if the polytope is unbounded or flat.
        """
        try:
            hull = ConvexHull(H)
        except QhullError:
            return None
        normals, offsets = hull.equations[:, :-1], hull.equations[:, -1:]
        if np.any(offsets > -1e-9):
            return None
        return cls(-normals / offsets, hull.simplices)

    def sensitivity(self, H: np.ndarray, template: Template) -> np.ndarray:
        """d points / d normals, shape (v, n, p, n): H_I v = 1 gives H_I dv = -dH_I v for the active
        rows I.
        """
        count, n = self.points.shape
        inverse = np.linalg.inv(H[self.rows])
        # (v, n, n): column r belongs to active row r
        terms = -inverse * template.sign[self.rows][:, None, :]
        result = np.zeros((count, n, template.row.max() + 1, n))
        # The n active rows of a vertex come from n different normals: no two terms fall on the same
        # place.
        result[np.arange(count)[:, None], :, template.row[self.rows], :] = np.einsum(
            "vnr,vj->vrnj", terms, self.points
        )
        return result

    def edges(self) -> np.ndarray:
        """Pairs of vertices that share n - 1 active rows, shape (e, 2)."""
        count, n = self.points.shape
        active = np.zeros((count, self.rows.max() + 1), dtype=int)
        np.put_along_axis(active, self.rows, 1, axis=1)
        return np.argwhere(np.triu(active @ active.T >= n - 1, k=1))


def sample_weights(vertices: Vertices, *, per_edge: int) -> np.ndarray:
    """Convex weights (Q, v) of the sample points: all vertices, `per_edge` inner points of every
    edge, facet centroids.

    With the vertices alone, true counterexamples of a nonlinear system remain inside the faces.
    """
    count, n = vertices.points.shape
    edges = vertices.edges()
    blocks = [np.eye(count)]
    for fraction in np.arange(1, per_edge + 1) / (per_edge + 1):
        block = np.zeros((len(edges), count))
        block[np.arange(len(edges)), edges[:, 0]] = fraction
        block[np.arange(len(edges)), edges[:, 1]] = 1 - fraction
        blocks.append(block)
    if n > 2:  # in the plane the facets are the edges
        centroids = np.array(
            [(vertices.rows == i).any(axis=1) for i in np.unique(vertices.rows)], dtype=float
        )
        blocks.append(centroids / centroids.sum(axis=1, keepdims=True))
    return np.concatenate(blocks)


def upper_half(points: np.ndarray) -> np.ndarray:
    """Mask of one point out of every pair (y, -y), shape (Q,)."""
    direction = np.sqrt(np.arange(2, 2 + points.shape[1]))
    return points @ direction >= -1e-12
