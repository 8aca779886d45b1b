"""The projection onto a flat: least squares, and derivatives by differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.solvers import onto_flat


def flats(d, rows, n=50):
    """Flats of some rows in (d, d) slots, the others zero, and points."""
    rng = np.random.default_rng(d * 10 + rows)
    N = np.zeros((n, d, d))
    N[:, :rows] = rng.normal(size=(n, rows, d))
    b = np.zeros((n, d))
    b[:, :rows] = rng.normal(size=(n, rows))
    return N, b, rng.normal(size=(n, d))


@pytest.mark.parametrize(("d", "rows"), [(2, 1), (2, 2), (4, 0), (4, 3)])
def test_it_is_the_least_move_onto_the_rows(d, rows):
    N, b, a = flats(d, rows)
    with jax.enable_x64(True):
        x = np.asarray(jax.jit(jax.vmap(onto_flat))(N, b, a))
    for i in range(len(a)):
        expected = a[i] - np.linalg.pinv(N[i]) @ (N[i] @ a[i] - b[i])
        np.testing.assert_allclose(x[i], expected, atol=1e-9)


@pytest.mark.parametrize(("d", "rows"), [(2, 1), (2, 2), (4, 3)])
def test_first_and_second_derivatives_match_differences(d, rows):
    N, b, a = flats(d, rows)
    rng = np.random.default_rng(0)
    dN = np.where(np.abs(N).sum(axis=2, keepdims=True) > 0, rng.normal(size=N.shape), 0)
    db = np.where(np.abs(N).sum(axis=2) > 0, rng.normal(size=b.shape), 0)
    da = rng.normal(size=a.shape)
    with jax.enable_x64(True):
        at = jax.jit(jax.vmap(onto_flat))

        def tangent(s):
            return jax.jvp(at, (N + s * dN, b + s * db, a + s * da), (dN, db, da))[1]

        def value(s):
            return at(N + s * dN, b + s * db, a + s * da)

        for function, step in ((value, 1e-6), (tangent, 1e-6)):
            differences = (function(step) - function(-step)) / (2 * step)
            exact = jax.jvp(function, (jnp.zeros(()),), (jnp.ones(()),))[1]
            scale = 1 + np.abs(exact).max(axis=1, keepdims=True)
            assert np.median(np.abs(differences - exact) / scale) < 1e-7
            assert np.quantile(np.abs(differences - exact) / scale, 0.9) < 1e-5
