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
from jaxtyping import Float, Int32

from .._derivative import with_derivative
from .._products import reduced
from ..certificates import Block, BlockForm, Claim, are_the_actions, steady_effects
from ..models import ActionUnits, InVirtualInputs
from ._action_set import SafeActionSet
from ._facets import BlockFacets
from ._input_ends import ends

# Of as few rows as these, a derivative through all of them costs less than to find and to compute
# two of them again.
_FEW = 12

# By block the rows that decide the ends of its input's interval.
_Deciding = dict[Block, Int32[jax.Array, "2"]]


class _Intervals(NamedTuple):
    """The intervals of all inputs at a state, d of them.

    Attributes:
        lower: Lower ends within V, shape (d,).
        upper: Upper ends within V, shape (d,); below `lower` where no input is safe.
        facet_lower: Lower ends as the facets alone set them, infinite where they set none.
        facet_upper: Upper ends, in the same way.
        rows: Of each block with several inputs, which has no intervals but V: the slopes of its
            facets, and what other blocks leave of their room.
    """

    lower: Float[jax.Array, " d"]
    upper: Float[jax.Array, " d"]
    facet_lower: Float[jax.Array, " d"]
    facet_upper: Float[jax.Array, " d"]
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
        V, effects = self._virtual.inputs, steady_effects(self._stepped)
        self._reach = np.maximum(np.abs(V.lower), np.abs(V.upper)).astype(float).tolist()
        self._blocks = {}
        for block in claim.blocks:
            facets = block.facets(H)
            self._blocks[block] = BlockFacets.of(
                H[facets][:, list(block.states)],
                room[facets] - claim.eps[facets],
                block,
                effects,
                claim.disturbance_set,
            )

    def __call__(self, x: Float[jax.Array, " n"]) -> SafeActionSet:
        """Rows, two for each input of a block that has one and all facets of a block that has
        several, and the anchor, at x, shape (n,).
        """
        c, G = self._parts.inputs(x)
        found = self._intervals(x)
        slopes, bounds = [], []
        v = list((found.lower + found.upper) / 2)
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
        sides = (found.facet_lower, found.facet_upper)
        return SafeActionSet.from_box(*((side - center) / half for side in sides))

    def _intervals(self, x: Float[jax.Array, " n"]) -> _Intervals:
        """The intervals of all inputs. Their derivatives go through the facets that decide them,
        and through no other: of hundreds of facets two set the ends of an interval.
        """
        if all(len(facets.facets.H) <= _FEW for facets in self._blocks.values()):
            return self._of_facets(x, {})[0]
        found, deciding = self._of_facets(jax.lax.stop_gradient(x), {})
        traced, _ = self._of_facets(x, deciding)
        return jax.tree.map(with_derivative, found, traced)

    def _of_facets(
        self, x: Float[jax.Array, " n"], chosen: _Deciding
    ) -> tuple[_Intervals, _Deciding]:
        """The intervals by some facets of each block, by default all, and those that decide them in
        blocks of many.

        Blocks come one after the other: of the inputs of other blocks their interval counts if it
        is known by then, and V before.
        """
        effects, V = self._stepped.affine(x), self._virtual.inputs
        lower, upper = (list(jnp.asarray(end, x.dtype)) for end in (V.lower, V.upper))
        none = jnp.asarray(jnp.inf, x.dtype)
        facet_lower, facet_upper = [-none] * len(lower), [none] * len(lower)
        several, deciding = {}, {}
        for block, facets in self._blocks.items():
            rows = facets.at(effects, self._claim.center, chosen.get(block))
            for j in facets.inputs:
                if j not in block.actions:
                    rows = rows.less(j, lower[j], upper[j])
            if len(block.actions) > 1:
                several[block] = facets.one_sided(rows)
                continue
            (j,) = block.actions
            facet_lower[j], facet_upper[j], decide = ends(rows, j, self._reach[j])
            if len(facets.facets.H) > _FEW:
                deciding[block] = decide
            # Finite also where no input is safe, and still with the upper end below the lower one.
            least, most, beyond = lower[j], upper[j], self._reach[j]
            lower[j] = jnp.clip(facet_lower[j], least, most + beyond)
            upper[j] = jnp.clip(facet_upper[j], least - beyond, most)
        found = _Intervals(
            jnp.stack(lower),
            jnp.stack(upper),
            jnp.stack(facet_lower),
            jnp.stack(facet_upper),
            several,
        )
        return found, deciding

    def _gain(
        self, x: Float[jax.Array, " n"], block: Block, form: BlockForm
    ) -> Float[jax.Array, " k"]:
        """v0 + K y of a block with several inputs."""
        assert form.K is not None
        y = x[np.array(block.states)] - jnp.asarray(self._claim.center[list(block.states)], x.dtype)
        return jnp.asarray(form.v0, x.dtype) + reduced(jnp.asarray(form.K, x.dtype), y)
