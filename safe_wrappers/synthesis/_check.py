"""The smallest margin at many random boundary points: a test of the result, not a proof."""

import math

import numpy as np
from scipy.spatial import ConvexHull

from ._best_inputs import best_inputs
from ._geometry import Vertices
from ._scaled_model import ScaledSystem


def boundary_points(vertices: Vertices, count: int, rng: np.random.Generator) -> np.ndarray:
    """The vertices and about `count` random points of the boundary simplices, shape (Q, n);
    low-dimensional faces are favoured.
    """
    corners = vertices.points[ConvexHull(vertices.points).simplices]
    per_simplex = math.ceil(count / len(corners))
    weights = rng.dirichlet(np.full(corners.shape[1], 0.4), (len(corners), per_simplex))
    return np.concatenate([vertices.points, (weights @ corners).reshape(-1, corners.shape[-1])])


def sampled_margins(system: ScaledSystem, H: np.ndarray, points: np.ndarray) -> np.ndarray:
    """max_a min_i of 1 - H_i f(y, a, w) with the worst w of the disturbance box itself, shape
    (Q,).
    """
    local = system.linearise(points)
    offset = local.c @ H.T + system.spread(H, local.E, 1.0)
    slope = np.einsum("mn,qnd->qmd", H, local.B)
    inputs = best_inputs(offset, slope)
    return 1.0 - (offset + np.einsum("qmd,qd->qm", slope, inputs)).max(axis=1)
