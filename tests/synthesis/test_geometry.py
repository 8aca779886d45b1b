import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers.synthesis._geometry import Template, Vertices, sample_weights, upper_half
from safe_wrappers.synthesis._volume import volume_and_gradient


def random_rows(seed: int, n: int, *, symmetric: bool) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = (
        rng.standard_normal((n + 3, n))
        if symmetric
        else np.concatenate([rng.standard_normal((n + 3, n)), -np.eye(n), np.eye(n)])
    )
    return rows + 0.1 * rng.standard_normal(rows.shape)


def vertices_of(normals: np.ndarray, template: Template) -> Vertices:
    vertices = Vertices.of(template.facets(normals))
    assert vertices is not None
    return vertices


def test_the_square_has_four_vertices_and_area_four():
    template = Template.of(2, symmetric=True)
    vertices = vertices_of(np.eye(2), template)
    assert sorted(map(tuple, np.round(vertices.points, 12))) == [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    volume, gradient = volume_and_gradient(template.facets(np.eye(2)), vertices, template)
    assert volume == pytest.approx(4)
    # Both facets of a pair move: the width 2 / h shrinks by 2 for a unit of h, times the height 2.
    assert gradient == pytest.approx(np.array([[-4, 0], [0, -4]]))


def test_an_unbounded_or_flat_set_is_refused():
    assert Vertices.of(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 1.0]])) is None
    assert Vertices.of(np.array([[1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]])) is None


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [2, 3, 4])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_volume_gradient_matches_finite_differences(n, symmetric, seed):
    normals = random_rows(seed, n, symmetric=symmetric)
    template = Template.of(len(normals), symmetric=symmetric)
    direction = np.random.default_rng(seed + 1).standard_normal(normals.shape)

    def volume(step):
        rows = normals + step * direction
        return volume_and_gradient(template.facets(rows), vertices_of(rows, template), template)

    slope = (volume(1e-6)[0] - volume(-1e-6)[0]) / 2e-6
    value, gradient = volume(0.0)
    assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-3, abs=1e-4 * value)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [2, 3, 4])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_vertex_sensitivity_matches_finite_differences(n, symmetric, seed):
    normals = random_rows(seed, n, symmetric=symmetric)
    template = Template.of(len(normals), symmetric=symmetric)
    vertices = vertices_of(normals, template)
    direction = np.random.default_rng(seed + 1).standard_normal(normals.shape)
    sensitivity = np.tensordot(
        vertices.sensitivity(template.facets(normals), template), direction, axes=2
    )

    # The vertex of fixed active rows solves a linear system, whatever the other facets do.
    def moved(step):
        return np.linalg.solve(
            template.facets(normals + step * direction)[vertices.rows],
            np.ones((*vertices.rows.shape, 1)),
        )[..., 0]

    step = 1e-7
    slope = (moved(step) - moved(-step)) / (2 * step)
    well_conditioned = np.linalg.cond(template.facets(normals)[vertices.rows]) < 1e2
    assert sensitivity[well_conditioned] == pytest.approx(
        slope[well_conditioned], rel=1e-4, abs=1e-4
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_vertices_satisfy_their_active_rows_and_no_others_are_violated(seed):
    normals = random_rows(seed, 3, symmetric=True)
    template = Template.of(len(normals), symmetric=True)
    H, vertices = template.facets(normals), vertices_of(normals, template)
    levels = vertices.points @ H.T
    assert levels.max() <= 1 + 1e-9
    assert np.take_along_axis(levels, vertices.rows, axis=1) == pytest.approx(1, abs=1e-9)


def test_samples_of_a_cube_are_corners_edge_points_and_facet_centres():
    template = Template.of(3, symmetric=True)
    vertices = vertices_of(np.eye(3), template)
    assert len(vertices.edges()) == 12
    weights = sample_weights(vertices, per_edge=3)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert weights.min() >= 0
    points = weights @ vertices.points
    assert len(points) == 8 + 12 * 3 + 6
    assert np.abs(points).max(axis=1) == pytest.approx(1)
    assert any(np.allclose(point, [0, 0, 1]) for point in points)
    assert any(np.allclose(point, [1, 0.5, 1]) for point in points)


def test_one_point_of_every_pair_is_kept():
    points = np.random.default_rng(0).standard_normal((50, 4))
    assert np.all(upper_half(points) != upper_half(-points))
