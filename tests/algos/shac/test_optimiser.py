import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from safe_wrappers.algos.shac.optimiser import make_optimiser


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, 3e38], ids=["nan", "inf", "norm overflows"])
def test_a_non_finite_gradient_changes_nothing_but_the_count(bad):
    optimiser = make_optimiser(0.1, (0.7, 0.95), 1.0)
    params = {"a": jnp.ones(3), "b": jnp.ones((2, 2))}
    good = jax.tree.map(lambda p: 0.1 * p, params)
    _, state = optimiser.update(good, optimiser.init(params), params)
    updates, skipped = optimiser.update({**good, "a": jnp.full(3, bad)}, state, params)
    assert all((u == 0).all() for u in jax.tree.leaves(updates))
    for before, after in zip(
        jax.tree.leaves(state.inner), jax.tree.leaves(skipped.inner), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert (int(state.skipped), int(skipped.skipped)) == (0, 1)
    assert not np.isfinite(skipped.gradient_norm)
    # And it goes on as if the bad gradient had not been there.
    expected, _ = optimiser.update(good, state, params)
    found, _ = optimiser.update(good, skipped, params)
    np.testing.assert_array_equal(expected["a"], found["a"])


def test_finite_gradients_are_clipped_adam_steps():
    params = {"a": jnp.ones(3), "b": jnp.ones((2, 2))}
    reference = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1, 0.7, 0.95))
    optimiser = make_optimiser(0.1, (0.7, 0.95), 0.5)
    ours, theirs = optimiser.init(params), reference.init(params)
    for scale in (1.0, -3.0, 0.01):
        gradient = jax.tree.map(lambda p, s=scale: s * p, params)
        found, ours = optimiser.update(gradient, ours, params)
        expected, theirs = reference.update(gradient, theirs, params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)
