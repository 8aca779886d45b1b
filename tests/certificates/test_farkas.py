from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

from safe_wrappers.certificates._farkas import Side, prove_sides
from safe_wrappers.certificates._polygon_proof import vertices


def rational(matrix):
    return [[Fraction(float(v)) for v in row] for row in matrix]


def random_set(rng, n, m, symmetric):
    F = rng.normal(size=(m, n)).astype(np.float32)
    F = np.concatenate([F, -F, np.eye(n), -np.eye(n)]) if symmetric else F
    if not symmetric:
        F = np.concatenate([F, np.eye(n), -np.eye(n)])
    return F, np.ones(len(F)) if symmetric else rng.uniform(0.5, 1.0, len(F))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [2, 4, 6])
def test_the_bound_is_the_support_of_the_set(n, symmetric):
    rng = np.random.default_rng(n)
    F, room = random_set(rng, n, 3 * n, symmetric)
    for _ in range(5):
        goal = rng.normal(size=n)
        support = -linprog(-goal, A_ub=F, b_ub=room, bounds=(None, None)).fun
        for bound, holds in ((support + 1e-7, True), (support - 1e-7, False)):
            side = Side(rational([goal])[0], Fraction(float(bound)), "it holds", True)
            answer = prove_sides(rational(F), rational([room])[0], [side])
            assert (answer.failed is None) == holds
            assert abs(answer.slack - (bound - support)) < 1e-6


def test_a_limit_that_is_a_facet_has_no_slack_and_holds():
    F = np.float32([[0.3, 0.7], [-0.3, -0.7], [1, -1], [-1, 1]])
    room = [Fraction(1)] * 4
    side = Side(rational(2 * F[:1])[0], Fraction(2), "a facet", False)
    assert prove_sides(rational(F), room, [side]).failed is None
    side = side._replace(bound=Fraction(2) - Fraction(1, 10**12))
    assert prove_sides(rational(F), room, [side]).failed == "a facet"


def test_a_set_without_a_bound_proves_nothing():
    F, room = rational([[1.0, 0.0], [-1.0, 0.0]]), [Fraction(1)] * 2
    side = Side([Fraction(0), Fraction(1)], Fraction(10**9), "bounded", True)
    answer = prove_sides(F, room, [side])
    assert answer.failed == "bounded"
    assert np.isnan(answer.slack)


def test_of_mirror_images_the_tighter_one_counts():
    F, room = rational(np.float32([[1, 0], [-1, 0], [0, 1], [0, -1]])), [Fraction(1)] * 4
    loose = Side([Fraction(1), Fraction(1)], Fraction(3), "loose", True)
    tight = Side([Fraction(-1), Fraction(-1)], Fraction(1), "tight", True)
    for sides in ([loose, tight], [tight, loose]):
        assert prove_sides(F, room, sides).failed == "tight"


def test_vertices_of_a_polygon_are_exact():
    corners = vertices(rational([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1]]), [Fraction(1)] * 5)
    expected = {(0, 1), (1, 0), (-1, 1), (-1, -1), (1, -1)}
    assert {tuple(corner) for corner in corners} == expected
    redundant = rational([[1, 0], [0, 1], [-1, 0], [0, -1], [0.25, 0.25]])
    assert len(vertices(redundant, [Fraction(1)] * 5)) == 4
    assert vertices(rational([[1, 0], [0, 1], [-1, 0]]), [Fraction(1)] * 3) == []
    assert vertices(rational([[2.0], [-4.0]]), [Fraction(1)] * 2) == [
        [Fraction(-1, 4)],
        [Fraction(1, 2)],
    ]
