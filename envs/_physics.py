"""The MJCF asset of a system for Brax's physics, where disturbances are actuators of their own."""

import dataclasses
from typing import Any

import jax
import numpy as np
from brax import base

from ._assets import load_system


class DisturbedPhysics:
    """What turns the system that an environment shows, whose actuators are the actions, into the
    one that is stepped, which has the disturbances behind them.

    Args:
        mjcf_file: Name of the MJCF asset.
        actions: Number of its actuators that are actions: the first ones.
    """

    def __init__(self, mjcf_file: str, actions: int):
        self._actions = actions
        self._all = load_system(mjcf_file)
        self.sys = load_system(mjcf_file, actuators=actions)
        self._differing = [
            field.name
            for field in dataclasses.fields(self.sys)
            if not _equal(getattr(self.sys, field.name), getattr(self._all, field.name))
        ]

    def __call__(self, sys: base.System) -> base.System:
        """The system with its disturbances. What `sys` says of the actions stays, so that its
        physics can be randomised.
        """
        fields = {
            name: jax.tree.map(self._behind, getattr(sys, name), getattr(self._all, name))
            if _is_tree_of_actuators(getattr(sys, name), self._actions)
            else getattr(self._all, name)
            for name in self._differing
        }
        return sys.replace(**fields)

    def _behind(self, actions: Any, everything: Any) -> Any:
        concatenate = np.concatenate if isinstance(actions, np.ndarray) else jax.numpy.concatenate
        return concatenate([actions, everything[self._actions :]])


def _is_tree_of_actuators(value: Any, actions: int) -> bool:
    leaves = jax.tree.leaves(value)
    return bool(leaves) and all(np.shape(leaf)[:1] == (actions,) for leaf in leaves)


def _equal(one: Any, other: Any) -> bool:
    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    return jax.tree.structure(one) == jax.tree.structure(other) and all(
        np.array_equal(a, b) for a, b in zip(leaves, others, strict=True)
    )
