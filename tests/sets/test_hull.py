import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers import Box, Polytope, SetDimensionError


@given(seed=st.integers(0, 2**16), dim=st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_the_hull_holds_its_points_and_no_more(seed, dim):
    rng = np.random.default_rng(seed)
    scale, middle = 10.0 ** rng.uniform(-3, 3, dim), rng.normal(size=dim) * 1e3
    points = middle + scale * rng.normal(size=(dim + 1 + rng.integers(8), dim))
    hull = Polytope.from_vertices(points)
    np.testing.assert_allclose(np.linalg.norm(hull.H, axis=1), 1.0)
    assert (hull.H @ points.T - hull.h[:, None]).max() <= 1e-9
    # Every vertex of the hull is one of the points.
    distance = np.abs((hull.vertices()[:, None] - points) / scale).max(axis=2).min(axis=1)
    assert distance.max() < 1e-6
    beyond = middle + 1.5 * (points - points.mean(axis=0)) + (points.mean(axis=0) - middle)
    assert not all(np.all(hull.H @ x <= hull.h) for x in beyond)


def test_points_inside_and_points_twice_make_no_difference():
    corners = np.array([[1.0, -2.0], [9.0, -2.0], [9.0, 3.0], [1.0, 3.0]])
    more = np.concatenate([corners, corners[::-1], [[5.0, 0.0], [9.0, 1.0]]])
    for points in (corners, more):
        hull = Polytope.from_vertices(points)
        assert len(hull.h) == 4
        H, h = Box(corners.min(axis=0), corners.max(axis=0)).halfspaces()
        assert {(*row, b) for row, b in zip(hull.H.round(12), hull.h.round(12), strict=True)} == {
            (*row, b) for row, b in zip(np.asarray(H), np.asarray(h), strict=True)
        }


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_a_facet_with_many_corners_is_one_row(dim):
    box = Box(np.full(dim, 10.0), np.full(dim, 12.0))
    assert len(Polytope.from_vertices(box.vertices()).h) == 2 * dim


def test_one_dimension_is_an_interval():
    hull = Polytope.from_vertices(np.array([[20.0], [60.0], [40.0]]))
    assert hull.H.tolist() == [[1.0], [-1.0]]
    assert hull.h.tolist() == [60.0, -20.0]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([1.0, 9.0], r"shape \(v, n\), one point in each row, but the shape is \(2,\)"),
        (np.zeros((0, 2)), "one point in each row"),
        ([[1.0, np.nan], [0.0, 1.0], [2.0, 3.0]], "must be finite"),
        ([[1.0, 2.0]], "these 1 span 0"),
        ([[1.0, 2.0], [3.0, 4.0]], "span 2 dimensions, but these 2 span 1"),
        (np.outer(np.arange(5.0), [1e-3, 1e3]), "do not lie in one line"),
        (np.eye(3) + 5.0, "At least 4 points are needed that do not lie in one plane"),
        ([[3.0], [3.0]], "leave the state out of the model"),
        ("corners", "must be"),
        ([[1.0, 2.0], [3.0]], "must be"),
    ],
)
def test_points_without_a_hull_are_refused(points, message):
    with pytest.raises(SetDimensionError, match=message):
        Polytope.from_vertices(points)


def test_column_vectors_are_refused_with_advice():
    with pytest.raises(SetDimensionError, match=r"`h` must have 1 dimension.*`h\[:, 0\]`"):
        Polytope(np.eye(2), np.ones((2, 1)))
