from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from safe_wrappers.synthesis._joint_polygon import joint_polygon, outward, polygon_area

CASES = [
    (2.0, 2.0, 6.0, 0.5, 0.02),
    (1.5, 1.5, 3.0, 0.3, 0.02),
    (2.0, 4.0, 10.0, 1.0, 0.01),
    (5.0, 2.0, 2.0, 0.5, 0.02),
    (0.15, 0.5, 3.0, 0.5, 0.02),
]


@pytest.mark.parametrize("case", CASES)
def test_braking_keeps_the_joint_in_its_polygon(case):
    """At every vertex some acceleration keeps all facets, whatever the push."""
    reach, speed, authority, push, dt = case
    H = joint_polygon(*case)
    assert H is not None
    hull = ConvexHull(H.astype(float))
    corners = -hull.equations[:, :2] / hull.equations[:, 2:]
    v = np.linspace(-authority, authority, 4001)
    for q, s in corners:
        assert abs(q) <= reach * (1 + 1e-6)
        assert abs(s) <= speed * (1 + 1e-6)
        after = np.stack([q + dt * (s + dt * v), s + dt * v])
        worst = H @ after + np.abs(H @ [dt * dt, dt])[:, None] * push
        assert worst.max(axis=0).min() <= 1 - 1e-4


@pytest.mark.parametrize("case", CASES[:4])
def test_few_facets_are_nearly_as_large_as_many(case):
    few, many = joint_polygon(*case, facets=5), joint_polygon(*case, facets=40)
    assert polygon_area(few) > 0.93 * polygon_area(many)


def test_no_braking_no_polygon():
    assert joint_polygon(1.0, 1.0, 0.5, 0.5, 0.02) is None


def test_limits_are_rounded_outwards():
    H = np.array([[1 / 3, 0.0], [0.0, -1 / 7], [0.3, 0.7]])
    rounded = outward(H)
    assert Fraction(float(rounded[0, 0])) >= Fraction(1, 3) - Fraction(1, 10**17)
    assert Fraction(-float(rounded[1, 1])) >= Fraction(1, 7) - Fraction(1, 10**17)
    assert rounded.dtype == np.float32


def test_the_area_of_a_square():
    assert polygon_area(np.float32([[0.5, 0], [-0.5, 0], [0, 1], [0, -1]])) == pytest.approx(8)
