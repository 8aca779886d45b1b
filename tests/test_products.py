"""Sums that are written out and sums that are left to a reduction are the same products."""

import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers._products import combine, dot, inner


@pytest.mark.parametrize("d", [1, 2, 8, 9, 30])
@pytest.mark.parametrize("m", [1, 3, 8, 9])
def test_products_are_those_of_numpy(m, d):
    rng = np.random.default_rng(m * d)
    M, v, c = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((m, d), (d,), (m,)))
    expected = np.asarray(M) @ np.asarray(v)
    np.testing.assert_allclose(dot(M, v), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(inner(list(M.T), v), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(dot(v, v), np.sum(np.square(v)), rtol=1e-5)
    np.testing.assert_allclose(combine(c, M), np.asarray(c) @ np.asarray(M), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", [dot, lambda M, v: combine(v, M.T)])
def test_products_without_terms_are_zero(function):
    np.testing.assert_array_equal(function(jnp.zeros((3, 0)), jnp.zeros(0)), np.zeros(3))
