"""Polytopes in half-space form."""

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection, QhullError

from .._errors import SetDimensionError
from .._pytree import frozen_pytree
from ._arrays import Array, as_float, concrete, require_shape
from ._triangulation import Triangulation


@frozen_pytree
class Polytope:
    """The set {x : H x <= h}.

    `contains` and `margin` are jit-able and evaluate in the dtype of their input. In float32 the value of
    `margin` carries an error of at most (n + 2) 2^-24 sum_j |H_ij x_j|, about 1e-6 for the bundled sets; a claim of
    containment for a float32 point is checked in float64 on that point. The methods that run once (`vertices`,
    `chebyshev_center`, `triangulate`, `support`) compute in float64 with scipy, outside jit.

    Args:
        H: Facet normals, shape (m, n).
        h: Offsets, shape (m,).

    Raises:
        SetDimensionError: If the shapes do not fit or a value is not finite.
    """

    H: Array
    h: Array

    def __post_init__(self):
        H, h = as_float("H", self.H, 2), as_float("h", self.h, 1)
        require_shape("h", h, (H.shape[0],))
        for name, value in (("H", H), ("h", h)):
            if not isinstance(value, jax.core.Tracer) and not bool(np.isfinite(np.asarray(value)).all()):
                raise SetDimensionError(f"`{name}` must be finite, but it is {value}; leave unbounded rows out.")
        object.__setattr__(self, "H", H)
        object.__setattr__(self, "h", h)

    @property
    def dim(self) -> int:
        """Dimension n of the space."""
        return self.H.shape[-1]

    def halfspaces(self) -> tuple[Array, Array]:
        """(H, h), shapes (m, n) and (m,)."""
        return self.H, self.h

    def margin(self, x) -> jax.Array:
        """min_i (h_i - H_i x): at least 0 inside, in the scale of h. Shape (); x has shape (n,)."""
        # An elementwise sum instead of a matrix product: accelerators may round products to 10 bits.
        return jnp.min(self.h - jnp.sum(self.H * x, axis=-1))

    def contains(self, x) -> jax.Array:
        """Whether x, shape (n,), lies in the set, in the arithmetic of x's dtype."""
        return self.margin(x) >= 0

    def normalised(self) -> "Polytope":
        """The same set with h = 1, which needs the origin strictly inside.

        Raises:
            SetDimensionError: If some h_i is not positive.
        """
        H, h = concrete(self.H), concrete(self.h)
        if np.any(h <= 0):
            raise SetDimensionError(f"The origin must lie strictly inside (h > 0), but min h = {h.min():.3g}; shift the set first.")
        return Polytope(H / h[:, None], np.ones_like(h))

    def chebyshev_center(self) -> tuple[np.ndarray, float]:
        """Centre (n,) and radius of the largest inscribed ball, float64.

        Raises:
            SetDimensionError: If the set is empty or unbounded.
        """
        H, h = concrete(self.H), concrete(self.h)
        norms = np.linalg.norm(H, axis=1)
        objective = np.append(np.zeros(self.dim), -1.0)
        result = linprog(objective, A_ub=np.column_stack([H, norms]), b_ub=h, bounds=[(None, None)] * self.dim + [(0, None)])
        if result.status != 0:
            raise SetDimensionError(f"The polytope must be bounded and non-empty, but its largest inscribed ball was not found: {result.message}")
        return result.x[:-1], float(result.x[-1])

    def support(self, direction) -> float:
        """max {direction . x : H x <= h} by linear programming, float64; `inf` if unbounded."""
        result = linprog(-concrete(np.asarray(direction)), A_ub=concrete(self.H), b_ub=concrete(self.h), bounds=(None, None))
        if result.status == 3:
            return float("inf")
        if result.status != 0:
            raise SetDimensionError(f"The polytope must be non-empty, but the support could not be computed: {result.message}")
        return float(-result.fun)

    @cached_property
    def _vertices(self) -> np.ndarray:
        center, radius = self.chebyshev_center()
        if radius <= 0:
            raise SetDimensionError("The polytope must have an interior, but its largest inscribed ball has radius 0.")
        if self.dim == 1:
            return np.array([[-self.support([-1.0])], [self.support([1.0])]])
        halfspaces = np.column_stack([concrete(self.H), -concrete(self.h)])
        try:
            points = HalfspaceIntersection(halfspaces, center).intersections
        except QhullError as error:
            raise SetDimensionError(f"The polytope must be bounded with an interior, but qhull found otherwise: {error}") from error
        if not np.isfinite(points).all():
            raise SetDimensionError("The polytope must be bounded, but it has vertices at infinity.")
        # Several cells of the dual hull give the same vertex when more than n facets meet in it.
        scale = np.abs(points).max() or 1.0
        _, index = np.unique(np.round(points / scale, 10), axis=0, return_index=True)
        return points[np.sort(index)]

    def vertices(self) -> np.ndarray:
        """All vertices, float64, shape (v, n), by qhull."""
        return self._vertices

    def triangulate(self) -> Triangulation:
        """A fan of simplices around the centroid of the vertices: exact volume and uniform samples."""
        return Triangulation.of_hull(self.vertices())

    def volume(self) -> float:
        """Volume in the units of x, from the triangulation."""
        return self.triangulate().volume

    def scaled(self, factor: float) -> "Polytope":
        """factor * S about the origin, for example (1 - 1e-3) S."""
        return Polytope(self.H, self.h * factor)
