"""Initial states of sets that have too many vertices to list: a table of float32 states, drawn once
and tested one by one.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..sets import Polytope

_STATES = 16_384
_BATCH = 65_536
_TRIES = 40
# Steps of a random walk that mixes, per dimension.
_STEPS = 40


class StateTable:
    """Points of a polytope {y : H y <= h} around the origin, uniform by volume up to their number.

    Points of the box around the set are drawn and kept if they lie inside; where hardly one does,
    random walks from the origin along random lines (hit and run) are taken instead.

    Args:
        safe_state_set: The polytope, h > 0.
        lower: A box that holds it, shape (n,).
        upper: The same.
        seed: Of the draws: the same set has the same table.
    """

    def __init__(
        self, safe_state_set: Polytope, lower: np.ndarray, upper: np.ndarray, seed: int = 0
    ):
        H, h = (np.asarray(part, np.float64) for part in safe_state_set.halfspaces())
        rng = np.random.default_rng(seed)
        points = _kept_of_box(H, h, lower, upper, rng)
        if points is None:
            points = _walks(H, h, upper - lower, rng)
        points = points.astype(np.float32)
        inside = np.all(points.astype(np.float64) @ H.T <= h, axis=1)
        self.points = points[inside]

    def sample(self, key: jax.Array) -> Float[jax.Array, " n"]:
        """One of the points, shape (n,)."""
        index = jax.random.randint(key, (), 0, len(self.points))
        return jnp.asarray(self.points)[index]


def _kept_of_box(
    H: np.ndarray, h: np.ndarray, lower: np.ndarray, upper: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    kept: list[Any] = []
    count = 0
    for turn in range(_TRIES):
        points = rng.uniform(lower, upper, (_BATCH, len(lower)))
        good = points[np.all(points @ H.T <= h, axis=1)]
        kept.append(good)
        count += len(good)
        if count >= _STATES:
            return np.concatenate(kept)[:_STATES]
        if not turn and count * _TRIES < _STATES:
            break
    return None


def _walks(H: np.ndarray, h: np.ndarray, scale: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    points = np.zeros((_STATES, H.shape[1]))
    room = np.broadcast_to(h, (_STATES, len(h))).copy()
    for _ in range(_STEPS * H.shape[1]):
        way = rng.normal(size=points.shape) * scale
        rate = way @ H.T
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = room / rate
        most = np.where(rate > 0, ratio, np.inf).min(axis=1)
        least = np.where(rate < 0, ratio, -np.inf).max(axis=1)
        step = rng.uniform(least, most)[:, None]
        points += step * way
        room = np.maximum(h - points @ H.T, 0.0)
    return points
