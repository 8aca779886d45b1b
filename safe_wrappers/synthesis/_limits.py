"""The constraint set as two-sided rows around a point: lower <= G y <= upper."""

from typing import NamedTuple

import numpy as np

from .._errors import SetDimensionError
from ..sets import Box, Polytope

# Bounds that differ by less than this part of them are mirror images of each other.
_MIRRORED = 1e-6


class Limits(NamedTuple):
    """{y : lower <= G y <= upper}, float64, every row of G of length 1.

    Shapes: rows (r, n), lower and upper (r,); -inf and inf where there is no bound.
    """

    rows: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, constraint_set: Box | Polytope, center: np.ndarray, scale: np.ndarray) -> "Limits":
        """The limits of y = (x - center) / scale for x in the set.

        Args:
            constraint_set: A box or a polytope, dimension n; it need not be bounded.
            center: Shape (n,).
            scale: Positive, shape (n,).
        """
        if isinstance(constraint_set, Box):
            rows = np.eye(constraint_set.dim)
            lower = np.asarray(constraint_set.lower, np.float64)
            upper = np.asarray(constraint_set.upper, np.float64)
        else:
            rows = np.asarray(constraint_set.H, np.float64)
            upper = np.asarray(constraint_set.h, np.float64)
            lower = np.full(len(rows), -np.inf)
        shift, rows = rows @ center, rows * scale
        length = np.linalg.norm(rows, axis=1)
        kept = length > 0
        rows, shift, length = rows[kept], shift[kept], length[kept]
        return cls(
            rows / length[:, None], (lower[kept] - shift) / length, (upper[kept] - shift) / length
        )

    @property
    def depth(self) -> np.ndarray:
        """How far the origin is from the nearer bound of each row, shape (r,); negative outside."""
        return np.minimum(-self.lower, self.upper)

    def excess(self, points: np.ndarray) -> float:
        """How far points of shape (v, n) stick out at most, 0 if they do not."""
        levels = points @ self.rows.T
        return float(max(0.0, (levels - self.upper).max(), (self.lower - levels).max()))

    def reach(self, points: np.ndarray) -> float:
        """The smallest factor >= 1 by which points around the origin are to be divided so that
        they lie inside.
        """
        levels = points @ self.rows.T
        return float(max((levels / self.upper).max(), (levels / self.lower).max(), 1.0))

    def lopsided(self) -> tuple[np.ndarray, float, float] | None:
        """A row of which no set that is symmetric about the origin can use the larger side, with
        its bounds, or None if there is none.
        """
        for row, low, high in zip(*self, strict=True):
            if np.isinf(low):
                twins = self.upper[(self.rows @ row) < -1 + 1e-9]
                low = -twins.min(initial=np.inf)
            near, far = sorted((-low, high))
            if not far <= near * (1 + _MIRRORED) and not (np.isinf(near) and np.isinf(far)):
                return row, float(low), float(high)
        return None


def extent(constraint_set: Box | Polytope, center: np.ndarray) -> np.ndarray:
    """How far the set reaches from a point in the direction of each axis, the larger of both
    sides, shape (n,); infinite where it is not bounded.

    Raises:
        SetDimensionError: If the set is empty.
    """
    if isinstance(constraint_set, Box):
        lower, upper = (
            np.asarray(bound, np.float64) for bound in (constraint_set.lower, constraint_set.upper)
        )
    else:
        axes = np.eye(constraint_set.dim)
        lower = np.array([-constraint_set.support(-axis) for axis in axes])
        upper = np.array([constraint_set.support(axis) for axis in axes])
    return np.maximum(center - lower, upper - center)


def require_inside(constraint_set: Box | Polytope, center: np.ndarray) -> None:
    """Raises SetDimensionError unless the point lies strictly inside the set."""
    limits = Limits.of(constraint_set, center, np.ones(len(center)))
    outside = np.flatnonzero(~(limits.depth > 0))
    if len(outside):
        i = outside[0]
        found = np.round(limits.rows[i] @ center, 6)
        low, high = (found + bound[i] for bound in (limits.lower, limits.upper))
        raise SetDimensionError(
            f"`center` must lie strictly inside `constraint_set`, but {center} does not: along "
            f"{limits.rows[i]} it is at {found:.6g}, which must lie between {low:.6g} and "
            f"{high:.6g}. Pass `center=` a state in the middle of the set."
        )
