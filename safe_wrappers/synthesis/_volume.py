"""Volume of a polytope around the origin and its gradient in the facet normals."""

import math

import numpy as np
from scipy.spatial import ConvexHull

from ._geometry import Template, Vertices


def volume_and_gradient(
    H: np.ndarray, vertices: Vertices, template: Template
) -> tuple[float, np.ndarray]:
    """V of {y : H y <= 1} and dV / d normals, shape (p, n).

    The set is cut into cones from the origin to the boundary simplices s: V = sum_s V_s, V_s =
    |det| / n!. If H_i changes by dH_i, a point y of facet i moves outward by -dH_i y / |H_i|, and
    the facet's area over |H_i| is n times its cones' volume, so that
    dV/dH_i = -sum_{s on facet i} n V_s c_s with c_s the centroid of s.
    """
    corners = vertices.points[ConvexHull(vertices.points).simplices]  # (s, n, n)
    n = corners.shape[-1]
    cones = np.abs(np.linalg.det(corners)) / math.factorial(n)
    centroids = corners.mean(axis=1)
    facet = np.argmax(centroids @ H.T, axis=1)
    gradient = np.zeros((template.row.max() + 1, n))
    np.add.at(
        gradient, template.row[facet], -n * (template.sign[facet] * cones)[:, None] * centroids
    )
    return float(cones.sum()), gradient
