"""The one-step model and its affine form in action and disturbance."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from .._gate import as_integer, as_number, function, instance_of


class Affine(NamedTuple):
    """x' = c + B a + E w at one state: c (n,), B (n, d), E (n, k)."""

    c: jax.Array
    B: jax.Array
    E: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A discrete-time model x' = f(x, a, w), affine in (a, w) for each x.

    Args:
        name: Name of the system, stored in certificates.
        step: f in JAX, unbatched and without clamping or wrapping: x (n,), a (d,) in [-1, 1]^d, w
            (k,) -> x' (n,).
            It must follow the dtype of its arguments.
        state_size: n.
        action_size: d.
        disturbance_size: k.
        parameters: Physical parameters by name, in SI units, stored in certificates.

    Raises:
        TypeError: If the name is no text, `step` no function, a size no integer, or a parameter no
            number.
        ValueError: If a size is out of range or a parameter is not finite.
    """

    name: str
    step: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    state_size: int
    action_size: int
    disturbance_size: int
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        instance_of("name", self.name, str)
        function("step", self.step, "(x, a, w) -> x'")
        for size, low in (("state_size", 1), ("action_size", 1), ("disturbance_size", 0)):
            object.__setattr__(self, size, as_integer(size, getattr(self, size), low))
        instance_of("parameters", self.parameters, Mapping)
        for name, value in self.parameters.items():
            as_number(f"parameters[{name!r}]", value)

    def __call__(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        """The next state x' = f(x, a, w), shape (n,)."""
        return self.step(x, action, disturbance)

    def affine(self, x: jax.Array) -> Affine:
        """c, B and E at the state x, exact for a model that is affine in (a, w); in the dtype of x,
        jit-able and differentiable.

        Raises:
            ModelError: If `step` does not return the shape of x.
        """
        zero_a, zero_w = (
            jnp.zeros(self.action_size, x.dtype),
            jnp.zeros(self.disturbance_size, x.dtype),
        )
        c, push = jax.linearize(lambda a, w: self.step(x, a, w), zero_a, zero_w)
        if c.shape != (self.state_size,):
            raise ModelError(
                f"`step` of the model `{self.name}` must return shape "
                f"({self.state_size},), but its shape is {c.shape}."
            )
        B = jax.vmap(lambda a: push(a, zero_w), out_axes=1)(np.eye(self.action_size, dtype=x.dtype))
        E = jax.vmap(lambda w: push(zero_a, w), out_axes=1)(
            np.eye(self.disturbance_size, dtype=x.dtype)
        )
        return Affine(c, B, E)
