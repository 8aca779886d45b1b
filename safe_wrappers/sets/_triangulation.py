"""Fans of simplices: exact volumes and loop-free uniform samples of a convex body."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull

from .._gate import Array
from .._pytree import frozen_pytree
from .._read_only import ReadOnly
from ._arrays import concrete


@frozen_pytree
class Triangulation(ReadOnly):
    """A convex body cut into simplices.

    Args:
        simplices: Shape (s, n + 1, n), the corners of each simplex.
        volumes: Shape (s,), the volume of each simplex.
    """

    simplices: Float[Array, "s corners n"]
    volumes: Float[Array, " s"]

    @classmethod
    def of_hull(cls, points: Float[Array, "v n"]) -> "Triangulation":
        """Cones from the mean of `points`, shape (v, n), to the boundary simplices of their convex
        hull. Float64, outside jit.
        """
        corners = concrete(points)
        apex, dim = corners.mean(axis=0), corners.shape[1]
        if dim == 1:
            simplices = np.array([[corners.min(axis=0), corners.max(axis=0)]])
        else:
            boundary = corners[ConvexHull(corners).simplices]
            simplices = np.concatenate(
                [np.broadcast_to(apex, (len(boundary), 1, dim)), boundary], axis=1
            )
        volumes = np.abs(np.linalg.det(simplices[:, 1:] - simplices[:, :1])) / math.factorial(dim)
        return cls(simplices, volumes)

    @property
    def volume(self) -> float:
        """Total volume. Outside jit."""
        return float(concrete(self.volumes).sum())

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> Float[jax.Array, "... n"]:
        """Uniform points, shape (*shape, n), in the dtype of the corners.

        Jit-able, vmap-able, without rejection.

        A simplex is drawn by its volume, then barycentric weights from Dirichlet(1, ..., 1). In
        float32 a point may leave the body by n + 3 roundings, (n + 3) 2^-24 of the largest
        coordinate of a corner.
        """
        simplices, volumes = jnp.asarray(self.simplices), jnp.asarray(self.volumes)
        pick, spread = jax.random.split(key)
        index = jax.random.choice(pick, len(volumes), shape, p=volumes / jnp.sum(volumes))
        corners = simplices[index]
        # Normalised exponential variables are Dirichlet(1, ..., 1), and jax.random.dirichlet is 6
        # times slower. The logarithms are of numbers strictly between 0 and 1, so that their sum is
        # never zero.
        tiny = jnp.finfo(corners.dtype).tiny
        weights = jnp.log(
            jax.random.uniform(spread, corners.shape[:-1], corners.dtype, minval=tiny)
        )
        weights = weights / jnp.sum(weights, axis=-1, keepdims=True)
        return jnp.sum(weights[..., None] * corners, axis=-2)
