"""Adam that takes no step from a non-finite gradient, and says how often that happened."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class GuardedState(NamedTuple):
    """State of `skip_non_finite`: the inner optimiser's, the norm of the last gradient, and the
    number of skipped steps.
    """

    inner: optax.OptState
    gradient_norm: jax.Array
    skipped: jax.Array


def skip_non_finite(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Leaves parameters and moments as they are when the gradient's norm is not finite, and counts
    it.

    Unlike `optax.apply_if_finite` it never gives in after many such steps, and it also refuses a
    finite gradient whose norm overflows.
    """

    def init(params):
        norm = jnp.zeros_like(optax.tree.norm(params))
        return GuardedState(inner.init(params), norm, jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        norm = optax.tree.norm(updates)
        finite = jnp.isfinite(norm)
        new_updates, new_inner = inner.update(updates, state.inner, params)
        new_updates = jax.tree.map(lambda new: jnp.where(finite, new, 0.0), new_updates)
        new_inner = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), new_inner, state.inner
        )
        return new_updates, GuardedState(new_inner, norm, state.skipped + jnp.where(finite, 0, 1))

    return optax.GradientTransformation(init, update)


def make_optimiser(
    learning_rate: jax.Array | float, adam_b: tuple, max_gradient_norm: jax.Array | float
) -> optax.GradientTransformation:
    """Gradient clipping by norm and Adam on one flat vector, which compiles faster than on a tree
    of layers.

    All arguments may be traced, so that one compiled program serves every value of them.
    """
    chain = optax.chain(
        optax.clip_by_global_norm(max_gradient_norm),
        optax.scale_by_adam(*adam_b),
        optax.scale_by_learning_rate(learning_rate),
    )
    # One vector from here on, so that the norm is computed once, for clipping and skipping.
    return optax.flatten(skip_non_finite(chain))
