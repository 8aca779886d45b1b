"""What few members of a batch need is computed if one of them does, for that one alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.safeguards._once import once


@pytest.mark.parametrize("marks", [(), (1,), (0, 2, 3)])
def test_each_member_gets_its_own_and_nothing_is_computed_if_nobody_asks(marks):
    calls = []

    def squares(x):
        jax.debug.callback(calls.append, jnp.zeros(()))
        return x**2

    x = jnp.arange(4.0) + 2.0
    needed = jnp.isin(jnp.arange(4), jnp.asarray(marks, int))
    found = jax.jit(jax.vmap(lambda n, x: once(n, squares, (x,), -x)))(needed, x)
    jax.effects_barrier()
    np.testing.assert_array_equal(found, np.where(needed, x**2, -x))
    assert bool(calls) == bool(marks)


@pytest.mark.parametrize("needed", [True, False])
def test_it_is_a_constant_for_derivatives_in_both_modes(needed):
    def function(x):
        return x * once(jnp.asarray(needed), lambda y: y**2, (x,), -x)

    value = 9.0 if needed else -3.0
    assert jax.grad(function)(3.0) == value
    assert jax.jvp(function, (3.0,), (1.0,))[1] == value
