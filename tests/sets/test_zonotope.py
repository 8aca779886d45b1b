import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from safe_wrappers._errors import SetDimensionError
from safe_wrappers.sets import Polytope, Zonotope

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.sampled_from([(1, 2), (2, 2), (2, 5), (3, 6), (4, 6)])  # n, k


def random_zonotope(rng, size):
    n, k = size
    generators = rng.normal(size=(n, k)) * 10.0 ** rng.uniform(-1.5, 0.5, k)
    return Zonotope(rng.normal(size=n), generators)


def cube(k):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=k)))


@given(seed=SEEDS, size=SIZES)
@settings(deadline=None, max_examples=60)
def test_halfspaces_hold_on_the_whole_set_and_are_tight(seed, size):
    rng = np.random.default_rng(seed)
    zonotope = random_zonotope(rng, size)
    H, h = zonotope.halfspaces()
    np.testing.assert_allclose(np.linalg.norm(H, axis=1), 1)
    beta = np.concatenate([cube(size[1]), rng.uniform(-1, 1, (100, size[1]))])
    values = (zonotope.center + beta @ np.asarray(zonotope.generators).T) @ H.T
    assert np.all(values <= h + 1e-12)
    np.testing.assert_allclose(values.max(axis=0), h, atol=1e-12)


@given(seed=SEEDS, size=SIZES)
@example(seed=289375005, size=(4, 6))  # qhull lists one vertex twice
@settings(deadline=None, max_examples=40)
def test_vertices_and_volumes_are_those_of_the_convex_hull(seed, size):
    rng = np.random.default_rng(seed)
    zonotope = random_zonotope(rng, size)
    corners = zonotope.center + cube(size[1]) @ np.asarray(zonotope.generators).T
    vertices = zonotope.vertices()
    nearest = np.abs(vertices[:, None] - corners).max(axis=-1).min(axis=1)
    assert nearest.max() < 1e-9  # so each vertex is c + G beta with a beta in {-1, 1}^k
    assert zonotope.volume() == pytest.approx(zonotope.to_polytope().volume(), rel=1e-9)
    if size[0] > 1:
        hull = ConvexHull(corners)
        assert len(vertices) == len(hull.vertices)
        assert zonotope.volume() == pytest.approx(hull.volume, rel=1e-9)


@given(seed=SEEDS, size=SIZES)
@settings(deadline=None, max_examples=40)
def test_support_is_the_maximum_over_the_vertices(seed, size):
    rng = np.random.default_rng(seed)
    zonotope, direction = random_zonotope(rng, size), rng.normal(size=size[0])
    with jax.enable_x64():
        value = float(zonotope.support(direction))
    assert value == pytest.approx((zonotope.vertices() @ direction).max(), rel=1e-9, abs=1e-12)
    assert value == pytest.approx(zonotope.to_polytope().support(direction), rel=1e-8, abs=1e-9)


@given(seed=SEEDS, size=SIZES)
@settings(deadline=None, max_examples=40)
def test_membership_agrees_with_the_halfspaces(seed, size):
    rng = np.random.default_rng(seed)
    zonotope = random_zonotope(rng, size)
    extent = np.abs(np.asarray(zonotope.generators)).sum(axis=1)
    x = zonotope.center + rng.uniform(-1, 1, size[0]) * extent
    H, h = zonotope.halfspaces()
    slack = (h - H @ x).min()
    assert zonotope.contains(x) == (slack >= 0)
    with jax.enable_x64():
        assert float(zonotope.margin(x)) == pytest.approx(slack, abs=1e-12)


def test_float32_points_of_the_boundary_need_a_tolerance():
    zonotope = random_zonotope(np.random.default_rng(0), (3, 6))
    H, h = zonotope.halfspaces()
    rounded = zonotope.vertices().astype(np.float32)
    outside = (rounded.astype(float) @ H.T - h).max(axis=1)
    assert 0 < outside.max() < 1e-6
    assert not all(zonotope.contains(x) for x in rounded)
    assert all(zonotope.contains(x, tolerance=1e-6) for x in rounded)
    margins = np.asarray(jax.vmap(zonotope.margin)(rounded))
    np.testing.assert_allclose(margins, -outside, atol=3e-6)
    inner = np.float32(0.999) * (rounded - np.asarray(zonotope.center, np.float32)) + np.asarray(
        zonotope.center, np.float32
    )
    assert all(zonotope.contains(x) for x in inner)
    assert np.all(jax.vmap(zonotope.to_polytope().contains)(inner))


def test_parallel_generators_are_merged_only_if_exactly_parallel():
    g, other = np.array([0.047, 0.061]), np.array([-1.19, 2.9])
    exact = Zonotope(np.zeros(2), np.stack([g, other, -g, 3 * g, 0.1 * other, 0 * g], axis=1))
    assert exact.reduced().generators.shape == (2, 2)
    np.testing.assert_allclose(exact.reduced().generators, np.stack([5 * g, 1.1 * other], axis=1))
    assert exact.halfspaces()[0].shape == (4, 2)
    assert exact.reduced().volume() == pytest.approx(exact.volume())

    # Multiples rounded to float32 are 1e-8 apart in direction: they stay apart, and so do their
    # facets.
    rounded = Zonotope(
        np.zeros(2, np.float32), np.stack([g, other, 3 * g], axis=1).astype(np.float32)
    )
    assert rounded.reduced().generators.shape == (2, 3)
    H, h = rounded.halfspaces()
    assert H.shape == (6, 2)
    corners = cube(3) @ rounded.generators.astype(float).T
    np.testing.assert_allclose((corners @ H.T).max(axis=0), h, atol=1e-15)

    # Merging does not depend on the scale of the generators.
    tiny = Zonotope(np.zeros(2), 1e-9 * np.array([[1.0, 1.0], [0.0, 1e-6]]))
    assert tiny.reduced().generators.shape == (2, 2)
    large = Zonotope(np.zeros(2), 1e9 * np.array([[1.0, 3.0], [0.1, 0.3]]))
    assert large.reduced().generators.shape == (2, 1)


@pytest.mark.smoke
def test_coplanar_generators_share_a_facet():
    hexagonal_prism = Zonotope(
        np.zeros(3), np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    )
    assert hexagonal_prism.halfspaces()[0].shape == (8, 3)
    assert len(hexagonal_prism.vertices()) == 12
    assert hexagonal_prism.volume() == pytest.approx(24)


@pytest.mark.parametrize(
    "generators",
    [np.ones((2, 3)), np.zeros((2, 2)), np.zeros((2, 0))],
    ids=["parallel", "zero", "none"],
)
def test_flat_sets_have_no_halfspaces(generators):
    zonotope = Zonotope(np.zeros(2), generators)
    with pytest.raises(
        SetDimensionError, match="The generators must span all 2 dimensions, but their rank is"
    ):
        zonotope.halfspaces()
    assert zonotope.contains([0.0, 0.0])
    assert not zonotope.contains([0.0, 1.0])
    assert zonotope.volume() == 0


def test_samples_are_images_of_the_cube():
    zonotope = Zonotope([1.0, -1.0], [[1.0, 0.5, 0.0], [0.0, 0.5, 2.0]])
    points = jax.jit(lambda key: zonotope.sample(key, (5000, 2)))(jax.random.PRNGKey(0))
    assert points.shape == (5000, 2, 2)
    points = points.reshape(-1, 2)
    assert float(jax.vmap(zonotope.margin)(points).min()) > -1e-6
    np.testing.assert_allclose(points.mean(axis=0), zonotope.center, atol=0.05)
    np.testing.assert_allclose(
        np.cov(points.T), zonotope.generators @ zonotope.generators.T / 3, atol=0.05
    )


def test_the_dtype_of_the_argument_is_computed_in():
    with jax.enable_x64():
        for zonotope in (
            Zonotope([0.0, 0.0], np.eye(2, dtype=np.float32)),
            Zonotope(np.zeros(2), np.eye(2)),
        ):
            for dtype in (jnp.float32, jnp.float64):
                assert zonotope.support(jnp.ones(2, dtype)).dtype == dtype
                assert zonotope.margin(jnp.ones(2, dtype)).dtype == dtype
            assert (
                jax.eval_shape(zonotope.sample, jax.random.PRNGKey(0)).dtype
                == zonotope.generators.dtype
            )


def test_batches_of_zonotopes_are_mapped():
    batch = jax.tree.map(
        lambda *leaves: jnp.stack(leaves),
        Zonotope([0.0, 0.0], np.eye(2)),
        Zonotope([1.0, 0.0], 2 * np.eye(2)),
    )
    assert jax.jit(jax.vmap(Zonotope.support, in_axes=(0, None)))(
        batch, jnp.array([1.0, 1.0])
    ).tolist() == [2.0, 5.0]
    assert jax.vmap(lambda z, key: z.sample(key))(
        batch, jax.random.split(jax.random.PRNGKey(0))
    ).shape == (2, 2)
    gradient = jax.grad(lambda z: z.support(jnp.array([1.0, 2.0])))(Zonotope([0.0, 0.0], np.eye(2)))
    assert gradient.center.tolist() == [1.0, 2.0]
    assert gradient.generators.tolist() == [[1.0, 1.0], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("center", "generators", "message"),
    [
        (
            [0.0, 0.0],
            [1.0, 2.0],
            r"`generators` must have 2 dimension\(s\), but its shape is \(2,\)",
        ),
        (
            [0.0, 0.0],
            [[1.0, 2.0]],
            r"`generators` must have shape \(2, 2\), but its shape is \(1, 2\)",
        ),
        ([0.0], [[np.inf]], "`generators` must be finite"),
        ([np.nan], [[1.0]], "`center` must not contain NaN"),
    ],
)
def test_impossible_zonotopes_are_refused(center, generators, message):
    with pytest.raises(SetDimensionError, match=message):
        Zonotope(center, generators)


def test_wrong_arguments_are_refused():
    zonotope = Zonotope(np.zeros(2), np.eye(2))
    for call in (zonotope.contains, zonotope.margin, zonotope.support):
        with pytest.raises(
            SetDimensionError, match=r"must have shape \(2,\), but its shape is \(1, 2\)"
        ):
            call(np.zeros((1, 2)))


def test_the_polytope_is_the_set():
    polytope = Zonotope(np.zeros(2), np.eye(2)).to_polytope()
    assert isinstance(polytope, Polytope)
    assert polytope.H.dtype == np.float64
    assert sorted(map(tuple, np.round(polytope.vertices(), 12))) == [
        (-1, -1),
        (-1, 1),
        (1, -1),
        (1, 1),
    ]


@pytest.mark.parametrize("n", [1, 3, 7, 12])
def test_a_square_generator_matrix_is_a_parallelotope(n):
    rng = np.random.default_rng(n)
    zonotope = Zonotope(rng.normal(size=n), rng.normal(size=(n, n)))
    H, h = zonotope.halfspaces()
    assert H.shape == (2 * n, n)
    # On each facet one coordinate beta_j is 1 or -1 and all others are free.
    values = (H @ np.asarray(zonotope.center) - h)[
        :, None
    ] + H @ zonotope.generators @ np.concatenate([np.eye(n), -np.eye(n)]).T
    np.testing.assert_allclose(np.sort(values, axis=1)[:, -1], 0, atol=1e-10)
    assert np.all((np.abs(H @ zonotope.generators) > 1e-10).sum(axis=1) == 1)


def test_thousands_of_facets_are_enumerated_and_millions_refused():
    rng = np.random.default_rng(0)
    zonotope = Zonotope(np.zeros(6), rng.normal(size=(6, 16)))
    H, _ = zonotope.halfspaces()
    assert H.shape == (8736, 6)  # 2 times 16 choose 5: the generators are in general position
    # each facet is spanned by 5 generators
    assert np.all(np.sort(np.abs(H @ zonotope.generators), axis=1)[:, 4] < 1e-9)
    with pytest.raises(
        SetDimensionError,
        match=r"30 generators in 12 dimensions have 54,627,300, up to 109,254,600 facets",
    ):
        Zonotope(np.zeros(12), rng.normal(size=(12, 30))).halfspaces()


def test_a_volume_of_too_many_determinants_is_refused_with_the_limit():
    with pytest.raises(SetDimensionError, match=r"but there are 3,464,840"):
        Zonotope(np.zeros(4), np.ones((4, 97))).volume()


def test_what_is_no_array_of_real_numbers_is_refused_by_name():
    with pytest.raises(SetDimensionError, match=r"`generators` is .* must be made of real numbers"):
        Zonotope([0.0, 0.0], np.eye(2) * 1j)
    with pytest.raises(SetDimensionError, match="`x` is None, but it must be made of real numbers"):
        Zonotope([0.0, 0.0], np.eye(2)).contains(None)
    with pytest.raises(ValueError, match="`tolerance` is -1, but it must be"):
        Zonotope([0.0, 0.0], np.eye(2)).contains([0.0, 0.0], tolerance=-1)
    assert not Zonotope([0.0, 0.0], np.eye(2)).contains([np.nan, 0.0])
