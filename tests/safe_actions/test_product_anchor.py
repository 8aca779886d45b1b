import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.certificates import Block
from safe_wrappers.safe_actions._product_anchor import ProductAnchor, ProductSampler

# Facets 0, 1 and 4 belong to state 1 and action 1, facets 2 and 3 to state 0 and action 0.
H = np.array([[0.0, 1.0], [0.0, -1.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 0.5]])
BLOCKS = (Block((1,), (1,)), Block((0,), (0,)))


def test_each_action_is_the_midpoint_that_is_safe_whatever_the_others_are():
    A = jnp.array([[0.1, 1.0], [-0.2, -1.0], [2.0, 0.0], [-1.0, 0.5], [0.0, 0.0]])
    b = jnp.array([0.5, 0.4, 1.0, 0.7, 1.0])
    # a1 in [-(0.4 - 0.2), 0.5 - 0.1]; a0 in [-(0.7 - 0.5), 0.5].
    np.testing.assert_allclose(ProductAnchor(BLOCKS, H)(A, b), [0.15, 0.1], rtol=1e-6)


def test_the_anchor_lies_in_the_box_and_is_a_constant():
    A = jnp.array([[0.0, 1.0], [0.0, -1.0], [2.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    b = jnp.array([9.0, -5.0, 1.0, 0.7, 9.0])
    anchor = ProductAnchor(BLOCKS, H)
    np.testing.assert_allclose(anchor(A, b), [-0.1, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(jax.jacobian(anchor, argnums=1)(A, b), 0)


def test_rows_that_are_not_numbers_give_an_action_in_the_box():
    anchor = ProductAnchor(BLOCKS, H)(jnp.full((5, 2), jnp.nan), jnp.full(5, jnp.nan))
    assert np.all(np.abs(anchor) <= 1)


def test_a_block_with_several_actions_has_no_closed_form():
    with pytest.raises(sw.SetDimensionError, match="at most one action"):
        ProductAnchor((Block((0, 1), (0, 1)),), H)
    with pytest.raises(sw.SetDimensionError, match="at most one action"):
        ProductAnchor((Block((0,), (0, 1)), Block((1,), (2,))), H)


def test_samples_have_their_coordinates_in_order_and_independent():
    x = np.asarray(
        jax.vmap(ProductSampler(BLOCKS, sw.Polytope(H, np.ones(5))).sample)(
            jax.random.split(jax.random.PRNGKey(0), 4000)
        )
    )
    for column, lower, upper in ((0, -1.0, 0.5), (1, -1.0, 1.0)):
        assert x[:, column].min() >= lower - 1e-6
        assert x[:, column].max() <= upper + 1e-6
        assert np.abs(np.sort(x[:, column]) - np.linspace(lower, upper, 4000)).max() < 0.05 * (
            upper - lower
        )
    assert abs(np.corrcoef(x.T)[0, 1]) < 0.06
