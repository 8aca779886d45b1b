import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers import SafeActionSet
from safe_wrappers.testing._action_sets import random_sets, violations


def act(A, b, a):
    return sw.Replacement()(SafeActionSet.from_rows(A, b), a)


@pytest.mark.smoke
def test_a_safe_request_is_kept_bit_for_bit_and_any_other_is_replaced_by_the_anchor():
    A, b, a, _ = (
        value.astype(np.float32) for value in random_sets(np.random.default_rng(0), 4000, 2, 8)
    )
    a[:3] = [[np.nan, 0], [np.inf, 0], [0, -1e30]]
    output = jax.jit(jax.vmap(act))(A, b, a)
    anchor = jax.jit(jax.vmap(lambda A, b: SafeActionSet.from_rows(A, b).anchor))(A, b)
    assert violations(A, b, output.action).max() <= 0
    safe = np.isfinite(a).all(axis=1) & (
        violations(A, b, np.nan_to_num(a)) < -20 * np.finfo(np.float32).eps
    )
    unsafe = ~np.isfinite(a).all(axis=1) | (violations(A, b, np.nan_to_num(a)) > 0)
    assert 0.1 < safe.mean() < 0.9
    np.testing.assert_array_equal(output.action[safe], a[safe])
    np.testing.assert_array_equal(output.action[unsafe], anchor[unsafe])
    np.testing.assert_array_equal(output.intervened[safe], False)
    np.testing.assert_array_equal(output.intervened[unsafe], True)
    # The anchor is the regular answer, no fallback, except to a request that is not finite.
    np.testing.assert_array_equal(output.fallback, ~np.isfinite(a).all(axis=1))


def test_where_no_action_is_safe_the_anchor_is_a_fallback():
    output = act(jnp.array([[1.0], [-1.0]]), jnp.array([-0.5, -0.5]), jnp.array([0.3]))
    np.testing.assert_array_equal(output.action, [0.0])
    assert output.fallback
    assert not output.feasible


def test_the_derivative_is_the_identity_on_safe_requests_and_zero_elsewhere():
    A, b = jnp.array([[1.0, 0.5], [-1.0, 0.2]]), jnp.array([0.5, 0.25])
    requests = jnp.array([[0.1, 0.2], [0.9, 0.9], [0.1, -3.0]])
    # the clip into the box keeps the other component
    expected = [np.eye(2), np.zeros((2, 2)), np.diag([1, 0])]
    for mode in (jax.jacfwd, jax.jacrev):
        jacobians = jax.jit(
            jax.vmap(mode(lambda A, b, a: act(A, b, a).action, (0, 1, 2)), (None, None, 0))
        )
        dA, db, da = jacobians(A, b, requests)
        np.testing.assert_array_equal(da, expected)
        for rows in (dA, db):
            np.testing.assert_array_equal(rows, 0)
