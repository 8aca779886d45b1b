"""How a plant falls into blocks over its virtual inputs, and the linear form of each."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from ..certificates import Block, BlockForm
from ..certificates._coupling import Cause, Range, causes_of
from ..certificates._intervals import Interval
from ..certificates._linear_parts import linear_parts
from ..models import Model
from ..sets import Box
from ..synthesis import SynthesisError

# What moves a state by less than this part of what moves it most is left to the rest.
_WEAK = 0.05
_POINTS = 2048


def split(
    stepped: Model, X: Box, V: Box, center: np.ndarray, labels: Sequence[str]
) -> tuple[Block, ...]:
    """The blocks of states that move one another, each with its virtual inputs.

    At the centre a state or an input belongs to another state's block if it moves that by more than
    a twentieth of what moves it most.

    Args:
        stepped: The model in virtual inputs.
        X: Bounded.
        V: The virtual inputs.
        center: The centre, shape (n,).
        labels: Names of the states, for the error.

    Raises:
        SynthesisError: If a group of states has no virtual input of its own.
    """
    n, d = stepped.state_size, stepped.action_size
    A, B = _linearised(stepped, center, (np.asarray(V.lower) + V.upper) / 2)
    reach = (np.asarray(X.upper, np.float64) - X.lower) / 2
    moved = np.abs(np.hstack([A - np.diag(np.diag(A)), B]))
    moved *= np.concatenate([reach, (np.asarray(V.upper, np.float64) - V.lower) / 2])
    strong = moved >= _WEAK * np.maximum(moved.max(axis=1, keepdims=True), 1e-12)
    graph = np.zeros((n + d, n + d), bool)
    graph[:n] = strong & (moved > 0)
    count, group = connected_components(graph, directed=False)
    blocks = []
    for g in range(count):
        states = tuple(int(i) for i in np.flatnonzero(group[:n] == g))
        inputs = tuple(int(j) for j in np.flatnonzero(group[n:] == g))
        if states and not inputs:
            raise SynthesisError(
                f"No input moves the states {', '.join(labels[i] for i in states)}: a set can only "
                "be kept in states that the actuators reach. Leave them out of the model, or give "
                "`blocks=` if the coupling is weak."
            )
        if states:
            blocks.append(Block(states, inputs))
    if sum(len(block.actions) for block in blocks) < d:
        raise SynthesisError(
            "Every virtual input must move a state, but one moves none. Leave it out of the model."
        )
    return tuple(sorted(blocks))


def linear_form(
    stepped: Model, block: Block, center: np.ndarray, v0: np.ndarray, range_: Range
) -> BlockForm:
    """A and B of a block, with those slopes of its causes that leave the least over.

    Args:
        stepped: The model in virtual inputs.
        block: Its states and inputs.
        center: The centre, shape (n,).
        v0: Inputs at the centre, shape (d,).
        range_: X x V x W.
    """
    own, points = range_.own(block), range_.points(_POINTS)
    parts = linear_parts(stepped, Interval.point(points), order=1)
    rows = np.array(
        [[float(parts.rows[i].get(j, 0)) for j in own] for i in block.states], np.float64
    )
    for cause in causes_of(parts, block, len(points)):
        slopes = _slopes(cause, parts, points, own)
        rows += np.outer([float(q) for q in cause.column], slopes)
    n = len(block.states)
    return BlockForm(rows[:, :n], rows[:, n:], None, v0[list(block.actions)].astype(np.float32))


def _slopes(cause: Cause, parts, points: np.ndarray, own: list[int]) -> np.ndarray:
    """The slopes in the block's own arguments that leave the smallest largest rest at points."""
    taylor = cause.over(parts)
    values = np.broadcast_to(taylor.value.middle, points.shape[1:])
    used = [i for i in own if i in taylor.support]
    slopes = np.zeros(len(own))
    if not used:
        return slopes
    size = np.abs(points[used]).max(axis=1)
    scaled = points[used] / size[:, None]
    ones = np.ones((points.shape[1], 1))
    # max |value - slope . z - offset| <= t.
    upper = np.hstack([-scaled.T, -ones, -ones])
    lower = np.hstack([scaled.T, ones, -ones])
    program = linprog(
        [*[0.0] * (len(used) + 1), 1.0],
        A_ub=np.vstack([upper, lower]),
        b_ub=np.concatenate([-values, values]),
        bounds=(None, None),
    )
    if program.status == 0:
        for i, value, unit in zip(used, program.x, size, strict=False):
            slopes[own.index(i)] = value / unit
    return slopes


def _linearised(
    stepped: Model, center: np.ndarray, v0: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64():
        x, v, w = (
            jnp.asarray(part, jnp.float64)
            for part in (center, v0, np.zeros(stepped.disturbance_size))
        )
        A, B = jax.jacfwd(lambda x, v: stepped.step(x, v, w), (0, 1))(x, v)
        return np.asarray(A), np.asarray(B)
