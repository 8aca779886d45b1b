"""A second anchor that needs no solver: the best of a few fixed actions, by their rows."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int32

from .._margins import first_largest, tau
from .._products import dot
from ..solvers import project

# Projections after which `with_room` gives up: two were enough for all but a few of a million.
_ROUNDS = 8


class _Search(NamedTuple):
    """What `with_room` knows: the last point, the best one so far and its slack."""

    point: Float[jax.Array, " d"]
    best: Float[jax.Array, " d"]
    depth: Float[jax.Array, ""]
    rounds: Int32[jax.Array, ""]


def candidates(d: int) -> Float64[np.ndarray, "k {d}"]:
    """Actions spread over the box [-1, 1]^d, its centre first, shape (k, d).

    Up to three actions they are the grid of 3 points an axis and the corners of half the box, for
    more the centre and the middle and the end of each half-axis.
    """
    if d > 3:
        eye = np.eye(d)
        return np.concatenate([np.zeros((1, d)), eye / 2, -eye / 2, eye, -eye])
    grid = np.array(list(itertools.product((0.0, 1.0, -1.0), repeat=d)))
    return np.concatenate([grid, grid[np.all(grid != 0, axis=1)] / 2])


def safest(
    A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"], anchor: Float[jax.Array, " d"]
) -> Float[jax.Array, " d"]:
    """The anchor that a solver gave, or the candidate that the rows say is better, shape (d,).

    An anchor with room to spare stays unless a candidate is more than 2 tau deeper: the solver's
    point is within that of the deepest one, and continuous in the rows, which a candidate is not.
    Any other anchor is compared with the candidates by its depth alone, whatever is wrong with it.

    Args:
        A: Unit rows, shape (m, d), m >= 1.
        b: Offsets, shape (m,).
        anchor: What the solver gave, shape (d,); perhaps NaN or outside the box.
    """
    d = A.shape[1]
    margin = tau(d, A.dtype)
    given = jnp.clip(jnp.nan_to_num(anchor), -1.0, 1.0)
    actions = jnp.concatenate([given[None], jnp.asarray(candidates(d), A.dtype)])
    # Elementwise, as in `_products`, and action by action: on a CPU this fuses into one loop.
    reached = sum(actions[:, j, None] * A[None, :, j] for j in range(d))
    depths = jnp.min(b[None] - reached, axis=1)
    bonus = jnp.where(depths[0] >= margin / 2, 2 * margin, 0.0)
    merits = jnp.where(np.arange(len(actions)) == 0, depths + bonus, depths)
    return actions[first_largest(merits, margin / 4)]


def with_room(
    A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"], anchor: Float[jax.Array, " d"]
) -> Float[jax.Array, " d"]:
    """The anchor, or one found closer at hand if its slack is too small for the accept test, shape
    (d,), in the box.

    The deepest point of a set is sought from far away, and the rounding of that distance may cost
    a needle all of its depth. A projection works at the scale of the action box: from wherever it
    ended last it goes to the rows tightened by tau and by tau / 2 in turn, until one of its points
    has room. An anchor with room stays bit for bit, at the cost of one product with the rows.

    Args:
        A: Unit rows, shape (m, d), m >= 1.
        b: Offsets, shape (m,).
        anchor: An action in the box, shape (d,).
    """
    d = A.shape[1]
    margin = tau(d, A.dtype)
    box = jnp.asarray(np.concatenate([np.eye(d), -np.eye(d)]), A.dtype)
    rows, ones = jnp.concatenate([A, box]), jnp.ones(2 * d, b.dtype)

    def closer(state: _Search) -> _Search:
        aim = jnp.where(state.rounds % 2 == 0, margin, margin / 2).astype(b.dtype)
        point = project(rows, jnp.concatenate([b - aim, ones]), state.point)
        point = jnp.clip(jnp.nan_to_num(point), -1.0, 1.0)
        depth = jnp.min(b - dot(A, point))
        better = depth > state.depth
        return _Search(
            point,
            jnp.where(better, point, state.best),
            jnp.where(better, depth, state.depth),
            state.rounds + 1,
        )

    # The accept test asks for tau / 4; what is above that covers its own rounding.
    start = _Search(anchor, anchor, jnp.min(b - dot(A, anchor)), jnp.zeros((), np.int32))
    return jax.lax.while_loop(
        lambda s: (s.depth < margin / 3) & (s.rounds < _ROUNDS), closer, start
    ).best
