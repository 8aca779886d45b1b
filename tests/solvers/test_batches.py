"""A batch whose members end at different times: each gets what it gets alone, and few go on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.solvers._batches import while_running


class Halved(NamedTuple):
    """A number that is halved until it is below a bound."""

    value: jax.Array
    trips: jax.Array
    running: jax.Array


def halve(bound, state):
    value = state.value / 2
    return Halved(value, state.trips + 1, value > bound)


def start(value, bound):
    return Halved(value, jnp.zeros((), jnp.int32), value > bound)


def halvings(value, bound):
    return while_running(halve, bound, start(value, bound))


def expected(value, bound):
    """The numbers and the counts of trips in Python, one member after the other."""
    ends = []
    for v, b in zip(np.asarray(value), np.broadcast_to(bound, value.shape), strict=True):
        trips = 0
        while v > b:
            v, trips = v / 2, trips + 1
        ends.append((v, trips))
    numbers, counts = zip(*ends, strict=True)
    return np.array(numbers), np.array(counts)


def values(size, share=0.3):
    """Numbers of which so many take up to thirty trips and the others none or one."""
    rng = np.random.default_rng(size)
    high = 2.0 ** rng.integers(1, 30, size)
    return jnp.asarray(np.where(rng.random(size) < share, high, rng.random(size) * 2), jnp.float32)


@pytest.mark.parametrize("size", [1, 3, 63, 64, 65, 257])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_each_member_gets_what_it_gets_alone(size, share):
    value = values(size, share)
    found = jax.jit(jax.vmap(halvings, (0, None)))(value, jnp.float32(1.0))
    numbers, trips = expected(value, 1.0)
    np.testing.assert_array_equal(found.value, numbers)
    np.testing.assert_array_equal(found.trips, trips)
    assert not found.running.any()


def test_bounds_of_their_own_are_gathered_with_their_members():
    value = values(200)
    bound = jnp.asarray(np.random.default_rng(1).uniform(0.5, 4.0, 200), jnp.float32)
    numbers, trips = expected(value, bound)
    found = jax.jit(jax.vmap(halvings))(value, bound)
    np.testing.assert_array_equal(found.value, numbers)
    np.testing.assert_array_equal(found.trips, trips)


def test_batches_of_batches():
    value = values(4 * 80).reshape(4, 80)
    bound = jnp.asarray([1.0, 2.0, 0.5, 1.0])
    found = jax.jit(jax.vmap(jax.vmap(halvings, (0, None))))(value, bound)
    other = jax.jit(jax.vmap(jax.vmap(halvings), in_axes=(1, None), out_axes=1))(value, jnp.ones(4))
    for i in range(4):
        np.testing.assert_array_equal(found.value[i], expected(value[i], bound[i])[0])
        np.testing.assert_array_equal(other.value[i], expected(value[i], 1.0)[0])


@pytest.mark.parametrize(
    "transformed",
    [
        lambda f: jax.grad(lambda v: jnp.sum(jax.vmap(f)(v))),
        lambda f: jax.vmap(jax.grad(f)),
        lambda f: jax.grad(lambda v: jnp.sum(jax.vmap(jax.checkpoint(f))(v))),
        lambda f: jax.vmap(jax.grad(jax.checkpoint(f))),
        lambda f: lambda v: jax.jvp(jax.vmap(f), (v,), (jnp.ones_like(v),))[1],
    ],
    ids=["grad of vmap", "vmap of grad", "checkpoint", "grad of checkpoint", "jvp"],
)
def test_it_is_a_constant_for_derivatives(transformed):
    value = values(100)
    numbers, _ = expected(value, 1.0)
    found = jax.jit(transformed(lambda v: v * halvings(v, 1.0).value))(value)
    np.testing.assert_array_equal(found, numbers)


def test_the_slowest_go_on_alone():
    """Of 256 members a quarter or fewer take the last of thirty trips; the others are left."""
    counted = []

    def trip(bound, state):
        jax.debug.callback(lambda _: counted.append(1), state.value)
        return halve(bound, state)

    value = jnp.ones(256).at[:10].set(2.0**20)
    jax.jit(jax.vmap(lambda v: while_running(trip, jnp.float32(1.0), start(v, 1.0)).value))(value)
    jax.effects_barrier()
    # Under vmap a callback is called for each member: 64 of them, twenty times.
    assert len(counted) == 64 * 20
