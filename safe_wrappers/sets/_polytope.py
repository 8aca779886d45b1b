"""Polytopes in half-space form."""

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy.typing import ArrayLike
from scipy.optimize import linprog
from scipy.spatial import HalfspaceIntersection, KDTree, QhullError

from .._errors import SetDimensionError
from .._gate import Array, as_number, is_traced
from .._one_line import rows_by_columns
from .._products import dot
from .._pytree import frozen_pytree
from .._read_only import ReadOnly
from ._arrays import as_exact_vector, as_float, as_vector, concrete, require_shape
from ._hull import hull_halfspaces
from ._triangulation import Triangulation

# HiGHS's presolve calls some unbounded problems infeasible, for example a maximum over the slab |x
# + y + z| <= 1.
LP_OPTIONS = {
    "presolve": False,
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


@frozen_pytree
class Polytope(ReadOnly):
    """The set {x : H x <= h}.

    `contains` and `margin` are jit-able and evaluate in the dtype of their argument. For float32
    data and a float32 x, row i of the margin carries an error of at most 2^-24 ((n + 2) sum_j |H_ij
    x_j| + |h_i|), about 3e-7 for the bundled sets (h = 1), so that `contains` may go either way for
    points this close to the boundary; float64 data are rounded first, which at most doubles the
    bound. A proof of containment for a float32 point is therefore made in float64 on that point, or
    with a margin above the bound. The other methods compute in float64 with scipy, outside jit.

    Args:
        H: Facet normals, shape (m, n).
        h: Offsets, shape (m,).

    Raises:
        SetDimensionError: If the shapes do not fit, a value is not finite, or a row is so small
            that float32 arithmetic would take it for 0, which is no constraint.

    Example:
        >>> triangle = Polytope([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]], [0.0, 0.0, 1.0])
        >>> triangle.margin(jnp.array([0.25, 0.5]))
        Array(0.25, dtype=float32)
    """

    H: Float[Array, "m n"]
    h: Float[Array, " m"]

    def __init__(self, H: ArrayLike, h: ArrayLike):
        normals, offsets = as_float("H", H, 2), as_float("h", h, 1)
        require_shape("h", offsets, (normals.shape[0],))
        if not is_traced(normals):
            _require_visible_rows(concrete(H))
        object.__setattr__(self, "H", normals)
        object.__setattr__(self, "h", offsets)

    def __repr__(self) -> str:
        return f"Polytope({rows_by_columns(self.H, 'facet', 'dimension')})"

    @classmethod
    def from_vertices(cls, points: ArrayLike) -> "Polytope":
        """The convex hull of points, with a row of length 1 for each facet, in float64.

        Points that lie inside the hull, or are there twice, make no difference.

        Args:
            points: One point in each row, shape (v, n), in the units of the state.

        Raises:
            SetDimensionError: If the points have another shape, are not finite, or do not span n
                dimensions, like points in one plane for n = 3.

        Example:
            >>> corners = [[5.0, 0.0], [60.0, 0.0], [60.0, 30.0], [20.0, 30.0]]
            >>> gap_and_speed = Polytope.from_vertices(corners)
            >>> bool(gap_and_speed.contains(jnp.array([19.0, 30.0])))
            False
        """
        return cls(*hull_halfspaces(points))

    @property
    def dim(self) -> int:
        """Dimension n of the space."""
        return self.H.shape[-1]

    def halfspaces(self) -> tuple[Float[Array, "m {self.dim}"], Float[Array, " m"]]:
        """(H, h), shapes (m, n) and (m,)."""
        return self.H, self.h

    def margin(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """The minimum of h_i - H_i x over the rows: at least 0 inside, in the scale of h.

        Shape (); x has shape (n,).

        Its gradient is -H_i of the smallest row, their mean where several tie; NaN in x gives NaN.
        """
        x = as_vector("x", x, self.dim)
        if not len(self.h):  # no constraint at all
            return jnp.full((), jnp.inf, x.dtype)
        return jnp.min(jnp.asarray(self.h, x.dtype) - dot(jnp.asarray(self.H, x.dtype), x))

    def contains(self, x: ArrayLike) -> Bool[jax.Array, ""]:
        """Whether margin(x) >= 0, in the arithmetic of x's dtype; false for NaN."""
        return self.margin(x) >= 0

    def normalised(self, center: ArrayLike | None = None) -> "Polytope":
        """The same set with rows of another length, such that h_i - H_i center = 1 in every row, in
        float64. Margins then count 1 from the centre to each facet.

        Args:
            center: A point strictly inside, shape (n,). Default: the origin, and h = 1.

        Raises:
            SetDimensionError: If the point is not strictly inside.
        """
        H, h = concrete(self.H), concrete(self.h)
        if center is None:
            center = np.zeros(self.dim)
        center = as_exact_vector("center", center, self.dim)
        room = h - H @ center
        if not np.all(room > 0):
            raise SetDimensionError(
                f"The centre {center.tolist()} must lie strictly inside the set, but the least "
                f"h_i - H_i center is {room.min():.3g}. Give a point inside as `center`, for "
                "example `chebyshev_center()[0]`."
            )
        H = H / room[:, None]
        return Polytope(H, 1 + H @ center)

    def scaled(self, factor: float | jax.Array, center: ArrayLike | None = None) -> "Polytope":
        """The set {c + factor (x - c) : x in S}, for example a copy shrunk by 1e-3 about c.

        Args:
            factor: A positive number.
            center: c, shape (n,). Default: the origin.

        Raises:
            TypeError: If `factor` is not a number.
            ValueError: If `factor` is not positive and finite.
        """
        if not is_traced(factor):
            factor = as_number("factor", factor, above=0.0)
        if center is None:
            return Polytope(self.H, self.h * factor)
        center = as_exact_vector("center", center, self.dim)
        H, h = concrete(self.H), concrete(self.h)
        return Polytope(self.H, (factor * h + (1 - factor) * (H @ center)).astype(self.h.dtype))

    def chebyshev_center(self) -> tuple[Float64[np.ndarray, " {self.dim}"], float]:
        """Centre (n,) and radius of the largest inscribed ball.

        Raises:
            SetDimensionError: If the set is empty or contains arbitrarily large balls.
        """
        H, h = concrete(self.H), concrete(self.h)
        norms = np.linalg.norm(H, axis=1)
        objective = np.append(np.zeros(self.dim), -1.0)
        bounds = [(None, None)] * self.dim + [(0, None)]
        result = linprog(
            objective, A_ub=np.column_stack([H, norms]), b_ub=h, bounds=bounds, options=LP_OPTIONS
        )
        if result.status != 0:
            raise SetDimensionError(
                "The polytope must be bounded and non-empty, but its largest "
                f"inscribed ball was not found: {result.message}"
            )
        return result.x[:-1], float(result.x[-1])

    def plot(self, ax: Any = None, axes: tuple[int, int] = (0, 1), **style: Any) -> Any:
        """Fills the projection onto two coordinates in a matplotlib Axes, by default the current
        one; `sets.draw` says more.

        Returns:
            The Axes.

        Raises:
            SetDimensionError: If `axes` does not fit, or the set is unbounded or flat there.
        """
        from ._draw import draw  # which needs all kinds of sets

        return draw(self, ax, axes, **style)

    def support(self, direction: ArrayLike) -> float:
        """The maximum of direction . x over the set, for direction of shape (n,); `inf` if
        unbounded. By linear programming.

        Raises:
            SetDimensionError: If the set is empty.
        """
        direction = as_exact_vector("direction", direction, self.dim)
        result = linprog(
            -direction,
            A_ub=concrete(self.H),
            b_ub=concrete(self.h),
            bounds=(None, None),
            options=LP_OPTIONS,
        )
        if result.status == 3:
            return float("inf")
        if result.status != 0:
            raise SetDimensionError(
                "The polytope must be non-empty, but the support could not be "
                f"computed: {result.message}"
            )
        return float(-result.fun)

    def vertices(self) -> Float64[np.ndarray, "v {self.dim}"]:
        """All vertices, shape (v, n), by qhull; a single one where more than n facets meet.

        Raises:
            SetDimensionError: If the set is unbounded or has no interior.
        """
        return self._vertices

    def triangulate(self) -> Triangulation:
        """A fan of simplices around the mean of the vertices: exact volume and uniform samples, in
        the dtype of H.
        """
        return self._triangulation

    def volume(self) -> float:
        """Volume in the units of x, from the triangulation."""
        return self._triangulation.volume

    def sample(
        self, key: jax.Array, shape: tuple[int, ...] = ()
    ) -> Float[jax.Array, "... {self.dim}"]:
        """Uniform points by volume, shape (*shape, n), in the dtype of H.

        Jit-able in the key for a fixed set: the triangulation is computed once, in numpy. A
        function that takes the set as a traced argument takes `triangulate()` instead. Rounding:
        see `Triangulation.sample`.
        """
        return self._triangulation.sample(key, shape)

    @cached_property
    def _vertices(self) -> Float64[np.ndarray, "v {self.dim}"]:
        center, radius = self.chebyshev_center()
        if radius <= 0:
            raise SetDimensionError(
                "The polytope must have an interior, but its largest inscribed ball has radius 0. "
                "Check the signs of `H` and `h` in H x <= h."
            )
        upper = np.array([self.support(e) for e in np.eye(self.dim)])
        lower = np.array([-self.support(-e) for e in np.eye(self.dim)])
        if not np.isfinite([lower, upper]).all():
            raise SetDimensionError(
                f"The polytope must be bounded, but its coordinates range from {lower} to {upper}. "
                "Add rows that bound the others."
            )
        if self.dim == 1:
            points = np.array([lower, upper])
        else:
            try:
                points = HalfspaceIntersection(
                    np.column_stack([concrete(self.H), -concrete(self.h)]), center
                ).intersections
            except QhullError as error:
                raise SetDimensionError(
                    f"The polytope must have an interior, but qhull found otherwise: {error}"
                ) from error
            # qhull lists a vertex twice where its facets differ by rounding only
            near = 1e-12 * np.abs(points).max()
            pairs = KDTree(points).query_pairs(near, p=np.inf, output_type="ndarray")
            points = np.delete(points, np.unique(pairs.max(axis=1)), axis=0)
        points.setflags(write=False)
        return points

    @cached_property
    def _triangulation(self) -> Triangulation:
        fan = Triangulation.of_hull(self.vertices())
        return Triangulation(fan.simplices.astype(self.H.dtype), fan.volumes)


def _require_visible_rows(H: Float64[np.ndarray, "m n"]) -> None:
    """Raises SetDimensionError if all entries of a row that is not 0 are below float32's normal
    range, where arithmetic may flush them to 0.
    """
    largest = np.abs(H).max(axis=1, initial=0.0)
    lost = np.flatnonzero((largest > 0) & (largest < np.finfo(np.float32).tiny))
    if len(lost):
        raise SetDimensionError(
            f"Row {lost[0]} of `H` is {H[lost[0]].tolist()}, but float32 arithmetic may take it "
            "for 0, which constrains nothing; scale the row and its `h`."
        )
