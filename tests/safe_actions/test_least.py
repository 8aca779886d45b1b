"""The least of many numbers, folded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.safe_actions._least import least, where_least


@pytest.mark.parametrize("m", [1, 16, 32, 33, 47, 48, 49, 200])
def test_it_is_the_minimum_wherever_it_stands(m):
    rng = np.random.default_rng(m)
    values = rng.normal(size=(m, m)).astype(np.float32)
    values[np.arange(m), np.arange(m)] = -9.0  # once at each place
    found = jax.jit(jax.vmap(least))(values)
    np.testing.assert_array_equal(found, np.min(values, axis=1))
    index = jax.jit(jax.vmap(lambda v: where_least(v, least(v), 1e-6)))(values)
    np.testing.assert_array_equal(index, np.arange(m))


def test_a_number_that_is_none_is_the_least():
    values = np.ones((100, 100), np.float32) - np.float32(np.nan) * np.eye(100, dtype=np.float32)
    values = np.where(np.eye(100) > 0, np.nan, 1.0).astype(np.float32)
    assert np.isnan(jax.vmap(least)(values)).all()


def test_of_equal_numbers_it_is_the_first():
    values = jnp.array([2.0, 1.0 + 1e-7, 1.0, 1.0])
    assert int(where_least(values, least(values), 1e-6)) == 1
    assert int(where_least(values, least(values), 0.0)) == 2
    nothing = jnp.full(40, jnp.inf)
    assert int(where_least(nothing, least(nothing), 1e-6)) == 0
