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
    # Motors that reach the largest speed within a few steps.
    (3.0, 8.0, 48.0, 0.01, 0.02),
    (1.0, 0.5, 1.25, 0.1, 0.05),
]


@pytest.mark.parametrize("lean", [0.0, 0.25, 0.5], ids=["one frame", "two", "many"])
@pytest.mark.parametrize("case", CASES)
def test_braking_keeps_the_joint_in_its_polygon(case, lean):
    """At every vertex some acceleration keeps all facets, whatever the push and the slip; with
    several frames in a step q' moves the position by less than dt^2 v.
    """
    reach, speed, authority, push, dt = case
    lean, slip = lean * dt, 1e-5 * reach if lean else 0.0
    H = joint_polygon(*case, lean=lean, slip=slip)
    assert H is not None
    hull = ConvexHull(H.astype(float))
    corners = -hull.equations[:, :2] / hull.equations[:, 2:]
    v = np.linspace(-authority, authority, 4001)
    for q, s in corners:
        assert abs(q) <= reach * (1 + (0 if lean else 1e-6))
        assert abs(s) <= speed * (1 + 1e-6)
        shift = dt * dt - lean * dt
        after = np.stack([q + dt * s + shift * v, s + dt * v])
        moved = np.abs(H @ [shift, dt]) * push + np.abs(H[:, 0]) * slip
        worst = H @ after + moved[:, None]
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
