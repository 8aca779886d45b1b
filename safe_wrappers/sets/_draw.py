"""Pictures of sets: their projections onto two coordinates."""

from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.spatial import ConvexHull

from .._errors import SetDimensionError
from ._arrays import concrete
from ._box import Box
from ._polytope import Polytope
from ._zonotope import Zonotope


def outline(
    set: Box | Polytope | Zonotope, axes: tuple[int, int] = (0, 1)
) -> Float64[np.ndarray, "k 2"]:
    """The boundary of the set's projection onto the coordinates `axes`: a closed polygon,
    counterclockwise, float64.

    Args:
        set: A bounded set of dimension n >= 2.
        axes: The coordinates to draw to the right and upwards, two different indices from 0 to n -
            1.

    Returns:
        The corners, shape (k, 2), the first one repeated at the end.

    Raises:
        SetDimensionError: If `axes` does not fit, or the set is unbounded or flat in these
            coordinates.
    """
    if len({*axes}) != 2 or len(axes) != 2 or not all(0 <= axis < set.dim for axis in axes):
        raise SetDimensionError(
            f"`axes` must be two different indices from 0 to {set.dim - 1}, "
            f"but they are {tuple(axes)}."
        )
    picked = list(axes)
    if isinstance(set, Box):
        points = Box(concrete(set.lower)[picked], concrete(set.upper)[picked]).vertices()
    elif isinstance(set, Zonotope):
        points = Zonotope(concrete(set.center)[picked], concrete(set.generators)[picked]).vertices()
    else:
        points = set.vertices()[:, picked]
    if np.linalg.matrix_rank(points - points.mean(axis=0)) < 2:
        raise SetDimensionError(
            f"The set must have an interior in the coordinates {tuple(axes)}, but it is flat there."
        )
    corners = points[ConvexHull(points).vertices]
    return np.concatenate([corners, corners[:1]])


def draw(
    set: Box | Polytope | Zonotope, ax: Any = None, axes: tuple[int, int] = (0, 1), **style: Any
) -> Any:
    """Fills the set's projection onto the coordinates `axes`, pale with a solid edge unless `style`
    says otherwise.

    Args:
        set: A bounded set of dimension n >= 2.
        ax: A matplotlib Axes; the current one by default.
        axes: The coordinates to draw to the right and upwards.
        **style: Properties of the matplotlib polygon, for example `color`, `label` or `linewidth`.

    Returns:
        The Axes.

    Raises:
        SetDimensionError: For the same reasons as in `outline`.
    """
    from matplotlib import pyplot

    ax = pyplot.gca() if ax is None else ax
    (polygon,) = ax.fill(*outline(set, axes).T, **style)
    color = polygon.get_facecolor()[:3]
    if not style.keys() & {"alpha", "facecolor", "fc", "fill"}:
        polygon.set_facecolor((*color, 0.2))
    if not style.keys() & {"edgecolor", "ec"}:
        polygon.set_edgecolor(color)
    return ax
