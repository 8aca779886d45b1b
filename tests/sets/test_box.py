import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from safe_wrappers._errors import SetDimensionError
from safe_wrappers.sets import Box, Polytope

FLOAT32 = st.floats(-8, 8, width=32, allow_subnormal=False)
VECTORS = hnp.arrays(np.float32, 3, elements=FLOAT32)


@st.composite
def boxes(draw):
    one, other = draw(VECTORS), draw(VECTORS)
    return Box(np.minimum(one, other), np.maximum(one, other))


@given(box=boxes(), direction=VECTORS)
@settings(deadline=None, max_examples=50)
def test_support_is_the_maximum_over_the_vertices(box, direction):
    values = box.vertices() @ direction.astype(float)
    assert float(box.support(direction)) == pytest.approx(values.max(), rel=1e-6, abs=1e-5)


@given(box=boxes(), x=VECTORS)
@settings(deadline=None, max_examples=100)
def test_contains_margin_and_halfspaces_agree_exactly(box, x):
    inside = bool(np.all(box.lower <= x) and np.all(x <= box.upper))
    assert bool(box.contains(x)) == inside
    assert bool(box.margin(x) >= 0) == inside
    H, h = box.halfspaces()
    assert bool(np.all(H.astype(float) @ x <= h)) == inside
    assert float(box.margin(x)) == pytest.approx(float(Polytope(H, h).margin(x)), abs=1e-6)


def test_float32_boundary_points_are_inside_and_their_neighbours_are_not():
    bound = np.float32(np.pi)
    box = Box([-np.pi], [np.pi])
    assert box.upper.dtype == np.float32
    assert bool(box.contains(np.array([bound])))
    assert float(box.margin(np.array([bound]))) == 0
    above = np.nextafter(bound, np.float32(4), dtype=np.float32)
    assert not bool(box.contains(np.array([above])))
    assert float(box.margin(np.array([above]))) < 0


def test_float64_bounds_are_rounded_to_the_dtype_of_the_point():
    box = Box(np.array([-np.pi]), np.array([np.pi]))
    x = np.array([np.float32(np.pi)])  # 8.7e-8 above pi
    assert box.upper.dtype == np.float64
    assert bool(box.contains(x))
    with jax.enable_x64():
        assert bool(box.contains(x))
        assert not bool(box.contains(x.astype(float)))


def test_the_dtype_of_the_point_is_computed_in():
    box = Box(np.array([-1.0]), np.array([1.0]))
    with jax.enable_x64():
        for dtype in (jnp.float32, jnp.float64):
            x = jnp.ones(1, dtype)
            assert box.margin(x).dtype == dtype
            assert box.support(x).dtype == dtype
        assert jax.eval_shape(box.sample, jax.random.PRNGKey(0)).dtype == jnp.float64
        assert jax.eval_shape(Box([-1.0], [1.0]).sample, jax.random.PRNGKey(0)).dtype == jnp.float32
    assert box.margin([2]).dtype == jnp.float32


def test_infinite_bounds():
    box = Box([-1.0, -np.inf], [1.0, np.inf])
    assert bool(box.contains([0.5, 1e30]))
    assert float(box.margin([0.5, 1e30])) == 0.5
    assert float(box.support([2.0, 0.0])) == 2.0
    assert float(box.support([0.0, -1.0])) == np.inf
    H, h = box.halfspaces()
    np.testing.assert_array_equal(H, [[1, 0], [-1, 0]])
    np.testing.assert_array_equal(h, [1, 1])
    for call in (
        lambda: box.center,
        lambda: box.radius,
        box.vertices,
        box.volume,
        lambda: box.sample(jax.random.PRNGKey(0)),
    ):
        with pytest.raises(SetDimensionError, match="must be bounded"):
            call()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_points_that_are_not_finite_are_outside(value):
    assert not bool(Box([-1.0, -np.inf], [1.0, np.inf]).contains([0.0, value]))


@pytest.mark.smoke
def test_center_radius_volume_and_vertices():
    box = Box([-1.0, 0.0, 2.0], [1.0, 3.0, 2.0])
    np.testing.assert_array_equal(box.center, [0.0, 1.5, 2.0])
    np.testing.assert_array_equal(box.radius, [1.0, 1.5, 0.0])
    assert box.volume() == 0
    assert Box.symmetric([1.0, 2.0]).volume() == 8
    assert {tuple(v) for v in box.vertices()} == {(-1, 0, 2), (-1, 3, 2), (1, 0, 2), (1, 3, 2)}
    assert box.vertices().shape == (4, 3)


def test_samples_are_uniform_and_never_outside():
    box = Box([-0.1, 1000.0], [0.3, 1000.25])
    points = np.asarray(jax.jit(lambda key: box.sample(key, (4096, 4)))(jax.random.PRNGKey(0)))
    assert points.shape == (4096, 4, 2)
    assert np.all((points >= box.lower) & (points <= box.upper))
    unit = (points.reshape(-1, 2).astype(float) - box.lower) / (2 * box.radius)
    np.testing.assert_allclose(unit.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.cov(unit.T), np.eye(2) / 12, atol=0.004)


def test_batches_of_boxes_are_mapped():
    batch = jax.vmap(Box.symmetric)(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    assert isinstance(batch, Box)
    assert jax.vmap(Box.margin)(batch, jnp.zeros((2, 2))).tolist() == [1.0, 3.0]
    assert jax.vmap(Box.contains, in_axes=(0, None))(batch, jnp.array([2.0, 0.0])).tolist() == [
        False,
        True,
    ]
    doubled = jax.tree.map(lambda bound: 2 * bound, batch)
    assert jax.jit(jax.vmap(Box.support))(doubled, jnp.ones((2, 2))).tolist() == [6.0, 14.0]


def test_gradient_of_the_margin_points_away_from_the_nearest_face():
    box = Box([-1.0, -1.0], [1.0, 2.0])
    assert jax.grad(box.margin)(jnp.array([0.9, 0.0])).tolist() == [-1.0, 0.0]
    assert jax.grad(box.margin)(jnp.array([0.0, -0.9])).tolist() == [0.0, 1.0]
    gradient = jax.grad(lambda b: b.margin(jnp.array([0.9, 0.0])))(box)
    assert gradient.upper.tolist() == [1.0, 0.0]
    assert gradient.lower.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        ([0.0], [1.0, 2.0], r"`upper` must have shape \(1,\), but its shape is \(2,\)"),
        (0.0, [1.0], r"`lower` must have 1 dimension\(s\), but its shape is \(\)"),
        ([np.nan], [1.0], "`lower` must not contain NaN"),
        (
            [0.0, 2.0],
            [1.0, 1.0],
            r"`lower` must not exceed `upper`.* lower = array\(\[0., 2.\]",
        ),
        ([np.inf], [np.inf], "`lower` must not exceed `upper`"),
        ([-np.inf], [-np.inf], "`lower` must not exceed `upper`"),
        ([-1e300], [1.0], r"`lower` is \[-1e\+300\], but float32 holds numbers up to 3.403e\+38"),
        (["0"], ["1"], r"`lower` is \['0'\], but it must be made of real numbers"),
        ([0j], [1j], r"`lower` is \[0j\], but it must be made of real numbers"),
        (None, [1.0], "`lower` is None, but it must be made of real numbers"),
    ],
)
def test_impossible_bounds_are_refused(lower, upper, message):
    with pytest.raises(SetDimensionError, match=message):
        Box(lower, upper)


@pytest.mark.parametrize("method", ["margin", "contains", "support"])
def test_batches_of_points_are_refused(method):
    with pytest.raises(
        SetDimensionError,
        match=r"must have shape \(2,\), but its shape is \(5, 2\); map over a batch",
    ):
        getattr(Box.symmetric([1.0, 1.0]), method)(np.zeros((5, 2)))


def test_a_box_never_changes():
    bounds = np.ones(2, np.float32)
    box = Box(-bounds, bounds)
    bounds[0] = 9
    assert box.upper[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        box.upper[0] = 9


def test_the_corners_of_a_box_with_too_many_sides_are_refused_with_the_limit():
    box = Box(-np.ones(32), np.ones(32))
    with pytest.raises(SetDimensionError, match=r"32 sides .* 2\^32 corners, .* up to 16 sides"):
        box.vertices()
    flat = Box(np.r_[-np.ones(2), np.zeros(30)], np.r_[np.ones(2), np.zeros(30)])
    assert flat.vertices().shape == (4, 32)


def test_a_box_of_no_dimensions_is_one_point():
    nowhere = Box([], [])
    assert float(nowhere.margin(np.zeros(0))) == np.inf
    assert bool(nowhere.contains(np.zeros(0)))
    assert nowhere.vertices().shape == (1, 0)


@pytest.mark.parametrize("radius", [[-1.0], [np.nan]])
def test_a_negative_radius_is_refused_by_name(radius):
    with pytest.raises(SetDimensionError, match="`radius`"):
        Box.symmetric(radius)


@pytest.mark.parametrize("dtype", ["float16", jnp.bfloat16])
def test_short_floats_are_compared_as_float32(dtype):
    """1 + 2^-10 rounds to 1 in bfloat16 when computed in it, and 1.003 - 1 to 0.003 in neither."""
    x = jnp.asarray([1.0078125], dtype)
    assert not bool(Box([-1.0], [1.0]).contains(x))
    assert Box([-1.0], [1.0]).margin(x).dtype == jnp.float32
