import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import safe_wrappers as sw
from safe_wrappers import SafeActionSet

ROWS = 4
FLOATS = st.floats(-8, 8, width=32, allow_subnormal=False)
ANCHOR = jax.jit(lambda A, b: SafeActionSet.from_rows(A, b).anchor)
UNIT_ROWS = jax.jit(lambda A, b: SafeActionSet(A, b, jnp.zeros(A.shape[1])).unit_rows())


def violation(A, b, action):
    """The largest violation over the rows of length 1, in float64; at most 0 inside."""
    A, b = np.asarray(A, np.float64), np.asarray(b, np.float64)
    length = np.linalg.norm(A, axis=1)
    used = length > 0
    return np.max((A[used] @ action - b[used]) / length[used], initial=-1e6)


@pytest.mark.parametrize(
    ("A", "b", "anchor"),
    [
        ([[1.0], [-1.0]], [0.5, 0.25], 0.125),  # an interval: its midpoint
        ([[2.0], [-4.0]], [1.0, 1.0], 0.125),  # the same, by other rows
        ([[1.0], [-1.0]], [0.5, 3.5], -1.0),  # its midpoint lies outside the box
        ([[1.0], [0.0]], [0.5, 1.0], -1.0),  # no lower bound
        ([[-1.0], [0.0]], [0.5, 1.0], 1.0),  # no upper bound
        ([[0.0], [0.0]], [1.0, 1.0], 0.0),  # no bound at all
        ([[1.0], [-1.0]], [-0.5, 0.25], -0.375),  # empty: equally far from both ends
        ([[1.0], [-1.0]], [-3.0, 2.0], -1.0),
        ([[1.0], [1.0]], [-2.0, 5.0], -1.0),  # beyond the box: its nearest end
    ],
)
def test_the_anchor_has_the_largest_margin(A, b, anchor):
    np.testing.assert_array_equal(
        SafeActionSet.from_rows(jnp.array(A), jnp.array(b)).anchor, [anchor]
    )


@given(
    A=hnp.arrays(np.float32, (ROWS, 1), elements=FLOATS),
    b=hnp.arrays(np.float32, ROWS, elements=FLOATS),
)
@settings(deadline=None, max_examples=200)
def test_no_action_of_the_box_violates_less_than_the_anchor(A, b):
    anchor = np.asarray(ANCHOR(A, b), np.float64)
    assert abs(anchor[0]) <= 1
    best = min(violation(A, b, np.array([a])) for a in np.linspace(-1, 1, 101))
    assert violation(A, b, anchor) <= best + 1e-6 * max(1, abs(best))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_a_number_admits_nothing(bad):
    for A, b in [([[bad], [1.0]], [0.5, 0.5]), ([[1.0], [1.0]], [np.nan, 0.5])]:
        rows, offsets = UNIT_ROWS(np.array(A, np.float32), np.array(b, np.float32))
        assert np.isfinite(rows).all()
        assert np.asarray(offsets)[-1] < 0  # 0 a <= -1
        assert np.isfinite(ANCHOR(np.array(A, np.float32), np.array(b, np.float32))).all()


@pytest.mark.parametrize(
    ("b", "possible"),
    [
        (0.0, True),
        (-0.0, True),
        (1.0, True),
        (np.inf, True),
        (-1e-30, False),
        (-np.inf, False),
        (np.nan, False),
    ],
)
@pytest.mark.parametrize("d", [1, 2])
def test_zero_rows(b, possible, d):
    A = np.zeros((2, d), np.float32)
    A[1] = 1
    rows, offsets = UNIT_ROWS(A, np.array([b, 0.5], np.float32))
    zero = ~np.any(np.asarray(rows), axis=1)
    assert zero.sum() == 1
    assert (np.asarray(offsets)[zero] >= 0).all() == possible


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_rows_of_any_scale_get_length_1(scale):
    A, b = (
        scale * np.array([[3.0, 4.0], [0.0, -2.0]], np.float32),
        scale * np.array([5.0, 1.0], np.float32),
    )
    rows, offsets = UNIT_ROWS(A.astype(np.float32), b.astype(np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(offsets, [1.0, 0.5], rtol=1e-6)


def test_unit_rows_are_differentiable_next_to_a_zero_row():
    A = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    jacobians = jax.jacrev(lambda A, b: SafeActionSet(A, b, jnp.zeros(2)).unit_rows(), (0, 1))(
        A, jnp.array([5.0, 1.0])
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jacobians))
    np.testing.assert_allclose(jacobians[1][1][0, 0], 1 / 5)  # d (b / |A|) / d b
    # -b A / |A|^3
    np.testing.assert_allclose(jacobians[1][0][0, 0], -5 / 5**3 * np.array([3.0, 4.0]), rtol=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_derivatives_are_finite_next_to_a_tiny_slope_and_the_row_keeps_its_meaning(d):
    """Rows that bind far from the box, in it, and nowhere: the square of such a slope is 0 in
    float32, and 100 / slope may be infinite.
    """
    slope, b = (
        grid.ravel().astype(np.float32)
        for grid in np.meshgrid(10.0 ** -np.arange(15, 38), [1, 100, -100, np.inf, 0])
    )
    b = np.concatenate([b, slope / 4, -slope / 4])
    slope = np.resize(slope, b.shape)
    A = np.zeros((len(b), 2, d), np.float32)
    A[:, 0, 0], A[:, 1, 0] = 1, slope
    offsets = np.stack([np.full_like(b, 0.5), b], axis=1)

    def value(A, b):
        return (SafeActionSet(A, b, jnp.zeros(d)).unit_rows(),) * 2

    for mode in (jax.jacfwd, jax.jacrev):
        jacobians, (rows, ends) = jax.device_get(
            jax.jit(jax.vmap(mode(value, (0, 1), has_aux=True)))(A, offsets)
        )
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jacobians))
    # Of the actions 0 and 0.4 along the first axis, which satisfy all rows.
    for action in (0.0, 0.4):
        expected = slope.astype(np.float64) * action <= b
        np.testing.assert_array_equal(
            np.all(rows[:, :, 0].astype(np.float64) * action <= ends, axis=1), expected
        )


@pytest.mark.parametrize("d", [1, 2, 4])
def test_without_rows_the_whole_box_is_safe(d):
    action_set = SafeActionSet.from_rows(np.zeros((0, d), np.float32), np.zeros(0, np.float32))
    np.testing.assert_array_equal(action_set.anchor, np.zeros(d))
    A, b = action_set.unit_rows()
    assert (np.asarray(A) @ np.array([[1.0] * d, [-1.0] * d]).T <= np.asarray(b)[:, None]).all()


def test_the_anchor_is_a_constant_of_the_derivative():
    jacobian = jax.jacfwd(lambda b: SafeActionSet.from_rows(jnp.array([[1.0], [-1.0]]), b).anchor)(
        jnp.array([0.5, 0.25])
    )
    np.testing.assert_array_equal(jacobian, [[0.0, 0.0]])


@pytest.mark.parametrize(
    ("A", "b"),
    [(np.ones(2), np.ones(2)), (np.ones((2, 1)), np.ones(3)), (np.ones((2, 1)), np.ones((2, 1)))],
)
def test_shapes_that_do_not_fit_are_refused(A, b):
    with pytest.raises(
        sw.SetDimensionError, match=r"`A` must have shape \(m, d\) and `b` shape \(m,\)"
    ):
        SafeActionSet.from_rows(A, b)


@pytest.mark.smoke
def test_the_anchor_of_two_actions_is_the_deepest_point():
    """A triangle inside the box: the centre of its inscribed circle."""
    A, b = (
        np.array([[-1, 0], [0, -1], [0.6, 0.8]], np.float32),
        np.array([0.5, 0.5, 0.0], np.float32),
    )
    anchor = np.asarray(SafeActionSet.from_rows(A, b).anchor, np.float64)
    slack = b - A.astype(float) @ anchor
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 201)] * 2), axis=-1).reshape(-1, 2)
    assert slack.min() > (b - grid @ A.T).min(axis=1).max() - 1e-5
