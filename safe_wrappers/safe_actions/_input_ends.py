"""The interval that the rows of a block leave to its virtual input, and the rows that decide it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32

from .._gate import Array
from ._action_set import FAR, quotient
from ._facets import Rows
from ._least import least, where_least


class Ends(NamedTuple):
    """The interval of a virtual input.

    Attributes:
        lower: Shape (), -infinity where no row sets it.
        upper: Shape (), infinity where no row sets it. Where a row fails whatever the input is, it
            lies below `lower`; it is NaN where a row is.
        rows: Indices of a row that decides the lower end and of one that decides the upper end,
            shape (2,).
    """

    lower: Float[jax.Array, ""]
    upper: Float[jax.Array, ""]
    rows: Int32[jax.Array, "2"]


def ends(rows: Rows, j: int, reach: float) -> Ends:
    """The interval of the input j, of rows without other inputs.

    Args:
        rows: -below <= slope v_j <= above.
        j: The input.
        reach: The largest number that v_j may be. An end of twice that size is a constant for
            derivatives.
    """
    slope = rows.slopes[j]
    # What is known of constant slopes costs nothing at run time.
    known = np if isinstance(slope, np.ndarray) else jnp
    rising, size = slope > 0, known.abs(slope)
    bounds, without = (size > 0) & known.isfinite(size), size == 0

    def distances(above: Array, below: Array) -> Float[jax.Array, " m"]:
        b = _where(rising, above, below)
        # The double where: see `interval`.
        end = quotient(_where(bounds, b, 0.0), _where(bounds, size, 1.0), FAR * reach)
        # A row without slope bounds nothing if it holds; else no input is safe.
        return _where(bounds, end, jnp.where(without & (b >= 0), jnp.inf, -jnp.inf))

    up, down = distances(rows.above, rows.below), distances(rows.below, rows.above)
    upper, lower = least(up), least(down)
    room = 8 * float(jnp.finfo(up.dtype).eps) * reach
    deciding = jnp.stack([where_least(down, lower, room), where_least(up, upper, room)])
    return Ends(-lower, upper, deciding)


def _where(condition: Array, first: Array, second: Array | float) -> jax.Array:
    """`jnp.where`, and what is chosen throughout as it is."""
    if isinstance(condition, np.ndarray) and condition.all():
        return jnp.asarray(first)
    return jnp.where(condition, first, second)
