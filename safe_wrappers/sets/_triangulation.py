"""Fans of simplices: exact volumes and loop-free uniform samples of a convex body."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import ConvexHull

from .._pytree import frozen_pytree
from ._arrays import Array, concrete


@frozen_pytree
class Triangulation:
    """A convex body cut into simplices.

    Args:
        simplices: Shape (s, n + 1, n), the corners of each simplex.
        volumes: Shape (s,), the volume of each simplex.
    """

    simplices: Array
    volumes: Array

    @classmethod
    def of_hull(cls, points: np.ndarray) -> "Triangulation":
        """Cones from the mean of `points`, shape (v, n), to the boundary simplices of their convex hull."""
        points = concrete(points)
        apex, dim = points.mean(axis=0), points.shape[1]
        if dim == 1:
            simplices = np.array([[points.min(axis=0), points.max(axis=0)]])
        else:
            boundary = points[ConvexHull(points).simplices]
            simplices = np.concatenate([np.broadcast_to(apex, (len(boundary), 1, dim)), boundary], axis=1)
        volumes = np.abs(np.linalg.det(simplices[:, 1:] - simplices[:, :1])) / math.factorial(dim)
        return cls(simplices.astype(np.float32), volumes.astype(np.float32))

    @property
    def volume(self) -> float:
        """Total volume."""
        return float(concrete(self.volumes).sum())

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Uniform points, shape (*shape, n): a simplex by its volume, then Dirichlet(1, ..., 1) weights. Jit-able."""
        pick, spread = jax.random.split(key)
        index = jax.random.categorical(pick, jnp.log(self.volumes), shape=shape)
        corners = jnp.asarray(self.simplices)[index]
        weights = jax.random.dirichlet(spread, jnp.ones(corners.shape[-2], corners.dtype), shape)
        return jnp.sum(weights[..., None] * corners, axis=-2)
