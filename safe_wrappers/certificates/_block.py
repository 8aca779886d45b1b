"""Blocks: the groups of states and actions that share out a product set."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._errors import CertificateError
from ..sets import Polytope


class Block(NamedTuple):
    """A group of coordinates in which a product set has its own facets.

    Args:
        states: Indices of the states, ascending.
        actions: Indices of the actions that keep these states in the set, ascending.
    """

    states: tuple[int, ...]
    actions: tuple[int, ...]

    def facets(self, H: np.ndarray) -> np.ndarray:
        """Indices of the rows of H, shape (m, n), that are facets of this block."""
        return np.flatnonzero(np.any(np.asarray(H)[:, list(self.states)] != 0, axis=1))

    def factor(self, safe_state_set: Polytope) -> Polytope:
        """S_b, the block's part of a product set {x : H x <= 1}."""
        H, h = (np.asarray(value) for value in safe_state_set.halfspaces())
        rows = self.facets(H)
        return Polytope(H[rows][:, list(self.states)], h[rows])


def require_product(blocks: Sequence[Block], safe_state_set: Polytope, action_size: int) -> None:
    """Checks that blocks share out states and actions, and that S is a product over them.

    Raises:
        CertificateError: Naming what is left over, shared, or coupled.
    """
    H, n = np.asarray(safe_state_set.H), safe_state_set.dim
    for what, size, parts in (
        ("states", n, [b.states for b in blocks]),
        ("actions", action_size, [b.actions for b in blocks]),
    ):
        if sorted(itertools.chain(*parts)) != list(range(size)):
            raise CertificateError(
                f"`blocks` must hold each of the {size} {what} once, but they hold "
                f"{[list(part) for part in parts]}."
            )
    for row in range(len(H)):
        owners = [b for b in blocks if row in b.facets(H)]
        if len(owners) != 1:
            raise CertificateError(
                "Each facet must lie in the states of one block, but facet "
                f"{row} = {H[row]} has entries in {len(owners)} blocks."
            )
