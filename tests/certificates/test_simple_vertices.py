"""All vertices of polytopes, exactly."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial import HalfspaceIntersection

from safe_wrappers.certificates._exact import rational, rationals
from safe_wrappers.certificates._simple_vertices import simple_vertices


def found(H, room=None, most=10_000):
    room = np.ones(len(H)) if room is None else room
    return simple_vertices(rationals(np.asarray(H, np.float32)), rational(room), most)


def points(vertices):
    return np.array([[n / v.denominator for n in v.numerators] for v in vertices])


@pytest.mark.parametrize(("n", "facets"), [(2, 9), (3, 30), (4, 26)])
def test_they_are_those_of_qhull(n, facets):
    rng = np.random.default_rng(n)
    H = rng.normal(size=(facets, n)).astype(np.float32)
    H /= np.linalg.norm(H, axis=1, keepdims=True)
    room = rng.uniform(0.8, 1.2, facets)
    expected = HalfspaceIntersection(
        np.column_stack([np.asarray(H, float), -room]), np.zeros(n)
    ).intersections
    at = points(found(H, room))
    apart = np.linalg.norm(expected[:, None] - at[None], axis=2)
    assert len(at) == len(np.unique(expected.round(9), axis=0))
    assert apart.min(axis=1).max() < 1e-6
    assert apart.min(axis=0).max() < 1e-6


def test_each_is_where_exactly_its_facets_meet():
    H = np.random.default_rng(0).normal(size=(14, 3)).astype(np.float32)
    H = np.concatenate([H, -H])
    for vertex in found(H):
        y = [Fraction(n, vertex.denominator) for n in vertex.numerators]
        left = [1 - sum(Fraction(float(h)) * v for h, v in zip(row, y, strict=True)) for row in H]
        assert [i for i, value in enumerate(left) if value == 0] == list(vertex.facets)
        assert min(left) == 0


def test_where_more_facets_meet_they_are_moved_apart_outwards():
    """An octahedron, in each of whose vertices four facets meet."""
    H = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    at = points(found(H))
    assert len(at) == 12  # of a polytope with eight facets, three of which meet in each vertex
    assert (H @ at.T).max() < 1 + 1e-9
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    assert np.linalg.norm(corners[:, None] - at[None], axis=2).min(axis=1).max() < 1e-9


def test_there_are_none_of_a_set_that_is_unbounded_or_has_too_many():
    cube = np.concatenate([np.eye(3), -np.eye(3)])
    assert len(found(cube)) == 8
    assert found(cube[:5]) is None
    assert found(cube[:3]) is None
    assert found(cube, most=6) is None
