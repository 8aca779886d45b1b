"""The JAX program of a controller: what `jax.export` writes, for CPUs and CUDA GPUs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..safe_actions import System, units_of
from ..safeguards import Safeguard, safe_action
from ._task import Task

PLATFORMS = ("cpu", "cuda")


def protected(
    system: System, safeguard: Safeguard
) -> Callable[[jax.Array, jax.Array], dict[str, jax.Array]]:
    """(x, request) -> the output of `safe_action` by the names of its fields."""
    return lambda x, request: safe_action(system, safeguard, x, request)._asdict()


def controlled(
    system: System, safeguard: Safeguard, policy: Callable[[jax.Array], jax.Array], task: Task
) -> Callable[[jax.Array, Mapping[str, jax.Array]], dict[str, jax.Array]]:
    """(x, task) -> the same for the request of a policy; the task's arrays by name."""

    def controller(x: jax.Array, values: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        numbers = jnp.concatenate(
            [jnp.zeros(0, x.dtype), *(jnp.ravel(values[name]) for name in task.values)]
        )
        request = units_of(system).natural(policy(task.observe(x, numbers)))
        return safe_action(system, safeguard, x, request)._asdict()

    return controller


def serialised(function: Callable[..., Any], *arguments: Any) -> bytes:
    """The program of a function, as `jax.export.deserialize` reads it.

    Args:
        function: A function in JAX.
        *arguments: Examples of its arguments; shapes and dtypes count.
    """
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(jnp.shape(a), jnp.float32), arguments)
    exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*shapes)
    return bytes(exported.serialize())
