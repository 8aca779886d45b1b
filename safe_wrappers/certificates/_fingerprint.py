"""Whether a model is the one that a file was made for: its next states at derived points.

A file stores the next states only. The points are derived from S, the action box and W, so that a
file cannot choose points at which another model happens to agree. A fingerprint tells two models of
one name apart; it proves nothing.
"""

import jax
import numpy as np

from ..models import Model
from ..sets import Box, Polytope

POINTS = 64
# Relative; float32 on any backend is far better, another model is seldom so near.
_TOLERANCE = 1e-5
# Times the tolerance these are 10 units of float32 rounding.
_FAR = 0.06


def fingerprint(model: Model, around: Box | Polytope, disturbance_set: Box) -> np.ndarray:
    """Next states at 64 points of a Halton sequence in the bounding box of a set of states, the
    action box and W.

    Shape (64, n), float32.
    """
    from scipy.stats import qmc  # late: importing it takes longer than all that is computed here

    if isinstance(around, Box):
        lower, upper = np.asarray(around.lower), np.asarray(around.upper)
    else:
        vertices = around.vertices()
        lower, upper = vertices.min(axis=0), vertices.max(axis=0)
    ones = np.ones(model.action_size)
    lower = np.concatenate([lower, -ones, np.asarray(disturbance_set.lower)])
    upper = np.concatenate([upper, ones, np.asarray(disturbance_set.upper)])
    points = qmc.Halton(len(lower), scramble=False).random(POINTS)
    # Six digits: vertices are computed, and may differ in the last place between machines.
    points = np.round(lower + points * (upper - lower), 6).astype(np.float32)
    x, a, w = np.split(points, [model.state_size, model.state_size + model.action_size], axis=1)
    # Eager even while a caller is being traced, so that an environment can be made inside jit.
    with jax.ensure_compile_time_eval(), jax.default_matmul_precision("highest"):
        return np.asarray(jax.jit(jax.vmap(model.unit_step))(x, a, w), np.float32)


def distance(found: np.ndarray, stored: np.ndarray, center: np.ndarray) -> float:
    """The largest relative difference of two fingerprints; infinite where one is not finite.

    Relative to the distance from the centre of S, shape (n,): a set that is far from the origin for
    its size has states that differ by little. A part of the size covers their rounding.
    """
    size = np.maximum(np.abs(stored - center), _FAR * np.abs(stored))
    difference = np.abs(found.astype(np.float64) - stored) / np.maximum(1.0, size)
    return float(np.max(np.where(np.isfinite(difference), difference, np.inf)))


def agrees(found: np.ndarray, stored: np.ndarray, center: np.ndarray) -> bool:
    """Whether two fingerprints are of one model, up to rounding."""
    return distance(found, stored, center) <= _TOLERANCE
