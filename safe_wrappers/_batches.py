"""Functions over many arguments, compiled for one number of them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

BATCH = 512


def rows_of(count: int, batch: int = BATCH):
    """The rows of all batches of `count` arguments, each filled up with copies of its first one to
    `batch` rows: pairs (rows, how many are real).
    """
    for first in range(0, count, batch):
        rows = np.arange(first, first + batch)
        yield np.where(rows < count, rows, first), min(batch, count - first)


def in_batches(function: Callable[..., Any], batch: int = BATCH) -> Callable[..., Any]:
    """`function` of one argument each, as one of NumPy arrays of N > 0 of them, which are computed
    `batch` at a time; the results are NumPy arrays of N.
    """
    return batched(jax.jit(jax.vmap(function)), batch)


def batched(compiled: Callable[..., Any], batch: int = BATCH) -> Callable[..., Any]:
    """A compiled function of `batch` arguments each, as one of N > 0, as `in_batches`."""

    def over(*arguments: Any) -> Any:
        count = len(jax.tree.leaves(arguments)[0])
        parts = [(compiled(*chosen(arguments, rows)), real) for rows, real in rows_of(count, batch)]
        return joined([cut(part, real) for part, real in parts])

    return over


def chosen(tree: Any, rows: np.ndarray) -> Any:
    """These entries of every array of a tree, for JAX."""
    return jax.tree.map(lambda value: jnp.asarray(value[rows]), tree)


def cut(tree: Any, count: int) -> Any:
    """The first `count` entries of every array of a tree, for NumPy."""
    return jax.tree.map(lambda value: np.asarray(value)[:count], tree)


def joined(parts: list[Any]) -> Any:
    """Trees of arrays, one after the other."""
    return jax.tree.map(lambda *values: np.concatenate(values), *parts)
