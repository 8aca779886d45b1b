"""Where the centre of a safe state set is, and the float32 numbers of the set around it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._errors import CertificateError, SetDimensionError
from .._gate import as_numbers, is_traced, shown
from ..sets import Polytope
from ._block import Block
from ._room import exact_room, offsets

# The origin is the centre if along each facet's normal at least this part of S lies beyond it.
_WELL_INSIDE = 0.1
# Farther from the origin, in units of its own size, float32 sees nothing of S but a few points.
_FARTHEST = 1e5
# An offset that is worth naming in an error: rounding is mostly that of the offset.
_FAR = 10.0


def as_center(value: Any, safe_state_set: Polytope, blocks: Sequence[Block] = ()) -> np.ndarray:
    """The centre in float32, shape (n,), read-only; by default the origin if it lies well inside S,
    else the centre of volume, for a product set that of each factor.

    Raises:
        SetDimensionError: If the value is no vector of n finite numbers, or S is not bounded.
        CertificateError: If the centre is not strictly inside S.
    """
    given = value is not None
    center = _given(value, safe_state_set.dim) if given else _default(safe_state_set, blocks)
    center = np.frombuffer((center + 0.0).astype(np.float32).tobytes(), np.float32)  # no -0.0
    room = exact_room(*safe_state_set.halfspaces(), center)
    if min(room, default=1) <= 0:
        facet = room.index(min(room))
        raise CertificateError(
            f"`center` must lie strictly inside S, but {center.tolist()} lies on or beyond facet "
            f"{facet}, H_i x <= h_i with H_i = {np.asarray(safe_state_set.H)[facet].tolist()} and "
            f"h_i = {float(safe_state_set.h[facet]):.6g}. "
            + (
                "Leave `center` out, and it is computed."
                if given
                else "S is so thin, or so far from the origin, that float32 finds no point inside; "
                "measure the states from a point near S."
            )
        )
    return center


def placed(safe_state_set: Polytope, center: np.ndarray) -> Polytope:
    """{x : H x <= h} in float32 with h = 1 + H center rounded down, the stored numbers if they have
    that form already.

    Raises:
        CertificateError: If S is too far from the origin for float32.
    """
    H, h = (np.asarray(part) for part in safe_state_set.halfspaces())
    rounded = H.astype(np.float32)
    stored = np.array_equal(rounded, H) and _near(rounded, center)
    if not (stored and np.array_equal(offsets(rounded, center), h)):
        rounded = np.asarray(safe_state_set.normalised(center).H).astype(np.float32)
    if not _near(rounded, center):
        raise CertificateError(
            "S must lie nearer to the origin for its size: "
            + offset_in_words(Polytope(rounded, np.ones(len(H))), center)
        )
    return Polytope(rounded, offsets(rounded, center))


def offset_in_words(centered_set: Polytope, center: np.ndarray) -> str:
    """What to do if rounding is mostly that of an offset; empty if it is not.

    Args:
        centered_set: S seen from its centre.
        center: The centre, shape (n,).
    """
    vertices = centered_set.vertices()
    offset = np.abs(center) / np.ptp(vertices, axis=0)
    i = int(np.argmax(offset))
    if not offset[i] > _FAR:
        return ""
    return (
        f"state {i} lies around {center[i]:.6g}, {offset[i]:,.0f} times the width of S, and "
        f"float32 numbers there are {np.spacing(center[i]):.2g} apart. Measure state {i} from a "
        f"point near S: let the model's state be x[{i}] - {center[i]:.6g}."
    )


def _near(H: np.ndarray, center: np.ndarray) -> bool:
    offset = np.abs(H.astype(np.float64) @ center.astype(np.float64))
    return bool(np.all(offset <= _FARTHEST))


def _given(value: Any, dim: int) -> np.ndarray:
    numbers = as_numbers("center", value)
    if tuple(numbers.shape) != (dim,) or is_traced(numbers) or not np.isfinite(numbers).all():
        raise SetDimensionError(
            f"`center` must be {dim} finite numbers, one for each state, but it is {shown(value)}."
        )
    return np.asarray(value, np.float64)


def _default(safe_state_set: Polytope, blocks: Sequence[Block]) -> np.ndarray:
    H, h = (np.asarray(part, np.float64) for part in safe_state_set.halfspaces())
    center = np.zeros(safe_state_set.dim)
    if np.all(h > 0):
        nearest = (safe_state_set.vertices() @ H.T).min(axis=0)
        if np.all(h >= _WELL_INSIDE * (h - nearest)):
            return center
    for block in blocks or (Block(tuple(range(len(center))), ()),):
        center[list(block.states)] = _centroid(block.factor(safe_state_set))
    return center


def _centroid(safe_state_set: Polytope) -> np.ndarray:
    """The centre of volume: on every line through it, no facet is nearer than 1 / (n + 1) of the
    way across, and it moves with the set.
    """
    fan = safe_state_set.triangulate()
    simplices, volumes = (np.asarray(p, np.float64) for p in (fan.simplices, fan.volumes))
    return volumes / volumes.sum() @ simplices.mean(axis=1)
