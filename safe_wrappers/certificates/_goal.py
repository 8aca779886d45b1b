"""What the branch and bound decides about one model: the part of a claim that speaks of sets."""

from typing import NamedTuple

from ..sets import Box, Polytope


class Goal(NamedTuple):
    """That a model keeps S invariant with margin sigma for all disturbances in W, and that S lies
    in X.

    A claim without blocks has one goal, a product set has one for each block.
    """

    safe_state_set: Polytope
    constraint_set: Box | Polytope
    disturbance_set: Box
    sigma: float
