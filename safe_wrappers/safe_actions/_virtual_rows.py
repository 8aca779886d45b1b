"""Safe action sets of a set in virtual inputs: an interval for each input, and what actions bring
about.

Of x' = g(x, v, w) each block takes the virtual inputs that keep its facets whatever the others do:
an interval within V for one input, from the actual state, so that what other blocks really do to it
counts, not the most that they could. Blocks come one after the other, and a later one knows the
intervals of those before it. An action u brings v = c + G u about, so the rows are G u <= hi - c
and -G u <= c - lo, two for each input. The anchor is the action of the intervals' middle. Nothing
is solved but the equations of motion.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._products import dot
from ..certificates import Block, BlockForm, Claim, are_the_actions
from ..models import InVirtualInputs
from ._action_set import SafeActionSet, interval

_Pair = tuple[Float[jax.Array, ""], Float[jax.Array, ""]]


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
        H = np.asarray(claim.safe_state_set.H)
        self._facets = [block.facets(H) for block in claim.blocks]

    def __call__(self, x: Float[jax.Array, " n"]) -> SafeActionSet:
        """Rows, two for each input of a block that has one and all facets of a block that has
        several, and the anchor, at x, shape (n,).
        """
        c, G = self._parts.inputs(x)
        A, b = self._rows_of_inputs(x)
        V = self._virtual.inputs
        lower, upper = (list(jnp.asarray(end, x.dtype)) for end in (V.lower, V.upper))
        slopes, bounds = [], []
        v = list(jnp.asarray((V.lower + V.upper) / 2, x.dtype))
        for block, facets, form in zip(
            self._claim.blocks, self._facets, self._virtual.forms, strict=True
        ):
            own = list(block.actions)
            rest = b[facets] - _most(A[facets], lower, upper, own)
            if len(own) == 1:
                (j,) = own
                lower[j], upper[j] = _within(A[facets, j][:, None], rest, lower[j], upper[j])
                v[j] = (lower[j] + upper[j]) / 2
            else:
                # Rows in units of actions: (A G) u <= rest - A c.
                slopes.append(
                    sum(A[facets, j][:, None] * G[j][None] for j in own)  # pyright: ignore[reportArgumentType]
                )
                bounds.append(rest - sum(A[facets, j] * c[j] for j in own))
                for j, value in zip(own, self._gain(x, block, form), strict=True):
                    v[j] = value
                if self._plain:
                    continue
            slopes += [jnp.stack([G[j] for j in own]), jnp.stack([-G[j] for j in own])]
            bounds += [
                jnp.stack([upper[j] - c[j] for j in own]),
                jnp.stack([c[j] - lower[j] for j in own]),
            ]
        anchor = jnp.clip(self._parts.actions(x, jnp.stack(v)), -1.0, 1.0)
        return SafeActionSet(
            jnp.concatenate(slopes), jnp.concatenate(bounds), jax.lax.stop_gradient(anchor)
        )

    def _rows_of_inputs(
        self, x: Float[jax.Array, " n"]
    ) -> tuple[Float[jax.Array, "m d"], Float[jax.Array, " m"]]:
        """All facets as rows in virtual inputs, whatever the disturbance."""
        claim = self._claim
        c, B, E = self._stepped.affine(x)
        H, room = claim.centered_set.halfspaces()
        H, offsets = jnp.asarray(H, c.dtype), jnp.asarray(room - claim.eps, c.dtype)
        A = jnp.sum(H[:, :, None] * B[None], axis=1)
        HE = jnp.sum(H[:, :, None] * E[None], axis=1)
        middle, radius = (
            jnp.asarray(part, c.dtype)[None]
            for part in (claim.disturbance_set.center, claim.disturbance_set.radius)
        )
        worst = jnp.sum(HE * middle + jnp.abs(HE) * radius, axis=1)
        return A, offsets - dot(H, c - jnp.asarray(claim.center, c.dtype)) - worst

    def _gain(
        self, x: Float[jax.Array, " n"], block: Block, form: BlockForm
    ) -> Float[jax.Array, " k"]:
        """v0 + K y of a block with several inputs."""
        assert form.K is not None
        y = x[np.array(block.states)] - jnp.asarray(self._claim.center[list(block.states)], x.dtype)
        return jnp.asarray(form.v0, x.dtype) + dot(jnp.asarray(form.K, x.dtype), y)


def _most(
    A: Float[jax.Array, "m d"],
    lower: list[Float[jax.Array, ""]],
    upper: list[Float[jax.Array, ""]],
    own: list[int],
) -> Float[jax.Array, " m"]:
    """The most that the inputs of other blocks add to each row, shape (m,)."""
    others = [j for j in range(A.shape[1]) if j not in own]
    terms = [jnp.maximum(A[:, j] * lower[j], A[:, j] * upper[j]) for j in others]
    return sum(terms, jnp.zeros(len(A), A.dtype))


def _within(
    A: Float[jax.Array, "m 1"], b: Float[jax.Array, " m"], lower: jax.Array, upper: jax.Array
) -> _Pair:
    """The interval of one input within [lower, upper]; a row that no input satisfies there leaves
    an empty one.
    """
    low, high = interval(A, b)
    # A row without slope bounds no input: where it fails, there is none.
    possible = jnp.all((A[:, 0] != 0) | (b >= 0))
    low, high = jnp.maximum(low, lower), jnp.minimum(high, upper)
    return low, jnp.where(possible, high, low - 1.0)
