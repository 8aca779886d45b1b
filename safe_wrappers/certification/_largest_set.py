"""The largest robust control invariant set of a plant with two states, on a grid.

The set of all states from which the constraints can be kept forever is {x : V(x) >= 0}, where V is
the limit of

    V_0(x) = the depth of x in X,    V_j+1(x) = min(V_0(x), max_a min_w V_j(f(x, a, w))).

V lives on a grid over X and is interpolated between its points; a runs over a grid of the action
box, w over the corners of W. It is an estimate and proves nothing: for plants whose largest set is
known it was within 1 % of its area.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Model
from ..sets import Box, Polytope

_POINTS = 121  # grid points along each axis
_ACTIONS = 17  # at most so many actions are tried, with those at the ends among them
_CORNERS = 4  # corners of W are taken in this many of its dimensions, the strongest ones
_SWEEPS = 3000
_CHECKED = 50  # sweeps between two looks at whether the area still changes


class LargestSet(NamedTuple):
    """An estimate of the largest robust control invariant set.

    Attributes:
        area: Its area, in the units of the states.
        points: The grid points in it, shape (p, 2).
    """

    area: float
    points: np.ndarray


def largest_set(model: Model, constraints: Box | Polytope, disturbances: Box) -> LargestSet | None:
    """The largest robust control invariant set in X, or None if X is not bounded.

    Args:
        model: Two states.
        constraints: X.
        disturbances: W.
    """
    lower, upper = (
        np.array([sign * float(constraints.support(sign * axis)) for axis in np.eye(2)])
        for sign in (-1.0, 1.0)
    )
    if not np.isfinite([lower, upper]).all():
        return None
    cell = (upper - lower) / (_POINTS - 1)
    axes = [np.linspace(*ends, _POINTS) for ends in zip(lower, upper, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    depth = _depth(constraints, grid, cell)
    position = (_next_states(model, grid, disturbances) - lower) / cell
    value = _iterated(jnp.asarray(depth, jnp.float32), jnp.asarray(position, jnp.float32))
    # Where V changes its sign in a cell, the fraction of the cell inside counts.
    inside = _fraction_inside(np.asarray(value).reshape(_POINTS, _POINTS))
    return LargestSet(float(inside.sum() * cell.prod()), grid[np.asarray(value) >= 0])


def _depth(constraints: Box | Polytope, grid: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The distance to the nearest limit in grid cells, negative outside X, shape (points,)."""
    H, h = (np.asarray(part, np.float64) for part in constraints.halfspaces())
    return ((h - grid @ H.T) / np.linalg.norm(H * cell, axis=1)).min(axis=1)


def _next_states(model: Model, grid: np.ndarray, disturbances: Box) -> np.ndarray:
    """f at every point, action and disturbance, shape (points, actions, corners, 2)."""
    d = model.action_size
    per_action = max(2, int(_ACTIONS ** (1 / d)))
    actions = np.array(list(itertools.product(np.linspace(-1, 1, per_action), repeat=d)))
    with jax.enable_x64():
        c, B, E = (np.asarray(part) for part in jax.jit(jax.vmap(model.affine))(jnp.asarray(grid)))
    lower, upper = (np.asarray(end, np.float64) for end in (disturbances.lower, disturbances.upper))
    middle, radius = (lower + upper) / 2, (upper - lower) / 2
    strength = np.abs(E).max(axis=(0, 1)) * radius
    strong = np.argsort(-strength, kind="stable")[:_CORNERS]
    strong = strong[strength[strong] > 0]
    corners = np.tile(middle, (2 ** len(strong), 1))
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(strong)))).reshape(
        len(corners), len(strong)
    )
    corners[:, strong] += signs * radius[strong]
    drift = c[:, None] + np.einsum("pnd,ad->pan", B, actions)
    return drift[:, :, None] + np.einsum("pnk,ck->pcn", E, corners)[:, None]


def _iterated(depth: jax.Array, position: jax.Array) -> jax.Array:
    """V at the grid points, shape (points,), for next states in units of cells."""
    last = _POINTS - 1
    inside = jnp.clip(position, 0.0, last)
    outside = jnp.max(jnp.abs(position - inside), axis=-1)
    corner = jnp.clip(jnp.floor(inside), 0, last - 1).astype(jnp.int32)
    s, t = jnp.moveaxis(inside - corner, -1, 0)
    index = corner[..., 0] * _POINTS + corner[..., 1]

    @jax.jit
    def sweeps(value: jax.Array) -> jax.Array:
        def sweep(_, value):
            low = value[index] * (1 - t) + value[index + 1] * t
            high = value[index + _POINTS] * (1 - t) + value[index + _POINTS + 1] * t
            following = low * (1 - s) + high * s - outside
            return jnp.minimum(depth, following.min(axis=2).max(axis=1))

        return jax.lax.fori_loop(0, _CHECKED, sweep, value)

    value, area = depth, jnp.sum(depth >= 0)
    for _ in range(_SWEEPS // _CHECKED):
        value = sweeps(value)
        before, area = area, jnp.sum(value >= 0)
        if area == before:
            break
    return value


def _fraction_inside(value: np.ndarray) -> np.ndarray:
    """The part of every cell in which V, interpolated, is not negative: by 8 x 8 points in it."""
    places = (np.arange(8) + 0.5) / 8
    s, t = places[:, None, None, None], places[None, :, None, None]
    low = value[:-1, :-1] * (1 - t) + value[:-1, 1:] * t
    high = value[1:, :-1] * (1 - t) + value[1:, 1:] * t
    return (low * (1 - s) + high * s >= 0).mean(axis=(0, 1))
