"""Safe action sets of a set in virtual inputs: an interval for each input, and what actions bring
about.

Of x' = g(x, v, w) each block takes the virtual inputs that keep its facets whatever the others do:
an interval within V for one input, from the actual state, so that what other blocks really do to it
counts, not the most that they could. Blocks come one after the other, and a later one knows the
intervals of those before it. An action u brings v = c + G u about, so the rows are G u <= hi - c
and -G u <= c - lo, two for each input. The anchor is the action of the intervals' middle. Nothing
is solved but the equations of motion.

Commanded by v itself, the plant has a box of safe inputs, the product of the intervals: a block
counts on what the others may do within theirs, not on what they do. Then nothing is solved at all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._products import reduced
from ..certificates import Block, BlockForm, Claim, are_the_actions, dependence
from ..models import ActionUnits, InVirtualInputs
from ._action_set import SafeActionSet, interval


class _Part(NamedTuple):
    """What is known of a block before a state is.

    Attributes:
        H: Its facets in its own states, shape (m, n_b).
        offsets: Their room less the rounding allowance, shape (m,).
        states: Indices of its states.
        inputs: Indices of the virtual inputs that move it.
        disturbances: Indices of the disturbances that move it.
    """

    H: Float[np.ndarray, "m k"]
    offsets: Float[np.ndarray, " m"]
    states: np.ndarray
    inputs: list[int]
    disturbances: list[int]


class _Rows(NamedTuple):
    """Rows sum_j slopes[j] v_j <= b of a block, whatever the disturbance, shapes (m,)."""

    slopes: dict[int, Float[jax.Array, " m"]]
    b: Float[jax.Array, " m"]


class _Intervals(NamedTuple):
    """The intervals of all inputs at a state, d of them.

    Attributes:
        lower: Lower ends within V.
        upper: Upper ends within V; below `lower` where no input is safe.
        facet_lower: Lower ends as the facets alone set them, infinite where they set none.
        facet_upper: Upper ends, in the same way.
        rows: Of each block with several inputs, which has no intervals but V: the slopes of its
            facets, and what other blocks leave of their room.
    """

    lower: list[Float[jax.Array, ""]]
    upper: list[Float[jax.Array, ""]]
    facet_lower: list[Float[jax.Array, ""]]
    facet_upper: list[Float[jax.Array, ""]]
    rows: dict[Block, tuple[dict[int, Float[jax.Array, " m"]], Float[jax.Array, " m"]]]


class VirtualRows:
    """The safe action sets of a claim in virtual inputs.

    Args:
        claim: With `virtual`.
    """

    def __init__(self, claim: Claim):
        assert claim.virtual is not None
        self._claim, self._virtual = claim, claim.virtual
        self._parts = InVirtualInputs(claim.model)
        self._stepped = self._parts.stepped
        self._plain = are_the_actions(claim.model, self._virtual.inputs)
        H, room = (np.asarray(part) for part in claim.centered_set.halfspaces())
        sizes, moved_by = claim.model, dependence(self._stepped)
        n, d = sizes.state_size, sizes.action_size
        V = self._virtual.inputs
        self._reach = np.maximum(np.abs(V.lower), np.abs(V.upper)).astype(float).tolist()
        self._parts_of_blocks = []
        for block in claim.blocks:
            facets, states = block.facets(H), np.array(block.states)
            used = sorted(set().union(*(moved_by[i] for i in block.states)))
            self._parts_of_blocks.append(
                _Part(
                    H[facets][:, states],
                    room[facets] - claim.eps[facets],
                    states,
                    [j - n for j in used if n <= j < n + d],
                    [j - n - d for j in used if n + d <= j],
                )
            )

    def __call__(self, x: Float[jax.Array, " n"]) -> SafeActionSet:
        """Rows, two for each input of a block that has one and all facets of a block that has
        several, and the anchor, at x, shape (n,).
        """
        c, G = self._parts.inputs(x)
        found = self._intervals(x)
        slopes, bounds = [], []
        v = [(low + high) / 2 for low, high in zip(found.lower, found.upper, strict=True)]
        for block, form in zip(self._claim.blocks, self._virtual.forms, strict=True):
            own = list(block.actions)
            if len(own) > 1:
                A, rest = found.rows[block]
                # Rows in units of actions: (A G) u <= rest - A c.
                slopes.append(
                    sum(A[j][:, None] * G[j][None] for j in own)  # pyright: ignore[reportArgumentType]
                )
                bounds.append(rest - sum(A[j] * c[j] for j in own))
                for j, value in zip(own, self._gain(x, block, form), strict=True):
                    v[j] = value
                if self._plain:
                    continue
            slopes += [jnp.stack([G[j] for j in own]), jnp.stack([-G[j] for j in own])]
            bounds += [
                jnp.stack([found.upper[j] - c[j] for j in own]),
                jnp.stack([c[j] - found.lower[j] for j in own]),
            ]
        anchor = jnp.clip(self._parts.actions(x, jnp.stack(v)), -1.0, 1.0)
        return SafeActionSet(
            jnp.concatenate(slopes), jnp.concatenate(bounds), jax.lax.stop_gradient(anchor)
        )

    def box(self, x: Float[jax.Array, " n"], units: ActionUnits) -> SafeActionSet:
        """The safe inputs at x, shape (n,), as a box in the units that map [-1, 1]^d onto V, for a
        claim whose blocks have one input each.

        An end that facets set is a row, one that V sets is not: the action box keeps it exactly.
        """
        found = self._intervals(x)
        center, half = (jnp.asarray(part, x.dtype) for part in (units.center, units.half_width))
        ends = (
            (jnp.stack(side) - center) / half for side in (found.facet_lower, found.facet_upper)
        )
        return SafeActionSet.from_box(*ends)

    def _intervals(self, x: Float[jax.Array, " n"]) -> _Intervals:
        """The intervals of all inputs, one block after the other: of the inputs of other blocks
        those count that are known by then, and V before.
        """
        V = self._virtual.inputs
        lower, upper = (list(jnp.asarray(end, x.dtype)) for end in (V.lower, V.upper))
        none = jnp.asarray(jnp.inf, x.dtype)
        found = _Intervals(lower, upper, [-none] * len(lower), [none] * len(lower), {})
        for block, rows in zip(self._claim.blocks, self._rows_of_inputs(x), strict=True):
            own, A = list(block.actions), rows.slopes
            rest = rows.b - _most(A, lower, upper, own)
            if len(own) > 1:
                found.rows[block] = A, rest
                continue
            (j,) = own
            low, high = interval(A[j][:, None], rest, self._reach[j])
            # A row without slope bounds no input: where it fails, there is none.
            possible = jnp.all((A[j] != 0) | (rest >= 0))
            found.facet_lower[j], found.facet_upper[j] = low, jnp.where(possible, high, -none)
            lower[j], high = jnp.maximum(low, lower[j]), jnp.minimum(high, upper[j])
            upper[j] = jnp.where(possible, high, lower[j] - 1.0)
        return found

    def _rows_of_inputs(self, x: Float[jax.Array, " n"]) -> list[_Rows]:
        """The facets of each block as rows in virtual inputs, whatever the disturbance."""
        claim = self._claim
        c, B, E = self._stepped.affine(x)
        y = c - jnp.asarray(claim.center, c.dtype)
        middle, radius = (
            jnp.asarray(part, c.dtype)
            for part in (claim.disturbance_set.center, claim.disturbance_set.radius)
        )
        rows = []
        for part in self._parts_of_blocks:
            H, states = jnp.asarray(part.H, c.dtype), part.states
            # Elementwise, as in `_products`, and only what moves the block at all.
            b = jnp.asarray(part.offsets, c.dtype) - reduced(H, y[states])
            for j in part.disturbances:
                push = reduced(H, E[states, j])
                b = b - push * middle[j] - jnp.abs(push) * radius[j]
            rows.append(_Rows({j: reduced(H, B[states, j]) for j in part.inputs}, b))
        return rows

    def _gain(
        self, x: Float[jax.Array, " n"], block: Block, form: BlockForm
    ) -> Float[jax.Array, " k"]:
        """v0 + K y of a block with several inputs."""
        assert form.K is not None
        y = x[np.array(block.states)] - jnp.asarray(self._claim.center[list(block.states)], x.dtype)
        return jnp.asarray(form.v0, x.dtype) + reduced(jnp.asarray(form.K, x.dtype), y)


def _most(
    slopes: dict[int, Float[jax.Array, " m"]],
    lower: list[Float[jax.Array, ""]],
    upper: list[Float[jax.Array, ""]],
    own: list[int],
) -> Float[jax.Array, " m"]:
    """The most that the inputs of other blocks add to each row, shape (m,)."""
    terms = [
        jnp.maximum(slope * lower[j], slope * upper[j])
        for j, slope in slopes.items()
        if j not in own
    ]
    return sum(terms, jnp.zeros_like(slopes[own[0]]))
