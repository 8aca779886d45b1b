"""Safe sets that are products over groups of coordinates, and the reduction of their proof to one
claim per group.

Let S = {x : x_b in S_b for each block b}, where the blocks share out the states and the actions. Of
the joint model f, the part f_b that moves block b depends on

    y = x_b,  u = a_b,     the block's own states and actions,
    p, v,                  states and actions of other blocks: those that f_b really uses,
    w                      the disturbance.

S is robust control invariant with margin sigma if for each block

    for all y in S_b and all p in P there is a u with H_b f_b(y, p, u, v, w) <= h_b - sigma for all
    v and w,      (1)

with P the range that X gives to p, around the centre of S, and the v in their box: each block then
picks its own actions, which no other block contradicts, whatever these pick; and a state in S lies
in X, so that its p lies in P. (1) is again a claim that a polytope, S_b x P, is robust control
invariant, which the ordinary proof decides: p are further states of which nothing is claimed at the
next step, and v are further disturbances. The next p is put at the centre.

Nothing here is a second formula of the dynamics. What f_b uses is decided on the jaxpr of f, where
no path leads from the other arguments to f_b; the block's model is f itself with these at the
centre, actions at zero. So
(1) speaks about the function that is stepped: for the quadrotor, the climb is proved for every roll
and the sideways motion against every thrust. The converse does not hold: (1) may fail for a set
that is invariant, and then the joint claim has to be refuted by a joint state (`candidates`).
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import CertificateError
from ..models import Model
from ..sets import Box, Polytope
from ._block import Block
from ._claim import Claim
from ._enclosure import ModelEnclosure
from ._goal import Goal
from ._room import least_above


def reduction(claim: Claim, block: Block) -> tuple[Goal, Model]:
    """The goal (1) about one block and its model, with the states y, then p, the actions u, and
    the disturbances v, then w.

    Raises:
        CertificateError: If X is not a box, or does not bound a state of another block that this
            one depends on.
    """
    X, W, model = claim.constraint_set, claim.disturbance_set, claim.model
    if not isinstance(X, Box):
        raise CertificateError(
            "`constraint_set` must be a box for a product set, but it is a polytope. Give a `Box`, "
            "or leave out `blocks`."
        )
    n, d = model.state_size, model.action_size
    dependence = ModelEnclosure(model, np.zeros(W.dim)).dependence()
    used = sorted(set().union(*(dependence[i] for i in block.states)))
    given = tuple(i for i in used if i < n and i not in block.states)
    opposed = tuple(i - n for i in used if n <= i < n + d and i - n not in block.actions)
    lower, upper = (np.asarray(bound, np.float64) for bound in (X.lower, X.upper))
    center = claim.center.astype(np.float64)
    for i in given:
        if not (-np.inf < lower[i] < center[i] < upper[i] < np.inf):
            raise CertificateError(
                f"X must bound state {i} on both sides of the centre of S, {center[i]:.6g}, since "
                f"block {block} depends on it, but it lies in [{lower[i]}, {upper[i]}]."
            )

    factor, others = block.factor(claim.safe_state_set), list(given)
    sides = np.concatenate(
        [np.diag(1.0 / (upper - center)[others]), -np.diag(1.0 / (center - lower)[others])]
    )
    # Offsets that hold all of P, exactly.
    ends = [
        least_above(Fraction(float(row.sum())) * Fraction(float(end)))
        for row, end in zip(sides, (*upper[others], *lower[others]), strict=True)
    ]
    H = np.block(
        [
            [np.asarray(factor.H, np.float64), np.zeros((len(factor.H), len(others)))],
            [np.zeros((len(sides), len(block.states))), sides],
        ]
    )
    own, free = list(block.states), np.full(len(others), np.inf)
    reduced = Goal(
        safe_state_set=Polytope(H, np.concatenate([np.asarray(factor.h, np.float64), ends])),
        # That p lies in X is not claimed here: its own block does.
        constraint_set=Box(np.concatenate([lower[own], -free]), np.concatenate([upper[own], free])),
        disturbance_set=Box(
            *(
                np.concatenate([np.full(len(opposed), end), np.asarray(side, np.float64)])
                for end, side in ((-1.0, W.lower), (1.0, W.upper))
            )
        ),
        sigma=claim.sigma,
        center=center[own + others],
    )
    return reduced, _reduced_model(model, block, given, opposed, claim.center)


def _reduced_model(
    model: Model,
    block: Block,
    given: Sequence[int],
    opposed: Sequence[int],
    center: np.ndarray,
) -> Model:
    def step(x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        states = dict(zip((*block.states, *given), x, strict=True))
        actions = dict(
            zip((*block.actions, *opposed), (*action, *disturbance[: len(opposed)]), strict=True)
        )
        rest, still = jnp.asarray(center, x.dtype), jnp.zeros((), x.dtype)
        joint_x = jnp.stack([states.get(i, rest[i]) for i in range(model.state_size)])
        joint_a = jnp.stack([actions.get(i, still) for i in range(model.action_size)])
        following = model.unit_step(joint_x, joint_a, disturbance[len(opposed) :])
        return jnp.stack([*(following[i] for i in block.states), *(rest[i] for i in given)])

    sizes = (
        len(block.states) + len(given),
        len(block.actions),
        len(opposed) + model.disturbance_size,
    )
    return Model(f"{model.name}, states {list(block.states)}", step, *sizes)


def candidates(
    safe_state_set: Polytope, blocks: Sequence[Block], block: Block, x: np.ndarray
) -> list[np.ndarray]:
    """Joint states at which S may not be invariant if (1) fails at x = (y, p): y with each vertex
    of the other blocks' factors.
    """
    y = x[: len(block.states)]
    parts = [
        y[None] if other == block else other.factor(safe_state_set).vertices() for other in blocks
    ]
    order = np.argsort(list(itertools.chain(*(b.states for b in blocks))))
    return [np.concatenate(combined)[order] for combined in itertools.product(*parts)]
