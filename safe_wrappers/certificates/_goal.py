"""What the branch and bound decides about one model: the part of a claim that speaks of sets."""

from typing import NamedTuple

import numpy as np

from ..sets import Box, Polytope


class Goal(NamedTuple):
    """That a model keeps S invariant with margin sigma for all disturbances in W, and that S lies
    in X.

    A claim without blocks has one goal, a product set has one for each block.

    Args:
        safe_state_set: S = {x : F x <= h}, m rows.
        constraint_set: X.
        disturbance_set: W.
        sigma: The margin, in the scale of the rows.
        center: A point strictly inside S, shape (n,): the apex of its cover by simplices.
    """

    safe_state_set: Polytope
    constraint_set: Box | Polytope
    disturbance_set: Box
    sigma: float
    center: np.ndarray
