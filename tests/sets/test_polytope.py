import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial import ConvexHull

from safe_wrappers._errors import SetDimensionError
from safe_wrappers.sets import Box, Polytope

SEEDS = st.integers(0, 2**32 - 1)
UNIT_ROUNDOFF = 2.0**-24
TRIANGLE = Polytope([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]], [0.0, 0.0, 1.0])
CUBE = Polytope(*Box.symmetric(np.ones(4)).halfspaces())
MARGINS = jax.jit(jax.vmap(Polytope.margin, in_axes=(None, 0)))
CONTAINS = jax.jit(jax.vmap(Polytope.contains, in_axes=(None, 0)))


def random_polytope(rng, dim, rows, dtype=np.float64):
    """A bounded polytope around the origin with h = 1: a skewed box cut by more rows, of unlike
    scales per coordinate.
    """
    normals = np.concatenate([np.eye(dim), -np.eye(dim), rng.normal(size=(rows, dim))])
    skew = rng.normal(size=(dim, dim)) + 3 * np.eye(dim)
    return Polytope(
        (normals @ skew / 10.0 ** rng.uniform(-1, 1, dim)).astype(dtype),
        np.ones(len(normals), dtype),
    )


@given(
    H=hnp.arrays(np.float32, (1, 4), elements=st.floats(-16, 16, width=32, allow_subnormal=False)),
    x=hnp.arrays(np.float32, 4, elements=st.floats(-16, 16, width=32)),
    h=st.floats(-16, 16, width=32),
)
@settings(deadline=None, max_examples=200)
def test_float32_error_of_the_margin(H, x, h):
    products = H[0].astype(float) * x  # exact: 24 + 24 bits
    # subnormal products may be flushed
    bound = UNIT_ROUNDOFF * (6 * np.abs(products).sum() + abs(h)) + 1e-37
    assert abs(float(Polytope(H, [h]).margin(x)) - (h - products.sum())) <= bound


def test_the_bound_needs_the_offset():
    error = abs(float(Polytope([[1.0]], [1.0]).margin([1e-9])) - (1 - 1e-9))
    assert 3 * UNIT_ROUNDOFF * 1e-9 < error <= UNIT_ROUNDOFF


@given(seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_float32_boundary_points(seed):
    polytope = random_polytope(np.random.default_rng(seed), 3, 6, np.float32)
    vertices = np.resize(polytope.vertices().astype(np.float32), (40, 3))  # repeated, for one shape
    sums = np.abs(vertices[:, None] * polytope.H).sum(axis=-1).max()
    # n + 3 roundings of the products, one of the offset, and one of the vertex itself.
    bound = UNIT_ROUNDOFF * (7 * sums + 1)
    margins = np.asarray(MARGINS(polytope, vertices))
    assert np.abs(margins).max() <= bound
    assert np.all(CONTAINS(polytope.scaled(1 + 2 * bound), vertices))
    assert not np.any(CONTAINS(polytope.scaled(1 - 2 * bound), vertices))


@given(seed=SEEDS, dim=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_vertices_span_the_set(seed, dim):
    rng = np.random.default_rng(seed)
    polytope = random_polytope(rng, dim, 2 * dim)
    vertices = polytope.vertices()
    slack = polytope.h - vertices @ np.asarray(polytope.H).T
    assert slack.min() > -1e-12
    assert np.all(np.sort(slack, axis=1)[:, :dim] < 1e-12)  # n facets meet in every vertex
    for direction in rng.normal(size=(5, dim)):
        assert polytope.support(direction) == pytest.approx((vertices @ direction).max(), rel=1e-9)
    if dim > 1:
        assert polytope.volume() == pytest.approx(ConvexHull(vertices).volume, rel=1e-9)
        assert len(vertices) == len(ConvexHull(vertices).vertices)


def test_vertices_where_many_facets_meet_are_not_repeated():
    octahedron = Polytope(
        [[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], np.ones(8)
    )
    assert sorted(map(tuple, np.round(octahedron.vertices(), 12) + 0.0)) == sorted(
        map(tuple, np.concatenate([np.eye(3), -np.eye(3)]))
    )
    assert octahedron.volume() == pytest.approx(4 / 3)


def test_redundant_zero_and_repeated_rows_change_nothing():
    polytope = Polytope(
        np.concatenate([TRIANGLE.H, TRIANGLE.H, [[0, 0], [1, 0]]]), [0, 0, 1, 0, 0, 1, 1, 5]
    )
    assert sorted(map(tuple, np.round(polytope.vertices(), 12) + 0.0)) == [(0, 0), (0, 1), (1, 0)]
    assert polytope.support([1.0, 2.0]) == pytest.approx(2)


@pytest.mark.smoke
def test_known_centre_and_volumes():
    center, radius = TRIANGLE.chebyshev_center()
    assert radius == pytest.approx(1 - np.sqrt(0.5))
    np.testing.assert_allclose(center, [radius, radius])
    assert TRIANGLE.volume() == pytest.approx(0.5)
    assert CUBE.volume() == pytest.approx(16)
    assert Polytope([[2.0], [-1.0]], [1.0, 1.0]).volume() == pytest.approx(1.5)


@given(seed=SEEDS)
@settings(deadline=None, max_examples=30)
def test_a_box_and_its_polytope_agree(seed):
    rng = np.random.default_rng(seed)
    lower, width = rng.uniform(-2, 2, 3), rng.uniform(0.1, 2, 3)
    box = Box(lower, lower + width)
    polytope = Polytope(*box.halfspaces())
    assert polytope.volume() == pytest.approx(box.volume())
    assert {tuple(v) for v in np.round(polytope.vertices(), 9)} == {
        tuple(v) for v in np.round(box.vertices(), 9)
    }
    x, direction = rng.uniform(-3, 3, 3), rng.normal(size=3)
    assert float(polytope.margin(x)) == pytest.approx(float(box.margin(x)), abs=1e-6)
    assert polytope.support(direction) == pytest.approx(float(box.support(direction)), abs=1e-5)
    np.testing.assert_allclose(polytope.chebyshev_center()[1], np.min(width) / 2)


@given(seed=SEEDS, factor=st.floats(0.1, 10))
@settings(deadline=None, max_examples=20)
def test_scaled_scales_about_the_origin(seed, factor):
    rng = np.random.default_rng(seed)
    polytope = Polytope(TRIANGLE.H, TRIANGLE.h + rng.uniform(-0.2, 0.2, 3))
    scaled = polytope.scaled(factor)
    direction = rng.normal(size=2)
    assert scaled.support(direction) == pytest.approx(
        factor * polytope.support(direction), abs=1e-6
    )
    assert scaled.volume() == pytest.approx(factor**2 * polytope.volume(), rel=1e-5)
    assert scaled.h.dtype == polytope.h.dtype


@given(seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_normalised_is_the_same_set_with_unit_offsets(seed):
    rng = np.random.default_rng(seed)
    polytope = random_polytope(rng, 3, 4)
    scales = rng.uniform(0.1, 10, len(polytope.h))
    normalised = Polytope(polytope.H * scales[:, None], polytope.h * scales).normalised()
    assert np.all(normalised.h == 1)
    np.testing.assert_allclose(normalised.H, polytope.H, rtol=1e-12)


def test_the_dtype_of_the_point_is_computed_in():
    with jax.enable_x64():
        for polytope in (
            TRIANGLE,
            Polytope(TRIANGLE.H.astype(np.float64), TRIANGLE.h.astype(np.float64)),
        ):
            for dtype in (jnp.float32, jnp.float64):
                assert polytope.margin(jnp.zeros(2, dtype)).dtype == dtype
            assert jax.eval_shape(polytope.sample, jax.random.PRNGKey(0)).dtype == polytope.H.dtype
            assert polytope.triangulate().simplices.dtype == polytope.H.dtype
        tenth = Polytope([[1.0]], [0.1])  # the stored float32, 1.5e-9 above 0.1
        assert float(tenth.margin(np.array([0.1]))) == pytest.approx(
            float(np.float32(0.1)) - 0.1, rel=1e-6
        )


def test_nan_is_outside():
    assert not bool(TRIANGLE.contains([np.nan, 0.1]))
    assert np.isnan(TRIANGLE.margin([np.nan, 0.1]))


def test_gradient_of_the_margin():
    assert jax.grad(TRIANGLE.margin)(jnp.array([0.1, 0.4])).tolist() == [1.0, 0.0]
    assert jax.grad(TRIANGLE.margin)(jnp.array([0.5, 0.4])).tolist() == [-1.0, -1.0]
    # the mean of two tied rows
    assert jax.grad(TRIANGLE.margin)(jnp.array([0.2, 0.2])).tolist() == [0.5, 0.5]
    assert jax.jacfwd(TRIANGLE.margin)(jnp.array([0.5, 0.4])).tolist() == [-1.0, -1.0]
    gradient = jax.grad(lambda p: p.margin(jnp.array([0.5, 0.4])))(TRIANGLE)
    np.testing.assert_allclose(gradient.H, [[0, 0], [0, 0], [-0.5, -0.4]])
    assert gradient.h.tolist() == [0.0, 0.0, 1.0]


def test_batches_of_polytopes_are_mapped():
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), TRIANGLE, TRIANGLE.scaled(2.0))
    assert batch.H.shape == (2, 3, 2)
    x = jnp.array([0.75, 0.75])
    assert jax.jit(jax.vmap(Polytope.contains, in_axes=(0, None)))(batch, x).tolist() == [
        False,
        True,
    ]
    assert jax.vmap(lambda p, y: p.scaled(0.5).margin(y))(batch, jnp.stack([x, x])).tolist() == [
        -1.0,
        -0.5,
    ]
    assert jax.vmap(lambda H: Polytope(H, jnp.ones(3)).margin(x))(batch.H).tolist() == [-0.5, -0.5]


@pytest.mark.parametrize(
    ("H", "h", "message"),
    [
        ([1.0, 2.0], [1.0], r"`H` must have 2 dimension\(s\), but its shape is \(2,\)"),
        ([[1.0], [2.0]], [1.0], r"`h` must have shape \(2,\), but its shape is \(1,\)"),
        ([[np.nan]], [1.0], "`H` must not contain NaN"),
        ([[1.0]], [np.inf], "`h` must be finite, but it is .*leave out what is not bounded"),
    ],
)
def test_impossible_rows_are_refused(H, h, message):
    with pytest.raises(SetDimensionError, match=message):
        Polytope(H, h)


@pytest.mark.parametrize(
    ("H", "h", "message"),
    [
        ([[1.0, 0.0], [-1.0, 0.0]], [1.0, 1.0], "must be bounded"),  # a strip
        # a triangle, for comparison
        ([[1.0, 0.3], [-1.0, 0.3], [0.0, -1.0]], [1.0, 1.0, 0.0], None),
        # a half strip
        ([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]], [1.0, 1.0, 0.0], "must be bounded"),
        ([[1.0, 1.0]], [1.0], "must be bounded"),
        (
            [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]],
            [-1.0, -1.0, 1.0, 1.0],
            "must be bounded and non-empty",
        ),
        (
            [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]],
            [0.0, 0.0, 1.0, 1.0],
            "must have an interior",
        ),
        ([[1.0]], [1.0], "must be bounded"),
        ([[1.0], [-1.0]], [0.0, 0.0], "must have an interior"),
    ],
)
def test_sets_without_a_volume_are_refused(H, h, message):
    polytope = Polytope(H, h)
    if message is None:
        assert len(polytope.vertices()) == 3
    else:
        with pytest.raises(SetDimensionError, match=message):
            polytope.vertices()


def test_support_of_unbounded_and_empty_sets():
    assert Polytope([[-1.0, 0.0], [0.0, 1.0]], [0.0, 1.0]).support([1.0, 0.0]) == np.inf
    slab = Polytope([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]], [1.0, 1.0])
    assert slab.support([-1.0, -1.0, 1.0]) == np.inf
    assert slab.support([2.0, 2.0, 2.0]) == pytest.approx(2)
    with pytest.raises(SetDimensionError, match="must be non-empty"):
        Polytope([[1.0], [-1.0]], [-1.0, -1.0]).support([1.0])


def test_wrong_arguments_are_refused():
    with pytest.raises(
        SetDimensionError,
        match=r"must have shape \(2,\), but its shape is \(3, 2\); map over a batch",
    ):
        TRIANGLE.margin(np.zeros((3, 2)))
    with pytest.raises(
        SetDimensionError, match=r"`direction` must have shape \(2,\), but its shape is \(3,\)"
    ):
        TRIANGLE.support([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"`factor` is -1\.0, but it must be a finite number, gr"):
        TRIANGLE.scaled(-1.0)
    with pytest.raises(TypeError, match="`factor` is '2', but it must be a finite number"):
        TRIANGLE.scaled("2")
    with pytest.raises(
        SetDimensionError, match=r"The centre \[0.0, 0.0\] must lie strictly inside"
    ):
        TRIANGLE.normalised()
    with pytest.raises(
        SetDimensionError, match=r"The centre \[1.0, 1.0\] must lie strictly inside"
    ):
        TRIANGLE.normalised([1.0, 1.0])
    with pytest.raises(SetDimensionError, match=r"`center` must have shape \(2,\)"):
        TRIANGLE.scaled(0.5, [1.0])


def test_cached_vertices_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        TRIANGLE.vertices()[0] = 0


@pytest.mark.parametrize(
    ("H", "h", "message"),
    [
        ([[1e300, 0.0]], [1.0], "`H` is .* float32 holds numbers up to"),
        (np.array([[1.0]]) * 1j, [1.0], "`H` is .* must be made of real numbers"),
        ([["1"]], [1.0], "`H` is .* must be made of real numbers"),
        ([[1.0], [1.0, 2.0]], [1.0], "`H` is .* as many in every row"),
        (np.ma.masked_array([[1.0]], [[True]]), [1.0], "`H` is a masked array"),
        ([[1.0]], np.zeros(1, "datetime64[s]"), "`h` is .* must be made of real numbers"),
        ([[1e-40, 0.0]], [1e-40], "Row 0 of `H` .* take it for 0"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused_by_name(H, h, message):
    with pytest.raises(SetDimensionError, match=message):
        Polytope(H, h)


def test_a_polytope_without_rows_is_the_whole_space():
    space = Polytope(np.zeros((0, 2)), np.zeros(0))
    assert float(space.margin(np.ones(2))) == np.inf
    assert bool(space.contains(np.ones(2)))


def test_scaled_scales_about_a_centre():
    box = Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.array([3.0, 5.0, -1.0, -1.0]))
    half = box.scaled(0.5, center=[1.0, 3.0])
    np.testing.assert_allclose(half.h, [2.0, 4.0, -1.0, -2.0])
    np.testing.assert_array_equal(half.H, box.H)
