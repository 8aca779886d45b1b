"""The identity of the program that a model runs."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp

from .._jaxpr_writer import JaxprWriter
from ._model import Model
from ._virtual import InVirtualInputs


def program_digest(model: Model) -> str:
    """SHA-256 of the programs of `step` and `affine` in float32, with their constants.

    Two models have the same digest if JAX traces them to the same operations on the same numbers,
    bit by bit, in whatever process; names of functions and variables and lines of source do not
    count. A JAX release may trace one function to other operations, so a digest that differs says
    nothing about what the models compute.

    Args:
        model: Any model that can be traced, also one of a simulator.

    Returns:
        "sha256:" and 64 hexadecimal digits.
    """
    sizes = (model.state_size, model.action_size, model.disturbance_size)
    shapes = [jax.ShapeDtypeStruct((size,), jnp.float32) for size in sizes]
    with jax.default_matmul_precision("highest"):
        # Traced anew each time, see `trace`.
        step = jax.make_jaxpr(lambda *arguments: model.unit_step(*arguments))(*shapes)
        affine = jax.make_jaxpr(lambda x: tuple(model.affine(x)))(shapes[0])
        parts = () if model.virtual is None else _in_virtual_inputs(model, shapes)
    return jaxpr_digest(step, affine, *parts)


def _in_virtual_inputs(model: Model, shapes: list[jax.ShapeDtypeStruct]) -> tuple[Any, ...]:
    """The further programs that run where a model has virtual inputs."""
    parts = InVirtualInputs(model)
    x = shapes[0]
    return (
        jax.make_jaxpr(parts.step)(*shapes),
        jax.make_jaxpr(lambda x: tuple(parts.affine(x)))(x),
        jax.make_jaxpr(lambda x: tuple(parts.inputs(x)))(x),
        jax.make_jaxpr(parts.actions)(x, shapes[1]),
    )


def jaxpr_digest(*programs: Any) -> str:
    """SHA-256 of closed jaxprs with their constants, as in `program_digest`.

    Args:
        *programs: What `jax.make_jaxpr(function)(*arguments)` returns.

    Returns:
        "sha256:" and 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for program in programs:
        JaxprWriter(digest).write(program)
    return "sha256:" + digest.hexdigest()
