import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers.certificates._intervals import Interval, as_interval, hull

numbers = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda v: v if abs(v) > 1e-100 else 0.0)


@st.composite
def intervals_with_member(draw, elements=numbers):
    a, b = sorted((draw(elements), draw(elements)))
    t = draw(st.floats(0, 1))
    member = min(max(a + t * (b - a), a), b)
    return Interval(np.array([a]), np.array([b])), member


def holds(interval: Interval, exact: Fraction) -> bool:
    lo, hi = float(interval.lo[0]), float(interval.hi[0])
    return (lo == -math.inf or Fraction(lo) <= exact) and (hi == math.inf or exact <= Fraction(hi))


@given(intervals_with_member(), intervals_with_member())
def test_arithmetic_contains_the_exact_rational_result(first, second):
    (x, p), (y, q) = first, second
    p, q = Fraction(p), Fraction(q)
    assert holds(x + y, p + q)
    assert holds(x - y, p - q)
    assert holds(x * y, p * q)
    assert holds(-x, -p)
    assert holds(2.5 * x - 1.0, Fraction(5, 2) * p - 1)
    if not y.lo[0] <= 0 <= y.hi[0]:
        assert holds(x / y, p / q)


@given(intervals_with_member(), st.integers(-4, 6))
def test_powers_contain_the_exact_rational_result(first, exponent):
    x, p = first
    if exponent < 0 and x.lo[0] <= 0 <= x.hi[0]:
        return
    assert holds(x.power(exponent), Fraction(p) ** exponent)


def sine(x: Fraction) -> Fraction:
    """The sine by its series, to about 1e-30."""
    term, total, k = x, x, 1
    while abs(term) > Fraction(1, 10**30):
        term = -term * x * x / ((2 * k) * (2 * k + 1))
        total, k = total + term, k + 1
    return total


@settings(max_examples=60, deadline=None)
@given(st.floats(-8, 8))
def test_sine_of_a_point_contains_the_exact_value_within_two_units(x):
    interval = Interval.point([x]).sin()
    assert holds(interval, sine(Fraction(x)))
    assert interval.hi[0] - interval.lo[0] <= 4.001 * 2.0**-52


@given(intervals_with_member(st.floats(-20, 20)))
def test_functions_contain_the_value_at_a_member(first):
    x, p = first
    # Library functions are within an ulp of the truth; a padded interval that contains the truth
    # contains them up to that.
    slack = 1e-15
    for function, exact in (
        (Interval.sin, math.sin),
        (Interval.cos, math.cos),
        (Interval.tanh, math.tanh),
        (Interval.arctan, math.atan),
    ):
        result = function(x)
        assert result.lo[0] - slack <= exact(p) <= result.hi[0] + slack
    result = x.exp()
    assert result.lo[0] * (1 - slack) <= math.exp(p) <= result.hi[0] * (1 + slack)
    with np.errstate(all="ignore"):
        tan, log, root = x.tan(), x.log(), x.sqrt()
    assert tan.lo[0] - 1e-12 * abs(tan.lo[0]) <= math.tan(p) <= tan.hi[0] + 1e-12 * abs(tan.hi[0])
    if x.lo[0] > 0:
        assert log.lo[0] <= math.log(p) <= log.hi[0]
        assert root.lo[0] <= math.sqrt(p) <= root.hi[0]


@pytest.mark.parametrize(
    ("lo", "hi", "expected"),
    [
        (-0.1, 0.1, (math.cos(0.1), 1.0)),
        (3.0, 3.3, (-1.0, math.cos(3.3))),
        (0.5, 1.0, (math.cos(1.0), math.cos(0.5))),
        (0.0, 7.0, (-1.0, 1.0)),
        (6.0, 6.5, (math.cos(6.0), 1.0)),
    ],
)
def test_cosine_finds_its_extrema_and_is_tight(lo, hi, expected):
    result = Interval(np.array([lo]), np.array([hi])).cos()
    np.testing.assert_allclose((result.lo[0], result.hi[0]), expected, atol=1e-15)


def test_sine_of_huge_angles_is_the_whole_range():
    result = Interval(np.array([1e9]), np.array([1e9 + 0.1])).sin()
    assert (result.lo[0], result.hi[0]) == (-1.0, 1.0)


def test_division_by_an_interval_around_zero_is_unbounded():
    result = Interval(np.array([-1.0]), np.array([2.0])).reciprocal()
    assert (result.lo[0], result.hi[0]) == (-np.inf, np.inf)


def test_undefined_values_become_nan_and_stay_nan():
    with np.errstate(all="ignore"):
        unknown = Interval(np.array([-1.0]), np.array([2.0])).sqrt() * 0.0 + 1.0
    assert not unknown.hi[0] <= 1e300
    assert np.isnan(Interval(np.array([-1.0]), np.array([2.0])).log().hi[0])


def test_even_powers_and_sizes_of_straddling_intervals_are_exact():
    x = Interval(np.array([-2.0]), np.array([1.0]))
    assert (x.magnitude[0], x.mignitude[0]) == (2.0, 0.0)
    np.testing.assert_allclose((x.power(2).lo[0], x.power(2).hi[0]), (0.0, 4.0), atol=1e-14)
    both = hull(x, as_interval(np.array([3.0])))
    assert (both.lo[0], both.hi[0]) == (-2.0, 3.0)


def test_every_operation_rounds_outwards():
    tenth = Interval.point([0.1])
    total = tenth + tenth + tenth
    assert total.lo[0] < 3 * Fraction(0.1) < total.hi[0]
    assert (tenth * tenth).lo[0] < Fraction(0.1) ** 2 < (tenth * tenth).hi[0]


@pytest.mark.parametrize(("exponent", "value"), [(0.5, 2.0), (1.5, 8.0), (-0.5, 0.5), (0.0, 1.0)])
def test_real_powers_contain_the_value_and_are_tight(exponent, value):
    found = Interval.point(np.array([4.0])).real_power(exponent)
    assert found.lo[0] <= value <= found.hi[0]
    assert found.hi[0] - found.lo[0] < 1e-13
