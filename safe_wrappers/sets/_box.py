"""Axis-aligned boxes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import SetDimensionError
from .._pytree import frozen_pytree
from ._arrays import Array, as_float, concrete, require_shape


@frozen_pytree
class Box:
    """The box {x : lower <= x <= upper}; an infinite bound means no bound on that side.

    Args:
        lower: Shape (n,).
        upper: Shape (n,).

    Raises:
        SetDimensionError: If the shapes differ or a lower bound exceeds its upper bound.

    Example:
        >>> Box([-1.0, -2.0], [1.0, 2.0]).contains(jnp.array([0.5, 2.5]))
        Array(False, dtype=bool)
    """

    lower: Array
    upper: Array

    def __post_init__(self):
        lower, upper = as_float("lower", self.lower, 1), as_float("upper", self.upper, 1)
        require_shape("upper", upper, tuple(lower.shape))
        tracing = isinstance(lower, jax.core.Tracer) or isinstance(upper, jax.core.Tracer)
        if not tracing and bool(np.any(np.asarray(lower) > np.asarray(upper))):
            raise SetDimensionError(f"`lower` must not exceed `upper`, but lower = {lower} and upper = {upper}.")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @classmethod
    def symmetric(cls, radius) -> "Box":
        """The box |x_i| <= radius_i around the origin; `radius` has shape (n,)."""
        radius = as_float("radius", radius, 1)
        return cls(-radius, radius)

    @property
    def dim(self) -> int:
        """Dimension n of the space."""
        return self.lower.shape[-1]

    @property
    def center(self) -> Array:
        """Midpoint, shape (n,). Finite boxes only."""
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Array:
        """Half-widths, shape (n,). Finite boxes only."""
        return (self.upper - self.lower) / 2

    def margin(self, x) -> jax.Array:
        """Distance to the nearest face, negative outside: min over faces, in the units of x. Shape ()."""
        return jnp.minimum(jnp.min(x - self.lower), jnp.min(self.upper - x))

    def contains(self, x) -> jax.Array:
        """Whether x, shape (n,), lies in the box. Exact in floating point: only comparisons."""
        return jnp.all((x >= self.lower) & (x <= self.upper))

    def support(self, direction) -> jax.Array:
        """max {direction . x : x in the box} for direction of shape (n,). Shape ()."""
        # A zero component must not meet an infinite bound: 0 * inf is NaN.
        bound = jnp.where(direction > 0, self.upper, self.lower)
        return jnp.sum(jnp.where(direction == 0, 0.0, direction * jnp.where(direction == 0, 0.0, bound)))

    def halfspaces(self) -> tuple[Array, Array]:
        """(H, h) with {x : H x <= h} the box; infinite bounds give no row."""
        eye = np.eye(self.dim, dtype=self.lower.dtype)
        H, h = np.concatenate([eye, -eye]), np.concatenate([np.asarray(self.upper), -np.asarray(self.lower)])
        finite = np.isfinite(h)
        return H[finite], h[finite]

    def vertices(self) -> np.ndarray:
        """All corners, float64, shape (2^n, n). Zero-width sides are not repeated."""
        sides = [sorted({lo, hi}) for lo, hi in zip(concrete(self.lower), concrete(self.upper), strict=True)]
        return np.array(list(itertools.product(*sides)))

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Uniform points, shape (*shape, n). Jit-able. Finite boxes only."""
        lower, upper = jnp.asarray(self.lower), jnp.asarray(self.upper)
        return jax.random.uniform(key, (*shape, self.dim), lower.dtype, lower, upper)
