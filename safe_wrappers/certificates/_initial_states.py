"""Whether episodes start in S: initial states are sampled in float32, which a proof has to know.

An initial state is center + y, with y uniform in S - center shrunk by the factor 1 - 1e-4, a convex
combination of corners that qhull computes, or y = (1 - 1e-4) (c - center + G beta) with beta in the
cube. Both are sums whose float32 errors grow with the largest coordinate of S - center, not with
its width: in a set that is thin for its length they may be more than the shrinking leaves. The sum
with the centre is rounded by u |x|: far from the origin that may be more as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..sets import Box, Polytope, Zonotope
from ._center import offset_in_words
from ._claim import Claim
from ._intervals import round_up
from ._rounding import UNIT_ROUNDOFF

# Initial states are drawn from S or from generators, shrunk by 1 - RESET_SHRINK about the centre of
# S, so that the rounding of a sampled state cannot put it outside S.
RESET_SHRINK = 1e-4
# Roundings of a sampled coordinate beside one for each term of its sum: stored corners, the weights
# and their normalisation, the shrinking, the difference of the generators' centre from that of S.
_ROUNDINGS = 8


class Starts(NamedTuple):
    """Whether initial states lie in S.

    Attributes:
        reserve: The least distance of an initial state to a facet, in the scale in which the centre
            is at distance 1; negative if one may lie outside.
        reason: Why one may lie outside S, or None if all of them certainly lie in it.
    """

    reserve: float
    reason: str | None = None


def starts(claim: Claim) -> Starts:
    """Whether the initial states of a claim lie in S, and by how much."""
    S = claim.centered_set
    inner = S.scaled(1 - RESET_SHRINK)
    everything = range(S.dim)
    parts = [(block.factor(S), block.factor(inner), block.states) for block in claim.blocks]
    reserve = np.inf
    for outer, part, states in parts or [(S, inner, everything)]:
        H, room = (np.asarray(value, np.float64) for value in outer.halfspaces())
        center = claim.center[list(states)]
        if claim.virtual is not None and len(states) > 2:
            # Drawn from a table of float32 states that were tested one by one; what is left is the
            # sum with the centre, at most as far off as it lies in X.
            most = _most(claim.constraint_set, states)
            rounding = UNIT_ROUNDOFF * (np.abs(H) @ np.where(center != 0, most, 0.0))
            reach = round_up((1 - RESET_SHRINK) * room + rounding)
        else:
            corners = part.vertices()
            rounding = _rounding(H, np.abs(corners).max(axis=0), len(corners.T) + 1, center)
            reach = round_up((H @ corners.T).max(axis=1) + rounding)
        if not np.all(reach <= room):
            advice = "" if claim.virtual is not None else offset_in_words(S, claim.center)
            advice = advice or "Choose other coordinates."
            return Starts(
                float(np.min(room - reach)),
                "`safe_state_set` is too thin for its length, or for its distance from the origin: "
                f"initial states are drawn from it shrunk by {RESET_SHRINK:g}, but float32 may put "
                f"them at {np.max(reach):.6g} along a facet, where S ends at 1. {advice}",
            )
        reserve = min(reserve, float(np.min(room - reach)))
    if claim.generators is None:
        return Starts(reserve)
    reach = _generators_reach(claim.generators, S, claim.center)
    beyond = reach - np.asarray(S.h, np.float64)
    i = int(np.argmax(np.where(np.isnan(beyond), np.inf, beyond)))
    reserve = min(reserve, float(-beyond[i]))
    if beyond[i] <= 0:
        return Starts(reserve)
    return Starts(
        reserve,
        f"`generators` must span a set inside S after shrinking by {RESET_SHRINK:g} about the "
        f"centre, but they reach {reach[i]:.6g} along facet {i}, where S ends at 1.",
    )


def _most(constraint_set: Box | Polytope, states: Sequence[int]) -> np.ndarray:
    """The largest magnitude of each of these states in X, a bounded box."""
    assert isinstance(constraint_set, Box)
    ends = [np.abs(np.asarray(constraint_set.lower)), np.abs(np.asarray(constraint_set.upper))]
    return np.maximum(*ends)[list(states)].astype(np.float64)


def _generators_reach(
    generators: Zonotope, centered_set: Polytope, center: np.ndarray
) -> np.ndarray:
    """Upper bounds of H_i (x - center) over the shrunk generators as they are sampled, shape
    (m,).
    """
    H = np.asarray(centered_set.H, np.float64)
    G = np.asarray(generators.generators, np.float64)
    middle = np.asarray(generators.center, np.float64) - center
    largest = np.abs(middle) + np.abs(G).sum(axis=1)
    exact = (1 - RESET_SHRINK) * (H @ middle + np.abs(H @ G).sum(axis=1))
    return round_up(exact + _rounding(H, largest, G.shape[1] + 1, center))


def _rounding(H: np.ndarray, largest: np.ndarray, terms: int, center: np.ndarray) -> np.ndarray:
    """What float32 may add to H_i (x - center), shape (m,), for a sum of so many terms and the
    centre; `largest`, shape (n,), bounds the sum of their magnitudes. The float64 errors of this
    module are far below it.
    """
    moved = np.where(center != 0, np.abs(center) + largest, 0.0)
    return UNIT_ROUNDOFF * (np.abs(H) @ ((terms + _ROUNDINGS) * largest + moved))
