"""A polygon of few sides that fills most of the convex hull of points."""

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from ..sets import Polytope

_WELL_INSIDE = 0.1


def polygon(
    points: np.ndarray, center: np.ndarray, sides: int, loss: float, *, symmetric: bool
) -> Polytope | None:
    """The hull of the points, corners cut off one by one where the least area is lost.

    Args:
        points: Shape (p, 2).
        center: A point that is to lie inside, shape (2,).
        sides: Most sides.
        loss: Corners are cut off also while each one costs less than this part of the area.
        symmetric: Whether points, and the polygon, are mirrored at the centre.

    Returns:
        The polygon, or None if the points do not surround the centre.
    """
    y = points - center
    scale = np.abs(y).max(axis=0, initial=0.0)
    if len(y) < 3 or not scale.all():
        return None
    if symmetric:
        y = np.concatenate([y, -y])
    try:
        hull = ConvexHull(y / scale)
    except QhullError:  # they lie on a line
        return None
    corners, area = hull.points[hull.vertices], hull.volume
    twin = len(corners) // 2
    symmetric = symmetric and np.allclose(corners[:twin], -corners[twin:])
    while len(corners) > 3 + symmetric:
        cut = _triangles(corners)
        cheapest = int(np.argmin(cut))
        if len(corners) <= sides and cut[cheapest] * (1 + symmetric) > loss * area:
            break
        half = len(corners) // 2
        gone = [cheapest, (cheapest + half) % len(corners)] if symmetric else [cheapest]
        corners = np.delete(corners, gone, axis=0)
    # Counterclockwise: the outer normal is the side turned to the right.
    along = np.roll(corners, -1, axis=0) - corners
    normals = np.column_stack([along[:, 1], -along[:, 0]])
    offsets = np.einsum("ij,ij->i", normals, corners)
    if not (offsets > 1e-6 * np.linalg.norm(normals, axis=1)).all():
        return None
    H = normals / offsets[:, None] / scale
    if symmetric:
        half = len(H) // 2
        H = np.concatenate([H[:half], -H[:half]])
    return Polytope(H, 1.0 + H @ center)


def well_inside(points: np.ndarray, center: np.ndarray) -> bool:
    """Whether a point lies in the hull of points, shape (p, 2), at least a tenth of the way across
    from every side of it; also if the hull is flat and there is no inside.
    """
    scale = np.ptp(points, axis=0)
    if len(points) < 3 or not scale.all():
        return True
    try:
        hull = ConvexHull(points / scale)
    except QhullError:
        return True
    normals, offsets = hull.equations[:, :-1], hull.equations[:, -1]
    across = -(hull.points @ normals.T + offsets).min(axis=0)
    return bool((-(normals @ (center / scale) + offsets) >= _WELL_INSIDE * across).all())


def _triangles(corners: np.ndarray) -> np.ndarray:
    """The area that is lost with each corner."""
    before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
    return np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) / 2
