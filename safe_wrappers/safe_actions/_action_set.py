"""The safe action set of one state: rows, and an action that is certified to satisfy them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int32
from numpy.typing import ArrayLike

from .._errors import SetDimensionError
from .._gate import as_numbers
from .._margins import first_largest
from .._one_line import rows_by_columns
from .._pytree import frozen_pytree, static_field
from ..solvers import max_margin
from ._candidates import safest, with_room


@frozen_pytree
class SafeActionSet:
    """The set {a in [-1, 1]^d : A a <= b} with a certified member.

    Args:
        A: Rows, shape (m, d), without the rows of the box. A zero row is inactive if its b is at
            least 0 and makes the set empty otherwise, and so does a row with a NaN or with an
            infinite slope.
        b: Offsets, shape (m,).
        anchor: The action of largest margin over the box, shape (d,): safe wherever the set has an
            interior, otherwise the least violating action. It is what is executed when all else
            fails.
        is_box: Whether the rows are those of `from_box`, an upper and a lower bound of each action,
            so that safeguards need no solver. Part of the tree structure.
    """

    A: Float[jax.Array, "m d"]
    b: Float[jax.Array, " m"]
    anchor: Float[jax.Array, " d"]
    is_box: bool = static_field(default=False)

    def __repr__(self) -> str:
        return f"SafeActionSet({rows_by_columns(self.A, 'row', 'action')})"

    @classmethod
    def from_rows(cls, A: ArrayLike, b: ArrayLike) -> "SafeActionSet":
        """The set of these rows, with its anchor computed: for d = 1 the interval's midpoint,
        clipped to the box, else by a small linear program, unless one of a few fixed candidates is
        better than its result.

        Without rows (m = 0) it is the whole box, with the anchor 0.

        Raises:
            SetDimensionError: If the shapes do not fit, or the rows are not real numbers.
        """
        A, b = _floating(A, b)
        if A.ndim != 2 or b.shape != A.shape[:1]:
            raise SetDimensionError(
                "`A` must have shape (m, d) and `b` shape (m,), but they are "
                f"{A.shape} and {b.shape}. Give one row of `A` and one number of `b` for each "
                "inequality A_i a <= b_i."
            )
        if not len(A):
            anchor = jnp.zeros(A.shape[1], b.dtype)
        elif A.shape[1] == 1:
            anchor = midpoint(A, b)[None]
        else:
            rows = jax.lax.stop_gradient(_normalise(*_known(A, b)))
            anchor = with_room(*rows, safest(*rows, max_margin(*rows)[0]))
        return cls(A, b, jax.lax.stop_gradient(anchor))

    @classmethod
    def from_box(
        cls, lower: Float[jax.Array, " d"], upper: Float[jax.Array, " d"]
    ) -> "SafeActionSet":
        """The set {a in [-1, 1]^d : lower <= a <= upper}, with the middle of it as anchor.

        Its rows are a <= upper and, below them, -a <= -lower.

        Args:
            lower: Shape (d,), -infinity where there is no bound.
            upper: Shape (d,), infinity where there is none. Below `lower` the set is empty.
        """
        eye = np.eye(len(lower), dtype=lower.dtype)
        middle = (jnp.clip(lower, -1.0, 1.0) + jnp.clip(upper, -1.0, 1.0)) / 2
        return cls(
            jnp.asarray(np.concatenate([eye, -eye])),
            jnp.concatenate([upper, -lower]),
            jax.lax.stop_gradient(middle),
            is_box=True,
        )

    def unit_rows(self) -> tuple[Float[jax.Array, "r d"], Float[jax.Array, " r"]]:
        """The same set by rows of length 1, so that a violation is a distance in the action space.

        With one action all rows merge into three: the interval's two ends, and a zero row that is
        unsatisfiable if one was.

        Returns:
            (A, b), shapes (m', d) and (m',). A zero row becomes 0 a <= 1 (no constraint) or 0 a <=
            -1 (no safe action).
        """
        A, b = _floating(self.A, self.b)
        if self.is_box:
            # Beyond the action box it does not matter where a bound is; NaN bounds nothing, so no
            # action is safe.
            return A, jnp.clip(jnp.where(jnp.isnan(b), -FAR, b), -FAR, FAR)
        if A.shape[1] != 1:
            return _normalise(*_known(A, b))
        lower, upper = interval(A, b)
        slope = A[:, 0]
        # What bounds neither end must be a constraint that always holds; a comparison with NaN is
        # False.
        possible = jnp.all(_bounds(slope, b) | (jnp.isfinite(slope) & (b >= 0)))
        return jnp.array([[-1.0], [1.0], [0.0]], lower.dtype), jnp.stack(
            [-lower, upper, jnp.where(possible, 1.0, -1.0).astype(lower.dtype)]
        )


# Where a bound is farther from 0, it says nothing about the actions of [-1, 1]^d.
FAR = 2.0


def interval(
    A: Float[jax.Array, "m 1"], b: Float[jax.Array, " m"]
) -> tuple[Float[jax.Array, ""], Float[jax.Array, ""]]:
    """Ends (lower, upper) of {a : A a <= b} for d = 1, infinite where there is no bound. Shapes ().

    Rows that are zero or not finite are left out.

    Args:
        A: Slopes.
        b: Offsets.
    """
    slope = A[:, 0]
    bounds = _bounds(slope, b)
    # The double where: a division by zero or a NaN in the branch not taken would make the
    # derivative NaN.
    end = quotient(jnp.where(bounds, b, 0.0), jnp.where(bounds, slope, 1.0), FAR)
    upper = jnp.min(jnp.where(bounds & (slope > 0), end, jnp.inf), initial=jnp.inf)
    lower = jnp.max(jnp.where(bounds & (slope < 0), end, -jnp.inf), initial=-jnp.inf)
    return lower, upper


def ends(A: Float[jax.Array, "m 1"], b: Float[jax.Array, " m"]) -> Int32[jax.Array, "2"]:
    """Indices of two rows that bound the interval of all rows within the box, shape (2,)."""
    slope = A[:, 0]
    bounds = _bounds(slope, b)
    # Beyond the box it does not matter which row it is.
    end = jnp.clip(jnp.where(bounds, b, 0.0) / jnp.where(bounds, slope, 1.0), -2.0, 2.0)
    inward = jnp.stack(
        [
            jnp.where(bounds & (slope < 0), end, -3.0),
            jnp.where(bounds & (slope > 0), -end, -3.0),
        ],
        axis=1,
    )
    return first_largest(inward, 8 * float(jnp.finfo(b.dtype).eps))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def quotient(
    b: Float[jax.Array, " m"], slope: Float[jax.Array, " m"], far: float
) -> Float[jax.Array, " m"]:
    """b / slope, a constant beyond `far`, where its derivative matters to no action and may
    overflow.

    JAX's own derivative has the square of the slope as a factor, which is 0 in float32 for slopes
    below 1e-19.
    """
    del far
    return b / slope


@quotient.defjvp
def _end_jvp(
    far: float,
    primals: tuple[Float[jax.Array, " m"], Float[jax.Array, " m"]],
    tangents: tuple[Float[jax.Array, " m"], Float[jax.Array, " m"]],
) -> tuple[Float[jax.Array, " m"], Float[jax.Array, " m"]]:
    value = quotient(*primals, far)
    near = jnp.abs(value) <= far
    change = (tangents[0] - jnp.where(near, value, 0.0) * tangents[1]) / jnp.where(
        near, primals[1], 1.0
    )
    return value, jnp.where(near, change, 0.0)


def _bounds(slope: Float[jax.Array, " m"], b: Float[jax.Array, " m"]) -> Bool[jax.Array, " m"]:
    """Which rows slope a <= b bound an end of the interval, shape (m,)."""
    return (slope != 0) & jnp.isfinite(slope) & jnp.isfinite(b)


def midpoint(A: Float[jax.Array, "m 1"], b: Float[jax.Array, " m"]) -> Float[jax.Array, ""]:
    """The middle of {a : A a <= b} for d = 1, clipped to the box: an anchor. Shape ()."""
    lower, upper = interval(A, b)
    # An absent side becomes a distant one, so that the midpoint stays defined and lands on the
    # right end of the box.
    return jnp.clip((jnp.clip(lower, -1e6, 1e6) + jnp.clip(upper, -1e6, 1e6)) / 2, -1.0, 1.0)


def _floating(
    A: ArrayLike, b: ArrayLike
) -> tuple[Float[jax.Array, "..."], Float[jax.Array, "..."]]:
    """Rows in one dtype of at least float32, which the margins for rounding speak about."""
    A, b = (
        jnp.asarray(as_numbers("A", A, overflow=True)),
        jnp.asarray(as_numbers("b", b, overflow=True)),
    )
    dtype = jnp.promote_types(A.dtype, b.dtype)
    return A.astype(dtype), b.astype(dtype)


def _known(
    A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"]
) -> tuple[Float[jax.Array, "m d"], Float[jax.Array, " m"]]:
    """The rows with those that are not finite as zero rows: inactive if only b is and b = inf,
    otherwise unsatisfiable.

    A NaN must not drop out of a comparison unnoticed, nor reach a derivative.
    """
    columns = _columns(A)
    slope = functools.reduce(jnp.logical_and, map(jnp.isfinite, columns))
    known = slope & jnp.isfinite(b)
    return jnp.stack([jnp.where(known, column, 0.0) for column in columns], axis=1), jnp.where(
        known, b, jnp.where(slope & (b > 0), 1.0, -1.0)
    )


def _normalise(
    A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"]
) -> tuple[Float[jax.Array, "m d"], Float[jax.Array, " m"]]:
    columns = _columns(A)
    # Scaled by the largest entry first, so that no square overflows: a length of infinity would
    # erase the row.
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, map(jnp.abs, columns)))
    reach = jax.lax.stop_gradient(jnp.abs(b / jnp.where(largest > 0, largest, 1.0)))
    nonzero = (largest > 0) & jnp.isfinite(reach)
    scale = jnp.where(nonzero, largest, 1.0)
    # Far from the box a row of tiny slopes is a constant: it binds nowhere, and its derivative,
    # reach / scale, would overflow.
    constant = reach > jnp.maximum(2.0 * A.shape[-1], scale * float(jnp.finfo(b.dtype).max) ** 0.75)

    def known(value: Float[jax.Array, " m"]) -> Float[jax.Array, " m"]:
        return jnp.where(constant, jax.lax.stop_gradient(value), value)

    columns = [jnp.where(nonzero, known(column), 0.0) / scale for column in columns]
    b = known(b) / scale
    # The double where again, here for the square root at 0.
    square = sum((column * column for column in columns[1:]), columns[0] * columns[0])
    length = jnp.sqrt(jnp.where(nonzero, square, 1.0))
    return jnp.stack([column / length for column in columns], axis=1), jnp.where(
        nonzero, b / length, jnp.where(b >= 0, 1.0, -1.0)
    )


def _columns(A: Float[jax.Array, "m d"]) -> list[Float[jax.Array, " m"]]:
    """The columns of the rows, one array for each action: see `_products` on sums written out."""
    return [A[:, k] for k in range(A.shape[1])]
