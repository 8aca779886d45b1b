"""Steps of a simulator, and the safe actions that it is driven with."""

from typing import Any, NamedTuple

import jax

from ..safe_actions import System
from ..safeguards._rows import Rows


class Steps(NamedTuple):
    """Recorded steps, NumPy or JAX arrays over N of them.

    Attributes:
        x: States before, shape (N, n).
        action: Executed actions, shape (N, d).
        next_x: States after, shape (N, n).
        drawn: Disturbances that the simulator reports to have drawn, shape (N, k), or None.
    """

    x: Any
    action: Any
    next_x: Any
    drawn: Any


def executed(system: System, x: jax.Array, request: jax.Array) -> jax.Array:
    """A request pulled back towards the anchor until it is safe, shape (d,): only safe actions are
    ever executed, so only they are compared.
    """
    with jax.default_matmul_precision("highest"):
        action_set = system.safe_action_set(x)
        return Rows.of(action_set).pull_back(request, action_set.anchor)
