"""Zonotopes: images of a cube, c + G [-1, 1]^k."""

import itertools
import math
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import ArrayLike
from scipy.optimize import linprog
from scipy.spatial import KDTree

from .._errors import SetDimensionError
from .._gate import Array, as_number
from .._one_line import rows_by_columns
from .._pytree import frozen_pytree
from .._read_only import ReadOnly
from ._arrays import as_exact_vector, as_float, as_vector, concrete, require_shape
from ._polytope import LP_OPTIONS, Polytope

# Choices of n - 1 generators that are enumerated for the half-spaces: half a second, and rows that
# still fit a safeguard.
_MAX_CHOICES = 20_000
# Determinants that are summed for a volume: some seconds.
_MAX_DETERMINANTS = 1_000_000


@frozen_pytree
class Zonotope(ReadOnly):
    """The set {c + G beta : |beta_j| <= 1}.

    `support` and `sample` are jit-able. The other methods compute in float64, outside jit, from the
    stored numbers. The half-spaces are the set's own up to rounding, 2^-52 of its size: a vertex
    may violate a facet by that much, and after rounding to float32 by 2^-24. A set that is to be
    proved is therefore stored as half-spaces, once.

    Args:
        center: Shape (n,).
        generators: Columns are generators, shape (n, k).

    Raises:
        SetDimensionError: If the shapes do not fit or a value is not finite.

    Example:
        >>> Zonotope([0.0, 0.0], [[1.0, 1.0], [0.0, 1.0]]).support(jnp.array([0.0, 1.0]))
        Array(1., dtype=float32)
    """

    center: Float[Array, " n"]
    generators: Float[Array, "n k"]

    def __init__(self, center: ArrayLike, generators: ArrayLike):
        center = as_float("center", center, 1)
        generators = as_float("generators", generators, 2)
        require_shape("generators", generators, (center.shape[0], generators.shape[1]))
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "generators", generators)

    def __repr__(self) -> str:
        columns = getattr(self.generators, "T", self.generators)
        return f"Zonotope({rows_by_columns(columns, 'generator', 'dimension')})"

    @property
    def dim(self) -> int:
        """Dimension n of the space."""
        return self.center.shape[-1]

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
        """The maximum of direction . x over the set, for direction of shape (n,).

        Shape (). Closed form, jit-able.
        """
        direction = as_vector("direction", direction, self.dim)
        center, generators = (
            jnp.asarray(self.center, direction.dtype),
            jnp.asarray(self.generators, direction.dtype),
        )
        return jnp.sum(direction * center) + jnp.sum(
            jnp.abs(jnp.sum(direction[:, None] * generators, axis=0))
        )

    def sample(
        self, key: jax.Array, shape: tuple[int, ...] = ()
    ) -> Float[jax.Array, "... {self.dim}"]:
        """Points c + G beta with beta uniform in the cube, shape (*shape, n), in the dtype of the
        generators. Jit-able.

        Uniform in generator space, not by volume; for that, `to_polytope().sample(key, shape)`.
        """
        center, generators = jnp.asarray(self.center), jnp.asarray(self.generators)
        beta = jax.random.uniform(key, (*shape, generators.shape[1]), generators.dtype, -1.0, 1.0)
        each = range(len(shape))
        moved = jnp.sum(jnp.expand_dims(generators, each) * beta[..., None, :], axis=-1)
        return jnp.expand_dims(center, each) + moved

    def margin(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """Distance to the nearest facet, negative outside: the margin of `to_polytope()`.

        Shape (); x has shape (n,).

        Jit-able in x for a fixed set, whose half-spaces are computed once; a function that takes
        the set as a traced argument takes `to_polytope()` instead.
        """
        return self._polytope.margin(x)

    def contains(self, x: ArrayLike, tolerance: float = 0.0) -> bool:
        """Whether x = c + G beta for some |beta| <= 1 + tolerance, decided by linear programming in
        float64.

        It needs no half-spaces and so works for flat sets too, where x must lie in their plane to
        1e-10. The linear program decides to about 1e-10: for points on the boundary, and for those
        rounded to float32, give a tolerance such as 1e-6. False if x is not finite.
        """
        x = as_exact_vector("x", x, self.dim)
        tolerance = as_number("tolerance", tolerance, 0.0)
        if not np.isfinite(x).all():
            return False
        G, offset = concrete(self.generators), x - concrete(self.center)
        count = G.shape[1]
        # Minimise t subject to G beta = x - c and |beta_j| <= t.
        objective = np.append(np.zeros(count), 1.0)
        eye, ones = np.eye(count), np.ones((count, 1))
        A_ub = np.block([[eye, -ones], [-eye, -ones]])
        bounds = [(None, None)] * count + [(0, None)]
        result = linprog(
            objective,
            A_ub,
            np.zeros(2 * count),
            np.column_stack([G, np.zeros(len(G))]),
            offset,
            bounds,
            options=LP_OPTIONS,
        )
        return bool(result.status == 0 and result.fun <= 1 + tolerance)

    def reduced(self) -> "Zonotope":
        """The same set, in float64, without zero generators and with exactly parallel ones merged
        into their sum.

        Exactly parallel: each 2 x 2 minor vanishes to 4 float64 epsilons of its products. Nearly
        parallel generators, such as multiples rounded to float32, stay apart.
        """
        merged: list[np.ndarray] = []
        for g in concrete(self.generators).T:
            if not np.any(g):
                continue
            for i, other in enumerate(merged):
                products = np.outer(g, other)
                if np.all(
                    np.abs(products - products.T) <= 4 * np.finfo(float).eps * np.abs(products)
                ):
                    merged[i] = other + np.sign(g @ other) * g
                    break
            else:
                merged.append(g)
        return Zonotope(concrete(self.center), np.array(merged).T.reshape(self.dim, -1))

    def halfspaces(
        self,
    ) -> tuple[Float64[np.ndarray, "m {self.dim}"], Float64[np.ndarray, " m"]]:
        """(H, h), float64, with unit normals, H = [N; -N]: every facet is spanned by n - 1
        generators.

        Exactly parallel generators are merged first, since they span no facet of their own, and
        normals closer than 1e-12 count as one. Every row holds on the whole set, however badly
        conditioned its normal is. n generators are a parallelotope, whose 2 n facets come from one
        inverse; otherwise all choices of n - 1 generators are enumerated.

        Raises:
            SetDimensionError: If the generators do not span the space, or there are more than
                20,000 choices (40,000 facets).
        """
        zonotope = self.reduced()
        G, n = concrete(zonotope.generators), self.dim
        if np.linalg.matrix_rank(G) < n:
            raise SetDimensionError(
                f"The generators must span all {n} dimensions, but their rank "
                f"is {np.linalg.matrix_rank(G)}. Add a generator for each direction in which "
                "the set is flat."
            )
        N = _parallelotope_normals(G) if G.shape[1] == n else _facet_normals(G)
        offset, spread = N @ concrete(zonotope.center), np.abs(N @ G).sum(axis=1)
        return np.concatenate([N, -N]), np.concatenate([offset + spread, -offset + spread])

    def to_polytope(self) -> Polytope:
        """The same set in half-space form, float64."""
        return self._polytope

    def vertices(self) -> Float64[np.ndarray, "v {self.dim}"]:
        """All vertices, float64, shape (v, n), from the half-spaces."""
        return self._polytope.vertices()

    def volume(self) -> float:
        """Volume: the sum of |det| over all choices of n generators, times 2^n.

        Raises:
            SetDimensionError: If there are more than a million choices.
        """
        G = concrete(self.generators)
        choices = math.comb(G.shape[1], self.dim)
        if choices > _MAX_DETERMINANTS:
            raise SetDimensionError(
                f"The volume is a sum over all choices of {self.dim} of the {G.shape[1]} "
                f"generators, computed up to {_MAX_DETERMINANTS:,} of them, but there are "
                f"{choices:,}; give fewer generators."
            )
        picked = itertools.combinations(range(G.shape[1]), self.dim)
        return 2.0**self.dim * float(
            sum(abs(np.linalg.det(G[:, list(columns)])) for columns in picked)
        )

    @cached_property
    def _polytope(self) -> Polytope:
        return Polytope(*self.halfspaces())


def _parallelotope_normals(G: Float64[np.ndarray, "n n"]) -> Float64[np.ndarray, "n n"]:
    """The n facet normals of {G beta : |beta_j| <= 1} for a square G: the rows of its inverse, as
    unit vectors.
    """
    inverse = np.linalg.inv(G / np.linalg.norm(G, axis=0))
    return inverse / np.linalg.norm(inverse, axis=1, keepdims=True)


def _facet_normals(G: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "p n"]:
    """The normals spanned by n - 1 of the k generators, each once up to its sign, shape (p, n)."""
    n, k = G.shape
    choices = math.comb(k, n - 1)
    if choices > _MAX_CHOICES:
        raise SetDimensionError(
            f"A zonotope's half-spaces are enumerated up to {_MAX_CHOICES:,} choices of "
            f"generators, but {k} generators in {n} dimensions "
            f"have {choices:,}, up to {2 * choices:,} facets. Give fewer generators, for example "
            f"an inner zonotope ({n} of them make a "
            "parallelotope with one pair of facets each) that `zonotope_in_zonotope` shows to be "
            "contained."
        )
    directions = G / np.linalg.norm(G, axis=0)
    spanning = directions[
        :, np.array(list(itertools.combinations(range(k), n - 1)), int).reshape(choices, n - 1)
    ].transpose(1, 0, 2)
    # The generalised cross product of n - 1 unit vectors, by cofactors; its length is the volume
    # they span.
    normals = np.stack(
        [(-1) ** i * np.linalg.det(np.delete(spanning, i, axis=1)) for i in range(n)], axis=1
    )
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 1e-14] / lengths[lengths > 1e-14, None]
    # Compared by differences: inner products of unit vectors do not see angles below 1e-8.
    equal = KDTree(np.concatenate([normals, -normals])).query_pairs(
        1e-12, p=np.inf, output_type="ndarray"
    ) % len(normals)
    return np.delete(normals, np.unique(equal.max(axis=1)), axis=0)
