"""A function of one run as a program of many."""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .compiling import Compiling


def _processors() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


class SideBySide:
    """A function of one run as a function of many, compiled once.

    On CPUs, whose compiler uses little more than one processor for programs of this size, each
    processor runs the same compiled program for an equal share of the runs.

    Args:
        function: Its arguments and results are trees of arrays.
        num_runs: R; the arrays of arguments and results start with (R,).
        num_shared: How many of the last arguments are the same for all runs.
    """

    def __init__(self, function: Callable[..., Any], num_runs: int, num_shared: int = 0):
        workers = _processors() if jax.default_backend() == "cpu" else 1
        share = math.ceil(num_runs / workers)
        # Alike in shape: where the shares are not equal, the last run is repeated.
        starts = range(0, num_runs, share)
        shares = [np.minimum(np.arange(i, i + share), num_runs - 1) for i in starts]
        self._alone = len(shares) == 1
        self._share = share
        self._num_shared = num_shared
        self._function = function
        self._program: Compiling | None = None
        self._split = jax.jit(lambda args: [_taken(args, runs) for runs in shares])
        self._join = jax.jit(
            lambda results: jax.tree.map(
                lambda *leaves: jnp.concatenate(leaves)[:num_runs], *results
            )
        )

    def compile(self, *args: Any) -> Compiling:
        """Begins to compile the program.

        Args:
            args: Arguments, or their shapes and dtypes.
        """
        split = len(args) - self._num_shared
        in_axes = (0,) * split + (None,) * self._num_shared
        part = (*jax.tree.map(self._shape_of_part, args[:split]), *args[split:])
        program = jax.jit(jax.vmap(self._function, in_axes))
        self._program = Compiling(program.lower(*part))
        return self._program

    def __call__(self, *args: Any) -> Any:
        program = self._program or self.compile(*args)
        parts = self._parts(args)
        if self._alone:
            return program(*parts[0])
        with ThreadPoolExecutor(len(parts)) as threads:
            results = list(threads.map(lambda part: jax.block_until_ready(program(*part)), parts))
        return self._join(results)

    def _parts(self, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The arguments of each processor."""
        if self._alone:
            return [tuple(args)]
        split = len(args) - self._num_shared
        return [(*own, *args[split:]) for own in self._split(tuple(args[:split]))]

    def _shape_of_part(self, leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self._share, *np.shape(leaf)[1:]), leaf.dtype)


def _taken(tree: Any, runs: np.ndarray) -> Any:
    return jax.tree.map(lambda leaf: leaf[runs], tree)
