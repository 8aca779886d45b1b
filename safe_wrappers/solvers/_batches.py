"""A loop over a batch that does not go on with members that are done."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Bool

# Smaller batches are not worth being gathered anew.
_SMALL = 64
# Once no more than one member of so many goes on, they are gathered.
_OF = 4


class Iterate(Protocol):
    """The state of a loop: a pytree that knows whether it goes on."""

    @property
    def running(self) -> Bool[jax.Array, ""]:
        """Whether the loop goes on. Shape ()."""
        ...


S = TypeVar("S", bound=Iterate)


def while_running(trip: Callable[[Any, S], S], problem: Any, start: S) -> S:
    """`start` after as many trips as it takes until it no longer runs.

    Under vmap every member of a batch takes as many trips as the one that takes most, which may be
    several times the mean. Here a batch takes trips as a whole until a quarter of it is left, and
    these are gathered and go on alone. Values are those of each member by itself; constants for
    derivatives.

    Args:
        trip: (problem, state) -> state. What else it reads must be known before the program is
            traced.
        problem: A pytree.
        start: The state to begin with.
    """

    @custom_vmap
    def result(problem: Any, start: S) -> S:
        return jax.lax.while_loop(lambda s: s.running, lambda s: trip(problem, s), start)

    @result.def_vmap
    def _of_a_batch(size: int, batched: Any, problem: Any, start: S) -> tuple[S, Any]:
        of_problem, of_start = batched
        start = jax.tree.map(
            lambda leaf, each: leaf if each else jnp.broadcast_to(leaf, (size, *leaf.shape)),
            start,
            of_start,
        )
        end = _of_many(trip, problem, of_problem, start)
        return end, jax.tree.map(lambda _: True, end)

    return result(*jax.lax.stop_gradient((problem, start)))


def _of_many(trip: Callable[[Any, S], S], problem: Any, batched: Any, state: S) -> S:
    """The same for a batch. `batched` says which leaves of the problem differ between members."""

    def unless_done(problem: Any, state: S) -> S:
        return jax.tree.map(
            lambda new, old: jnp.where(state.running, new, old), trip(problem, state), state
        )

    axes = jax.tree.map(lambda each: 0 if each else None, batched)
    every = jax.vmap(unless_done, (axes, 0))
    size = len(state.running)
    few = size // _OF if size >= _SMALL else 0

    def go_on(problem: Any, state: S, until: int) -> S:
        return jax.lax.while_loop(
            lambda s: jnp.sum(s.running) > until, lambda s: every(problem, s), state
        )

    def go_on_alone(state: S) -> S:
        places = jnp.cumsum(state.running, dtype=jnp.int32) - 1
        nobody = jnp.full(few, size, jnp.int32)
        everybody = jnp.arange(size, dtype=jnp.int32)
        chosen = nobody.at[jnp.where(state.running, places, size)].set(everybody, mode="drop")

        def some(leaf: jax.Array) -> jax.Array:
            return leaf.at[chosen].get(mode="clip")

        own = jax.tree.map(lambda leaf, each: some(leaf) if each else leaf, problem, batched)
        # Where there are fewer than fit in, the last member fills up and is not put back.
        ended = go_on(own, jax.tree.map(some, state), 0)
        return jax.tree.map(lambda leaf, part: leaf.at[chosen].set(part, mode="drop"), state, ended)

    state = go_on(problem, state, few)
    return jax.lax.cond(jnp.any(state.running), go_on_alone, lambda s: s, state) if few else state
