"""The half-spaces of the convex hull of points."""

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike
from scipy.spatial import ConvexHull, QhullError

from .._errors import SetDimensionError
from .._gate import as_numbers
from ._arrays import concrete

# Points are flat in a direction in which they extend less than this, relative to their extent in
# the coordinates; facets whose normals differ by less are one facet that qhull cut in pieces.
_FLAT = 1e-9


def hull_halfspaces(
    points: ArrayLike,
) -> tuple[Float64[np.ndarray, "m n"], Float64[np.ndarray, " m"]]:
    """H with rows of length 1 and h of the convex hull, float64, shapes (m, n) and (m,).

    Args:
        points: Shape (v, n).

    Raises:
        SetDimensionError: If the points have another shape, are not finite, or are flat.
    """
    vertices = concrete(as_numbers("points", points))
    if vertices.ndim != 2 or 0 in vertices.shape:
        raise SetDimensionError(
            "`points` must have shape (v, n), one point in each row, but the shape is "
            f"{vertices.shape}; in one dimension write [[1.0], [9.0]]."
        )
    if not np.isfinite(vertices).all():
        raise SetDimensionError("`points` must be finite: a hull of points is bounded.")
    # In coordinates in which the points have extent 1, so that units do not matter.
    middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    extent = np.ptp(vertices, axis=0)
    scale = np.where(extent > 0, extent, 1.0)
    y, n = (vertices - middle) / scale, vertices.shape[1]
    spread = np.linalg.svd(y - y.mean(axis=0), compute_uv=False)
    rank = int((spread > _FLAT * max(1.0, spread.max())).sum())
    if rank < n:
        raise SetDimensionError(
            f"`points` must span {n} dimensions, but these {len(vertices)} span {rank}: their hull "
            f"has no interior. At least {n + 1} points are needed that do not lie in one "
            f"{('point', 'line', 'plane')[min(n - 1, 2)]}; where a state has a single allowed "
            "value, leave the state out of the model."
        )
    H = _normals(y) / scale
    H = H / np.linalg.norm(H, axis=1)[:, None]
    # The offset that holds all points, rounding of the normals included.
    return H, (H @ (vertices - middle).T).max(axis=1) + H @ middle


def _normals(y: Float64[np.ndarray, "v n"]) -> Float64[np.ndarray, "m n"]:
    """The outer normals of the hull, each once: qhull cuts a facet with more than n corners into
    simplices.
    """
    if y.shape[1] == 1:
        return np.array([[1.0], [-1.0]])
    try:
        normals = ConvexHull(y).equations[:, :-1]
    except QhullError as error:
        raise SetDimensionError(
            f"The convex hull of `points` could not be computed: {error}"
        ) from error
    kept: list[int] = []
    for i in range(len(normals)):
        if not kept or np.abs(normals[kept] - normals[i]).max(axis=1).min() > _FLAT:
            kept.append(i)
    return normals[kept]
