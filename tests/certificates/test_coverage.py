import dataclasses
from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers.certificates._coverage import cover, pulled_inside, uncovered, vertex_outside
from safe_wrappers.sets import Box, Polytope


def random_polytope(dim, facets, seed):
    rng = np.random.default_rng(seed)
    H = rng.normal(size=(facets, dim))
    H /= np.linalg.norm(H, axis=1, keepdims=True)
    cube = 0.7 * np.eye(dim)
    rows = np.concatenate([H, -H, cube, -cube]).astype(np.float32)
    return Polytope(rows, np.ones(len(rows), np.float32))


def cube(dim):
    H, h = Box.symmetric(np.ones(dim)).halfspaces()
    return Polytope(H.astype(np.float32), h.astype(np.float32))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 4), st.integers(1, 5), st.integers(0, 1000))
def test_covers_of_random_polytopes_are_verified_and_have_the_right_volume(dim, facets, seed):
    S = random_polytope(dim, facets, seed)
    candidate = cover(S, np.zeros(S.dim))
    assert uncovered(candidate, S, np.zeros(S.dim)) is None
    volume = np.abs(np.linalg.det(candidate.points[candidate.simplices])).sum() / factorial(dim)
    np.testing.assert_allclose(volume, S.volume(), rtol=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 6])
def test_cubes_whose_vertices_lie_on_many_facets_are_covered(dim):
    candidate = cover(cube(dim), np.zeros(dim))
    assert uncovered(candidate, cube(dim), np.zeros(dim)) is None
    assert len(candidate.simplices) == 2 * dim * factorial(dim - 1)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_a_dropped_or_doubled_simplex_is_found(dim):
    S = random_polytope(dim, 3, 0)
    candidate = cover(S, np.zeros(S.dim))
    dropped = dataclasses.replace(
        candidate, simplices=candidate.simplices[1:], facets=candidate.facets[1:]
    )
    assert "ridge" in (uncovered(dropped, S, np.zeros(S.dim)) or "")
    doubled = dataclasses.replace(
        candidate,
        simplices=candidate.simplices[[0, *range(len(candidate.simplices))]],
        facets=candidate.facets[[0, *range(len(candidate.facets))]],
    )
    assert "ridge" in (uncovered(doubled, S, np.zeros(S.dim)) or "")


def test_a_vertex_inside_the_set_is_found():
    S = cube(3)
    candidate = cover(S, np.zeros(S.dim))
    points = candidate.points.copy()
    points[0] *= 1 - 1e-8
    assert "inside" in (
        uncovered(dataclasses.replace(candidate, points=points), S, np.zeros(S.dim)) or ""
    )


def test_a_simplex_claimed_for_another_facet_is_found():
    S = cube(2)
    candidate = cover(S, np.zeros(S.dim))
    assert "inside" in (
        uncovered(
            dataclasses.replace(candidate, facets=np.roll(candidate.facets, 1)), S, np.zeros(S.dim)
        )
        or ""
    )


def test_a_fold_of_the_boundary_is_found():
    """Two vertices exchanged in position keep every ridge between two simplices, but not the
    orientations.
    """
    S = cube(2)
    candidate = cover(S, np.zeros(S.dim))
    star = np.array([[0, 1], [1, 2], [0, 2]])
    points = np.array([[2.0, 0.0], [1.0, 2.0], [2.0, 3.0]])
    folded = dataclasses.replace(candidate, points=points, simplices=star, facets=np.zeros(3, int))
    assert "orientations" in (uncovered(folded, S, np.zeros(S.dim)) or "")


def test_a_flat_simplex_is_found():
    S = cube(2)
    candidate = dataclasses.replace(
        cover(S, np.zeros(S.dim)),
        points=np.array([[1.0, 1.0], [2.0, 2.0]]),
        simplices=np.array([[0, 1]]),
        facets=np.zeros(1, int),
    )
    assert "flat" in (uncovered(candidate, S, np.zeros(S.dim)) or "")


@pytest.mark.parametrize("center", [[1.0, 0.0], [0.0, -1.5]])
def test_a_centre_that_is_not_strictly_inside_is_found(center):
    S = cube(2)
    found = uncovered(cover(S, np.zeros(2)), S, np.array(center))
    assert "does not lie strictly inside" in (found or "")


def test_vertices_are_few_digit_numbers_outside_the_set():
    S = random_polytope(3, 4, 1)
    candidate = cover(S, np.zeros(S.dim))
    bits = [Fraction(float(v)).denominator.bit_length() for v in candidate.points.ravel()]
    assert max(bits) <= 40
    values = candidate.points @ np.asarray(S.H, np.float64).T
    assert np.all(values.max(axis=1) < 1 + 1e-8)


def test_vertices_are_compared_with_the_constraints():
    candidate = cover(cube(2), np.zeros(2))
    assert (
        vertex_outside(candidate, Box.symmetric(np.array([1.0 + 1e-8, np.inf])), np.zeros(2))
        is None
    )
    index = vertex_outside(candidate, Box.symmetric(np.array([0.9, np.inf])), np.zeros(2))
    assert index is not None
    assert abs(candidate.points[index, 0]) > 0.9
    assert (
        vertex_outside(candidate, Polytope(np.array([[1.0, 1.0]]), np.array([1.9])), np.zeros(2))
        is not None
    )
    assert (
        vertex_outside(candidate, Polytope(np.array([[1.0, 1.0]]), np.array([2.1])), np.zeros(2))
        is None
    )


def test_points_are_pulled_into_the_set_exactly():
    S = random_polytope(3, 4, 2)
    for point in cover(S, np.zeros(S.dim)).points:
        inside = pulled_inside(point, S, np.zeros(S.dim))
        values = [
            sum(Fraction(float(h)) * Fraction(float(v)) for h, v in zip(row, inside, strict=True))
            for row in np.asarray(S.H)
        ]
        assert max(values) <= 1
        np.testing.assert_allclose(inside, point, rtol=1e-7)
