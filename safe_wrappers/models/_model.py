"""The one-step model and its affine form in action and disturbance."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp


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
        step: f in JAX, unbatched and without clamping or wrapping: x (n,), a (d,) in [-1, 1]^d, w (k,) -> x' (n,).
            It must follow the dtype of its arguments.
        state_size: n.
        action_size: d.
        disturbance_size: k.
        parameters: Physical parameters by name, in SI units, stored in certificates.
    """

    name: str
    step: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    state_size: int
    action_size: int
    disturbance_size: int
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __call__(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        """x' = f(x, a, w), shape (n,)."""
        return self.step(x, action, disturbance)

    def affine(self, x: jax.Array) -> Affine:
        """c, B and E at the state x, exact for a model that is affine in (a, w); jit-able and differentiable."""
        zero_a, zero_w = jnp.zeros(self.action_size, x.dtype), jnp.zeros(self.disturbance_size, x.dtype)
        c, push = jax.linearize(lambda a, w: self.step(x, a, w), zero_a, zero_w)
        columns_a = [push(e, zero_w) for e in jnp.eye(self.action_size, dtype=x.dtype)]
        columns_w = [push(zero_a, e) for e in jnp.eye(self.disturbance_size, dtype=x.dtype)]
        return Affine(c, jnp.stack(columns_a, axis=-1), jnp.stack(columns_w, axis=-1))
