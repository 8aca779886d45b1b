"""Zonotopes: images of a cube, c + G [-1, 1]^k."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog

from .._errors import SetDimensionError
from .._pytree import frozen_pytree
from ._arrays import Array, as_float, concrete, require_shape
from ._polytope import Polytope


@frozen_pytree
class Zonotope:
    """The set {c + G beta : |beta_j| <= 1}.

    Args:
        center: Shape (n,).
        generators: Columns are generators, shape (n, k).

    Raises:
        SetDimensionError: If the shapes do not fit.
    """

    center: Array
    generators: Array

    def __post_init__(self):
        center, generators = as_float("center", self.center, 1), as_float("generators", self.generators, 2)
        require_shape("generators", generators, (center.shape[0], generators.shape[1]))
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "generators", generators)

    @property
    def dim(self) -> int:
        """Dimension n of the space."""
        return self.center.shape[-1]

    def support(self, direction) -> jax.Array:
        """max {direction . x : x in the set} for direction of shape (n,). Shape (). Closed form, jit-able."""
        direction = jnp.asarray(direction)
        return jnp.sum(direction * self.center) + jnp.sum(jnp.abs(jnp.sum(direction[:, None] * self.generators, axis=0)))

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        """Points c + G beta with beta uniform in the cube, shape (*shape, n): uniform in generator space, not by volume."""
        generators = jnp.asarray(self.generators)
        beta = jax.random.uniform(key, (*shape, generators.shape[1]), generators.dtype, -1.0, 1.0)
        return self.center + jnp.sum(generators * beta[..., None, :], axis=-1)

    def contains(self, x, tolerance: float = 0.0) -> bool:
        """Whether x = c + G beta for some |beta| <= 1 + tolerance, decided by linear programming in float64."""
        G, offset = concrete(self.generators), concrete(np.asarray(x)) - concrete(self.center)
        count = G.shape[1]
        # minimise t subject to G beta = x - c and |beta_j| <= t
        objective = np.append(np.zeros(count), 1.0)
        eye, ones = np.eye(count), np.ones((count, 1))
        A_ub = np.block([[eye, -ones], [-eye, -ones]])
        bounds = [(None, None)] * count + [(0, None)]
        result = linprog(objective, A_ub, np.zeros(2 * count), np.column_stack([G, np.zeros(len(G))]), offset, bounds)
        return result.status == 0 and result.fun <= 1 + tolerance

    def reduced(self) -> "Zonotope":
        """The same set without zero generators and with exactly parallel ones merged into their sum."""
        merged: list[np.ndarray] = []
        for g in concrete(self.generators).T:
            if not np.any(g):
                continue
            for i, other in enumerate(merged):
                if np.linalg.matrix_rank(np.stack([g, other]), tol=1e-12 * np.linalg.norm(g) * np.linalg.norm(other)) == 1:
                    merged[i] = other + np.sign(g @ other) * g
                    break
            else:
                merged.append(g)
        return Zonotope(concrete(self.center), np.array(merged).T.reshape(self.dim, -1))

    def halfspaces(self) -> tuple[np.ndarray, np.ndarray]:
        """(H, h), float64, with unit normals: every facet is spanned by n - 1 generators.

        Exactly parallel generators are merged first, since they span no facet of their own.

        Raises:
            SetDimensionError: If the generators do not span the space.
        """
        zonotope = self.reduced()
        G, n = concrete(zonotope.generators), self.dim
        if np.linalg.matrix_rank(G) < n:
            raise SetDimensionError(f"The generators must span all {n} dimensions, but their rank is {np.linalg.matrix_rank(G)}.")
        normals: list[np.ndarray] = []
        for columns in itertools.combinations(range(G.shape[1]), n - 1):
            # The generalised cross product of the n - 1 generators, by cofactors.
            minors = [np.delete(G[:, columns], i, axis=0) for i in range(n)]
            normal = np.array([(-1) ** i * np.linalg.det(minor) for i, minor in enumerate(minors)])
            length = np.linalg.norm(normal)
            if length <= 1e-14 * np.prod(np.linalg.norm(G[:, columns], axis=0)):
                continue
            normal = normal / length
            if not any(np.abs(np.abs(normal @ other) - 1) < 1e-14 for other in normals):
                normals.append(normal)
        H = np.array(normals)
        offset, spread = H @ concrete(zonotope.center), np.abs(H @ G).sum(axis=1)
        return np.concatenate([H, -H]), np.concatenate([offset + spread, -offset + spread])

    def to_polytope(self) -> Polytope:
        """The same set in half-space form, float64."""
        return Polytope(*self.halfspaces())

    def volume(self) -> float:
        """Volume: the sum of |det| over all choices of n generators, times 2^n."""
        G = concrete(self.generators)
        choices = itertools.combinations(range(G.shape[1]), self.dim)
        return 2.0**self.dim * sum(abs(np.linalg.det(G[:, list(columns)])) for columns in choices)
