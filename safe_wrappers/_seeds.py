"""From the random generators of Gymnasium to the random keys of JAX."""

import jax
import numpy as np
from numpy.typing import NDArray


def draw_seed(generator: np.random.Generator) -> NDArray[np.uint32]:
    """64 random bits for a reset, shape (2,)."""
    return generator.integers(2**32, size=2, dtype=np.uint32)


def key_of(seed: jax.Array) -> jax.Array:
    """The key that `draw_seed`'s bits stand for."""
    return jax.random.fold_in(jax.random.PRNGKey(seed[0]), seed[1])
