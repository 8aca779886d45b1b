"""The facets of one block as rows in virtual inputs.

Two facets that face each other, H y <= above and -H y <= below, are one row here, so that a product
with the state is computed once for both. What inputs and disturbances do to a facet at every state
alike is known before there is a state.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int32

from .._gate import Array
from .._products import dot
from ..certificates import Block, SteadyEffects
from ..models import Affine
from ..sets import Box


class Facets(NamedTuple):
    """Rows -below <= H y <= above of a block's k states.

    Attributes:
        H: Shape (m, k).
        above: Room less the rounding allowance and less what steady disturbances take, shape (m,);
            infinite where there is no facet.
        below: The same on the other side.
        slopes: H B_j, shape (m,), for each input j whose effect is steady.
    """

    H: Float[Array, "m k"]
    above: Float[Array, " m"]
    below: Float[Array, " m"]
    slopes: dict[int, Float[Array, " m"]]

    def some(self, chosen: Int32[jax.Array, " r"]) -> "Facets":
        """Those with these indices, shape (r,)."""
        return jax.tree.map(lambda part: jnp.asarray(part)[chosen], self)


class Rows(NamedTuple):
    """Rows -below <= sum_j slopes[j] v_j <= above at one state, whatever the disturbance, shapes
    (m,).
    """

    slopes: dict[int, Float[Array, " m"]]
    above: Float[Array, " m"]
    below: Float[Array, " m"]

    def less(self, j: int, lower: Float[Array, ""], upper: Float[Array, ""]) -> "Rows":
        """What is left for the other inputs, wherever in its interval v_j is."""
        slope = self.slopes[j]
        first, second = slope * lower, slope * upper
        return Rows(
            {i: other for i, other in self.slopes.items() if i != j},
            self.above - jnp.maximum(first, second),
            self.below + jnp.minimum(first, second),
        )


class BlockFacets(NamedTuple):
    """What is known of a block's facets before a state is.

    Attributes:
        facets: In float64, computed from float32 numbers.
        states: Indices of the block's states.
        moved: For each input whose effect on the block is not steady, the positions in `states` of
            those that it may move.
        pushed: The same for disturbances.
        W: The disturbances.
    """

    facets: Facets
    states: list[int]
    moved: dict[int, list[int]]
    pushed: dict[int, list[int]]
    W: Box

    @classmethod
    def of(
        cls,
        H: Float[np.ndarray, "m k"],
        room: Float[np.ndarray, " m"],
        block: Block,
        effects: SteadyEffects,
        W: Box,
    ) -> "BlockFacets":
        """The facets H y <= room of a block in its own states, float32.

        Args:
            H: Their normals.
            room: Less the rounding allowance.
            block: The block.
            effects: Those of inputs and, behind them, of disturbances.
            W: The disturbances.
        """
        H, above, below = _facing(H.astype(np.float64), room.astype(np.float64))
        states, inputs = list(block.states), effects.values.shape[1] - W.dim
        slopes, moved, pushed = {}, {}, {}
        for j, (value, steady) in enumerate(zip(effects.values.T, effects.steady.T, strict=True)):
            value, steady = value[states], steady[states]
            reached = np.flatnonzero(~steady | (value != 0)).tolist()
            effect = H @ value
            if not reached and j not in block.actions:
                continue
            if not steady.all():
                (moved if j < inputs else pushed)[j if j < inputs else j - inputs] = reached
            elif j < inputs:
                slopes[j] = effect
            else:
                middle, radius = float(W.center[j - inputs]), float(W.radius[j - inputs])
                above = above - effect * middle - np.abs(effect) * radius
                below = below + effect * middle - np.abs(effect) * radius
        return cls(Facets(H, above, below, slopes), states, moved, pushed, W)

    @property
    def inputs(self) -> list[int]:
        """The virtual inputs that move the block."""
        return sorted([*self.facets.slopes, *self.moved])

    def at(
        self,
        effects: Affine,
        center: Float[np.ndarray, " n"],
        chosen: Int32[jax.Array, " r"] | None = None,
    ) -> Rows:
        """The facets, or some of them, as rows in virtual inputs at a state.

        Args:
            effects: c, B and E of the step in virtual inputs at that state.
            center: The centre of S, shape (n,).
            chosen: Indices of facets, shape (r,). Default: all.
        """
        c, B, E = effects
        facets = jax.tree.map(lambda part: np.asarray(part, c.dtype), self.facets)
        if chosen is not None:
            facets = facets.some(chosen)
        H = jnp.asarray(facets.H)

        def products(M: jax.Array, of: dict[int, list[int]]) -> dict[int, jax.Array]:
            return {
                j: dot(
                    jnp.stack([H[:, i] for i in reached], axis=1),
                    jnp.stack([M[self.states[i], j] for i in reached]),
                )
                for j, reached in of.items()
            }

        y = c - jnp.asarray(center, c.dtype)
        moved = dot(H, y[np.array(self.states)])
        above, below = facets.above - moved, facets.below + moved
        for j, push in products(E, self.pushed).items():
            shift = push * jnp.asarray(self.W.center[j], c.dtype)
            spread = jnp.abs(push) * jnp.asarray(self.W.radius[j], c.dtype)
            above, below = above - shift - spread, below + shift - spread
        return Rows(facets.slopes | products(B, self.moved), above, below)

    def one_sided(self, rows: Rows) -> tuple[dict[int, Float[jax.Array, " f"]], jax.Array]:
        """All facets by themselves: slopes and bounds of rows sum_j slopes[j] v_j <= b."""
        above = np.flatnonzero(np.isfinite(self.facets.above))
        below = np.flatnonzero(np.isfinite(self.facets.below))
        slopes = {
            j: jnp.concatenate([jnp.asarray(slope)[above], -jnp.asarray(slope)[below]])
            for j, slope in rows.slopes.items()
        }
        return slopes, jnp.concatenate([rows.above[above], rows.below[below]])


def _facing(H: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normals, room above and room below of facets, those that face each other together."""
    alone: dict[bytes, int] = {}
    rows: list[np.ndarray] = []
    above, below = [], []
    for normal, offset in zip(H + 0.0, room, strict=True):  # no -0.0
        facing = alone.pop((0.0 - normal).tobytes(), None)
        if facing is not None:
            below[facing] = offset
            continue
        alone[normal.tobytes()] = len(rows)
        rows.append(normal)
        above.append(offset)
        below.append(np.inf)
    return np.array(rows), np.array(above), np.array(below)
