"""The deepest point of a polytope against linear programming."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow
from scipy.optimize import linprog

from safe_wrappers.solvers import deepest_point, max_margin
from safe_wrappers.testing._action_sets import harsh_sets, product, random_sets

ROWS = {1: 8, 2: 12, 4: 16, 8: 24}


def least_violation(A, b):
    m, d = A.shape
    program = partial(linprog, bounds=[(-1, 1)] * d + [(None, None)], method="highs-ds")
    return program(np.append(np.zeros(d), 1.0), A_ub=np.column_stack([A, -np.ones(m)]), b_ub=b).fun


@pytest.mark.gpu
@pytest.mark.parametrize(("d", "m"), [(1, 8), (2, 64), (4, 24), *slow((8, 64))])
def test_max_margin_agrees_with_linear_programming(d, m):
    rng = np.random.default_rng(50 + d)
    A, b = (
        np.concatenate(v).astype(np.float32)
        for v in zip(random_sets(rng, 60, d, m)[:2], harsh_sets(rng, 140, d, m)[:2], strict=True)
    )
    x, margin = jax.device_get(jax.jit(jax.vmap(max_margin))(A, b))
    np.testing.assert_allclose(
        margin, (b - product(A.astype(np.float64), x)).min(axis=1), atol=2e-6
    )
    assert (np.abs(x) <= 1).all()
    best = np.array(
        [
            -least_violation(*problem)
            for problem in zip(A.astype(np.float64), b.astype(np.float64), strict=True)
        ]
    )
    np.testing.assert_allclose(margin, best, atol=2e-5)


def test_max_margin_takes_the_point_nearest_to_zero_of_several():
    A = np.array([[0.6, 0.8], [-0.6, -0.8]], np.float32)
    x, margin = max_margin(A, np.array([0.5, -0.1], np.float32))
    np.testing.assert_allclose(x, [0.3 * 0.6, 0.3 * 0.8], atol=1e-5)
    np.testing.assert_allclose(margin, 0.2, atol=1e-5)


def test_max_margin_derivatives_match_finite_differences():
    d, n, step = 4, 100, 1e-6
    rng = np.random.default_rng(60 + d)
    A, b, *_ = random_sets(rng, n, d, ROWS[d])
    dA, db = rng.normal(size=A.shape), rng.normal(size=b.shape)
    with jax.enable_x64(True):
        f = jax.jit(jax.vmap(lambda A, b: jnp.append(*max_margin(A, b))))
        value, tangent = (np.asarray(v) for v in jax.jvp(f, (A, b), (dA, db)))
        right, left = (np.asarray(f(A + s * dA, b + s * db)) for s in (step, -step))
    smooth = np.abs(right - 2 * value + left).max(axis=1) / step < 1e-2
    print(f"{n - smooth.sum()} of {n} samples discarded as kinks")
    assert np.mean(~smooth) <= 0.02
    scale = 1 + np.abs(tangent).max(axis=1, keepdims=True)
    np.testing.assert_allclose(
        ((right - left) / (2 * step) / scale)[smooth], (tangent / scale)[smooth], atol=1e-6
    )


@pytest.fixture
def recomputing(monkeypatch):
    """A compiler that computes a number once for its maximum and once for a comparison with it,
    rounded differently: no entry equals the maximum then, as was seen on a GPU.
    """
    largest = jnp.max

    def one_rounding_more(values, *args, **kwargs):
        found = largest(values, *args, **kwargs)
        return found + jnp.abs(found) * jnp.finfo(found.dtype).eps

    monkeypatch.setattr(jnp, "max", one_rounding_more)
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.mark.gpu
@pytest.mark.parametrize("d", [2, 4])
def test_nothing_depends_on_an_entry_that_equals_the_maximum(recomputing, d):
    """With an index that is sought by equality the deepest point violates rows of sets that have an
    interior, which then count as empty."""
    rng = np.random.default_rng(d)
    A = rng.normal(size=(200, 12, d))
    A = (A / np.linalg.norm(A, axis=2, keepdims=True)).astype(np.float32)
    inside = rng.uniform(-0.8, 0.8, (200, 1, d))
    b = ((A * inside).sum(axis=2) + rng.uniform(0.05, 0.5, (200, 12))).astype(np.float32)
    x, margin = jax.jit(jax.vmap(lambda A, b: max_margin(A, b)))(A, b)
    expected = [-least_violation(*pair) for pair in zip(A[:20], b[:20], strict=True)]
    np.testing.assert_allclose(margin[:20], expected, atol=1e-4)
    assert np.all(np.asarray(margin) > 0.04)
    assert np.all(np.abs(np.asarray(x)) <= 1)


@pytest.mark.parametrize("d", [2, 4])
def test_the_rows_that_decide_are_those_at_the_level(d):
    A, b = (v.astype(np.float32) for v in random_sets(np.random.default_rng(d), 50, d, ROWS[d])[:2])
    found = jax.device_get(jax.jit(jax.vmap(deepest_point))(A, b))
    m = A.shape[1]
    for i in range(len(A)):
        weights = found.weights[i]
        assert np.all(weights >= -1e-4)
        heights = A[i] @ found.bottom[i] - b[i]
        np.testing.assert_allclose(
            heights[found.weighted[i]][weights > 1e-4], -found.margin[i], atol=1e-4
        )
        rows = found.rows[i][found.active[i]]
        np.testing.assert_allclose(
            (A[i] @ found.point[i] - b[i])[rows[rows < m]], found.level[i], atol=1e-5
        )
