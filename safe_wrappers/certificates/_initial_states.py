"""Whether episodes start in S: initial states are sampled in float32, which a proof has to know.

An initial state is uniform in (1 - 1e-4) S, a convex combination of corners that qhull computes, or
(1 - 1e-4) (c + G beta) with beta in the cube. Both are sums whose float32 errors grow with the
largest coordinate of S, not with its width: in a set that is thin for its length they may be more
than the shrinking leaves.
"""

import numpy as np

from ..sets import Polytope, Zonotope
from ._claim import Claim
from ._intervals import round_up
from ._rounding import UNIT_ROUNDOFF

# Initial states are drawn from (1 - RESET_SHRINK) S or from generators shrunk alike, so that the
# rounding of a sampled state cannot put it outside S.
RESET_SHRINK = 1e-4
# Roundings of a sampled coordinate beside one for each term of its sum: stored corners, the weights
# and their normalisation, the shrinking.
_ROUNDINGS = 8


def starts_outside(claim: Claim) -> str | None:
    """Why an initial state may lie outside S, or None if all of them certainly lie in it."""
    S = claim.safe_state_set
    inner = S.scaled(1 - RESET_SHRINK)
    parts = [(block.factor(S), block.factor(inner)) for block in claim.blocks] or [(S, inner)]
    for outer, part in parts:
        H, corners = np.asarray(outer.H, np.float64), part.vertices()
        rounding = _rounding(H, np.abs(corners).max(axis=0), len(corners.T) + 1)
        reach = round_up((H @ corners.T).max(axis=1) + rounding)
        if not np.all(reach <= 1):
            return (
                f"`safe_state_set` is too thin for its length: initial states are drawn from it "
                f"shrunk by {RESET_SHRINK:g}, but float32 may put them at "
                f"{np.max(reach):.6g} along a facet, where S ends at 1. Choose other coordinates."
            )
    if claim.generators is None:
        return None
    reach = _generators_reach(claim.generators, S)
    i = int(np.argmax(np.where(np.isnan(reach), np.inf, reach)))
    if reach[i] <= 1:
        return None
    return (
        f"`generators` must span a set inside S after shrinking by {RESET_SHRINK:g} about the "
        f"origin, but they reach {reach[i]:.6g} along facet {i}, where S ends at 1."
    )


def _generators_reach(generators: Zonotope, safe_state_set: Polytope) -> np.ndarray:
    """Upper bounds of H_i x over the shrunk generators as they are sampled, shape (m,)."""
    H = np.asarray(safe_state_set.H, np.float64)
    G = np.asarray(generators.generators, np.float64)
    center = np.asarray(generators.center, np.float64)
    largest = np.abs(center) + np.abs(G).sum(axis=1)
    exact = (1 - RESET_SHRINK) * (H @ center + np.abs(H @ G).sum(axis=1))
    return round_up(exact + _rounding(H, largest, G.shape[1] + 1))


def _rounding(H: np.ndarray, largest: np.ndarray, terms: int) -> np.ndarray:
    """What float32 may add to H_i x for a sum of so many terms, shape (m,); `largest`, shape (n,),
    bounds the sum of their magnitudes. The float64 errors of this module are far below it.
    """
    return (terms + _ROUNDINGS) * UNIT_ROUNDOFF * (np.abs(H) @ largest)
