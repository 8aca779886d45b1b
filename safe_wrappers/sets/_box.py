"""Axis-aligned boxes."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy.typing import ArrayLike

from .._errors import SetDimensionError
from .._gate import Array, is_traced, shown
from .._one_line import one_line
from .._pytree import frozen_pytree
from .._read_only import ReadOnly
from ._arrays import as_float, as_vector, concrete, require_shape

# Sides of positive width up to which corners are listed: 65,536 of them.
_MAX_SIDES = 16


@frozen_pytree
class Box(ReadOnly):
    """The box {x : lower <= x <= upper}; an infinite bound means no bound on that side.

    `contains`, `margin` and `support` are jit-able and evaluate in the dtype of their argument.
    With bounds stored in float32 (as lists are), `contains` and the sign of `margin` are exact in
    float32; float64 bounds are first rounded to the nearest float32, which may lie outside by 2^-24
    of the bound.

    Args:
        lower: Shape (n,).
        upper: Shape (n,).

    Raises:
        SetDimensionError: If the shapes differ, a value is NaN or the box is empty.

    Example:
        >>> Box([-1.0, -2.0], [1.0, 2.0]).contains(jnp.array([0.5, 2.5]))
        Array(False, dtype=bool)
    """

    lower: Float[Array, " n"]
    upper: Float[Array, " n"]

    def __init__(self, lower: ArrayLike, upper: ArrayLike):
        lower = as_float("lower", lower, 1, finite=False)
        upper = as_float("upper", upper, 1, finite=False)
        require_shape("upper", upper, tuple(lower.shape))
        if not is_traced(lower, upper):
            low, up = np.asarray(lower), np.asarray(upper)
            if np.any(low > up) or np.any(low == np.inf) or np.any(up == -np.inf):
                raise SetDimensionError(
                    "`lower` must not exceed `upper`, and a point must lie between them, but "
                    f"lower = {shown(low)} and upper = {shown(up)}."
                )
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @classmethod
    def symmetric(cls, radius: ArrayLike) -> "Box":
        """The box |x_i| <= radius_i around the origin; `radius` has shape (n,).

        Raises:
            SetDimensionError: If a radius is negative or NaN.
        """
        radius = as_float("radius", radius, 1, finite=False)
        if not is_traced(radius) and np.any(np.asarray(radius) < 0):
            raise SetDimensionError(f"`radius` must be at least 0, but it is {shown(radius)}.")
        return cls(-radius, radius)

    @property
    def dim(self) -> int:
        """Dimension n of the space."""
        return self.lower.shape[-1]

    @property
    def center(self) -> Float[Array, " {self.dim}"]:
        """Midpoint, shape (n,). Finite boxes only."""
        self._require_bounded()
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Float[Array, " {self.dim}"]:
        """Half-widths, shape (n,). Finite boxes only."""
        self._require_bounded()
        return (self.upper - self.lower) / 2

    def margin(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """Distance to the nearest face, negative outside: min over faces, in the units of x.

        Shape ().
        """
        x = as_vector("x", x, self.dim)
        lower, upper = jnp.asarray(self.lower, x.dtype), jnp.asarray(self.upper, x.dtype)
        if not self.dim:  # a box of no dimensions is one point, far from any face
            return jnp.full((), jnp.inf, x.dtype)
        return jnp.minimum(jnp.min(x - lower), jnp.min(upper - x))

    def contains(self, x: ArrayLike) -> Bool[jax.Array, ""]:
        """Whether x, shape (n,), lies in the box; false if x is not finite.

        Only comparisons, no rounding.
        """
        x = as_vector("x", x, self.dim)
        lower, upper = jnp.asarray(self.lower, x.dtype), jnp.asarray(self.upper, x.dtype)
        return jnp.all((x >= lower) & (x <= upper) & jnp.isfinite(x))

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

    def support(self, direction: ArrayLike) -> Float[jax.Array, ""]:
        """The maximum of direction . x over the box, for direction of shape (n,). Shape ()."""
        direction = as_vector("direction", direction, self.dim)
        lower, upper = (
            jnp.asarray(self.lower, direction.dtype),
            jnp.asarray(self.upper, direction.dtype),
        )
        # A zero component must not meet an infinite bound: 0 * inf is NaN.
        bound = jnp.where(direction > 0, upper, jnp.where(direction < 0, lower, 0.0))
        return jnp.sum(direction * bound)

    def halfspaces(self) -> tuple[Float[np.ndarray, "m {self.dim}"], Float[np.ndarray, " m"]]:
        """(H, h) with {x : H x <= h} the box; infinite bounds give no row. Outside jit."""
        eye = np.eye(self.dim, dtype=self.lower.dtype)
        H, h = (
            np.concatenate([eye, -eye]),
            np.concatenate([np.asarray(self.upper), -np.asarray(self.lower)]),
        )
        finite = np.isfinite(h)
        return H[finite], h[finite]

    def vertices(self) -> Float64[np.ndarray, "v {self.dim}"]:
        """All corners, float64, shape (2^n, n).

        Zero-width sides are not repeated. Finite boxes only, outside jit.

        Raises:
            SetDimensionError: If the box is unbounded, or has more than 16 sides of positive width:
                it has 2^n corners.
        """
        self._require_bounded()
        sides = [
            sorted({lo, hi})
            for lo, hi in zip(concrete(self.lower), concrete(self.upper), strict=True)
        ]
        wide = sum(len(side) == 2 for side in sides)
        if wide > _MAX_SIDES:
            raise SetDimensionError(
                f"The box has {wide} sides of positive width and so 2^{wide} corners, but corners "
                f"are listed for up to {_MAX_SIDES} sides only; use `support`, which needs none."
            )
        return np.array(list(itertools.product(*sides)))

    def volume(self) -> float:
        """Product of the widths. Finite boxes only, outside jit."""
        return float(np.prod(2 * concrete(self.radius)))

    def sample(
        self, key: jax.Array, shape: tuple[int, ...] = ()
    ) -> Float[jax.Array, "... {self.dim}"]:
        """Uniform points, shape (*shape, n), never outside, in the dtype of the bounds.

        Jit-able. Finite boxes only.
        """
        self._require_bounded()
        lower, upper = jnp.asarray(self.lower), jnp.asarray(self.upper)
        return jax.random.uniform(key, (*shape, self.dim), lower.dtype, lower, upper)

    def __repr__(self) -> str:
        shape = tuple(getattr(self.lower, "shape", ()))
        if is_traced(self.lower, self.upper) or len(shape) != 1:
            return f"Box(of shape {shape})"
        sides = (f"{lo:g} .. {up:g}" for lo, up in zip(self.lower, self.upper, strict=True))
        return one_line(f"Box({', '.join(sides)})")

    def _require_bounded(self) -> None:
        if not is_traced(self.lower, self.upper) and not (
            np.isfinite(self.lower).all() and np.isfinite(self.upper).all()
        ):
            raise SetDimensionError(
                f"The box must be bounded, but lower = {shown(self.lower)} and "
                f"upper = {shown(self.upper)}."
            )
