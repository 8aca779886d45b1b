"""Product sets at run time: the anchor and initial states, block by block."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._errors import SetDimensionError
from ..certificates import Block
from ..sets import Box, Polytope, Triangulation
from ._action_set import midpoint
from ._state_table import StateTable


class ProductAnchor:
    """A safe action of a product set in closed form, one action after the other, without a solver.

    For each block take the interval of its action that satisfies the block's rows whatever the
    other actions are. The proof of a product set shows that it has an interior; its midpoint keeps
    at least half of the best robust margin. Together the midpoints satisfy all rows.

    Args:
        blocks: They share out the states and the actions, with at most one action each.
        H: The facets of S, shape (m, n).

    Raises:
        SetDimensionError: If a block has several actions.
    """

    def __init__(self, blocks: Sequence[Block], H: Float[np.ndarray, "m n"]):
        if any(len(block.actions) > 1 for block in blocks):
            raise SetDimensionError(
                "A block must have at most one action for an anchor in closed "
                f"form, but the blocks have {[b.actions for b in blocks]}."
            )
        # By ascending action: where its rows are.
        self._facets = [
            block.facets(H)
            for block in sorted(blocks, key=lambda block: block.actions)
            if block.actions
        ]

    def __call__(
        self, A: Float[jax.Array, "m d"], b: Float[jax.Array, " m"]
    ) -> Float[jax.Array, " d"]:
        """The anchor, shape (d,), of the rows A (m, d) and b (m,) of all facets.

        A constant for derivatives.
        """
        anchor = []
        for action, rows in enumerate(self._facets):
            others = jnp.sum(jnp.abs(jnp.delete(A[rows], action, axis=1)), axis=1)
            anchor.append(midpoint(A[rows, action][:, None], b[rows] - others))
        return jax.lax.stop_gradient(jnp.stack(anchor))


class ProductSampler:
    """Points of a product set, uniform by volume: the blocks' coordinates are independent.

    Args:
        blocks: They share out the coordinates.
        safe_state_set: The product set.
        around: A box around it, for blocks of more than two coordinates, whose points are then
            drawn from a table. Default: all blocks are divided into simplices.
    """

    def __init__(
        self, blocks: Sequence[Block], safe_state_set: Polytope, around: Box | None = None
    ):
        self._cells: list[Triangulation | StateTable] = []
        for seed, block in enumerate(blocks):
            factor, states = block.factor(safe_state_set), list(block.states)
            if around is None or len(states) <= 2:
                self._cells.append(factor.triangulate())
            else:
                lower, upper = np.asarray(around.lower)[states], np.asarray(around.upper)[states]
                self._cells.append(StateTable(factor, lower, upper, seed))
        self._order = np.argsort(list(itertools.chain(*(block.states for block in blocks))))

    def sample(self, key: jax.Array) -> Float[jax.Array, " n"]:
        """A point, shape (n,)."""
        keys = jax.random.split(key, len(self._cells))
        return jnp.concatenate(
            [cells.sample(key) for cells, key in zip(self._cells, keys, strict=True)]
        )[self._order]
