"""Whether a NumPy controller acts as the library does, at random states and requests."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from ..safe_actions import System, units_of
from ..safeguards import Safeguard
from ._jax_program import controlled, protected
from ._task import Task

_STATES = 256
# Above this, in units of [-1, 1]^d, it is no rounding of float32. (An anchor that a solver finds is
# one of several equally good ones, so fallbacks are left out.)
_LARGEST = 1e-3


class Agreement(NamedTuple):
    """A comparison of actions.

    Attributes:
        states: At how many states of the safe set.
        difference: The largest difference of an action, in units of [-1, 1]^d.
    """

    states: int
    difference: float


def compare(
    controller: Any,
    system: System,
    safeguard: Safeguard,
    policy: Callable[[jax.Array], jax.Array] | None,
    task: Task,
) -> Agreement:
    """Compares a NumPy controller with the float32 programs of the library.

    Raises:
        ModelError: If they differ by more than rounding.
    """
    units = units_of(system)
    keys = jax.random.split(jax.random.PRNGKey(1), _STATES)
    states = np.asarray(jax.jit(jax.vmap(system.sample_initial))(keys), np.float32)
    rng = np.random.default_rng(0)
    requests = rng.uniform(-1.5, 1.5, (_STATES, system.action_size))
    requests = np.asarray(jax.vmap(units.natural)(jnp.asarray(requests, jnp.float32)))
    expected = jax.jit(jax.vmap(protected(system, safeguard)))(states, requests)
    found = [
        controller.safe_action(x, request) for x, request in zip(states, requests, strict=True)
    ]
    difference = _difference(found, expected, units.half_width)
    if policy is not None:
        program = jax.jit(jax.vmap(controlled(system, safeguard, policy, task), in_axes=(0, None)))
        expected = program(states, task.values)
        found = [controller(x) for x in states]
        difference = max(difference, _difference(found, expected, units.half_width))
    if not difference <= _LARGEST:
        raise ModelError(
            f"The NumPy controller must act as the library does, but an action differs by "
            f"{difference:.3g} of half the action box. If the model or the policy loses much "
            "precision in float32, scale its units; otherwise export the JAX program alone, with "
            "`numpy=False`, and report this."
        )
    return Agreement(_STATES, difference)


def _difference(found: list[Any], expected: Any, half_width: np.ndarray) -> float:
    actions = np.stack([output.action for output in found])
    fallback = np.array([output.fallback for output in found]) | np.asarray(expected["fallback"])
    differences = np.abs(actions - np.asarray(expected["action"])) / half_width
    return float(np.max(differences[~fallback], initial=0.0))
