"""Episodes start in the safe set: what is drawn again, how often, and what is said if all fails."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from .._errors import CertificateError

ATTEMPTS = 100


def first_safe_key(is_safe: Callable[[jax.Array], jax.Array], rng: jax.Array) -> jax.Array:
    """`rng`, if a reset with it is safe, or else the first of some other keys with which one is;
    the last one tried if there is none.

    Args:
        is_safe: Whether a reset with a key starts in the safe set.
        rng: A random key.
    """

    def goes_on(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        attempt, key = carry
        return (attempt < ATTEMPTS) & ~is_safe(key)

    def draw_again(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        attempt, _ = carry
        return attempt + 1, jax.random.fold_in(rng, attempt)

    return jax.lax.while_loop(goes_on, draw_again, (jnp.asarray(1), rng))[1]


def no_safe_start(tried: str, x: ArrayLike, instead: str) -> CertificateError:
    """The error of an episode that starts outside the safe set, where nothing is guaranteed.

    Args:
        tried: A noun phrase for the attempts, to stand before the word "gave".
        x: A state that it gave.
        instead: A sentence that says what to do about it.
    """
    return CertificateError(
        f"An episode must start in the safe set, but {tried} gave states like "
        f"{np.asarray(x).tolist()}. {instead}"
    )
