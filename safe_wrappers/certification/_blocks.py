"""Plants that fall into groups of states that do not enter each other's motion."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ..certificates import Block
from ..models import Model
from ..sets import Box, Polytope
from ._task import Task


def independent_blocks(dependence: list[tuple[int, ...]], actions: int) -> list[Block]:
    """The finest division into blocks none of which uses states or actions of another one.

    States and actions that no action moves, or that move nothing, go with the first block: a block
    has at least one action.

    Args:
        dependence: For each next state the indices of the entries of (x, a, w) that it depends on.
        actions: Number of actions.
    """
    n = len(dependence)
    owner = list(range(n + actions))

    def find(i: int) -> int:
        while owner[i] != i:
            i = owner[i]
        return i

    for state, used in enumerate(dependence):
        for other in used:
            if other < n + actions:  # disturbances are shared without harm
                low, high = sorted((find(state), find(other)))
                owner[high] = low
    groups = [[i for i in range(n + actions) if find(i) == root] for root in range(n + actions)]
    moved = [g for g in groups if g and g[0] < n and g[-1] >= n]
    rest = [i for g in groups if g and g not in moved for i in g]
    if not moved:
        return [Block(tuple(range(n)), tuple(range(actions)))]
    moved[0] = sorted(moved[0] + rest)
    return [Block(tuple(i for i in g if i < n), tuple(i - n for i in g if i >= n)) for g in moved]


def part(task: Task, block: Block) -> Task:
    """The task of one block. X is a box."""
    X, states = task.constraints, list(block.states)
    assert isinstance(X, Box)
    return dataclasses.replace(
        task,
        model=_part_of(task.model, block),
        constraints=Box(np.asarray(X.lower)[states], np.asarray(X.upper)[states]),
        center=task.center[states],
    )


def _part_of(model: Model, block: Block) -> Model:
    """The motion of one block, which uses nothing of the others."""

    def step(x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        parts = ((block.states, x, model.state_size), (block.actions, action, model.action_size))
        joint_x, joint_a = (
            jnp.stack(
                [given[own.index(i)] if i in own else jnp.zeros((), x.dtype) for i in range(size)]
            )
            for own, given, size in parts
        )
        following = model.unit_step(joint_x, joint_a, disturbance)
        return jnp.stack([following[i] for i in block.states])

    sizes = len(block.states), len(block.actions), model.disturbance_size
    return Model(f"{model.name}, states {list(block.states)}", step, *sizes)


def product(blocks: list[Block], factors: list[Polytope], n: int) -> Polytope:
    """The product of one set for each block, in the order of the joint states."""
    rows, bounds = [], []
    for block, factor in zip(blocks, factors, strict=True):
        H = np.zeros((len(factor.H), n), np.float32)
        H[:, list(block.states)] = np.asarray(factor.H)
        rows.append(H)
        bounds.append(np.asarray(factor.h, np.float64))
    return Polytope(np.concatenate(rows), np.concatenate(bounds))
