import numpy as np
import pytest
from scipy import stats

from safe_wrappers.conformance import violation_bound


@pytest.mark.smoke
@pytest.mark.parametrize("samples", [10, 1_000, 100_000])
@pytest.mark.parametrize("constraints", [1, 2, 6])
@pytest.mark.parametrize("beta", [0.1, 1e-6])
def test_the_bound_solves_the_equation_of_campi_and_garatti(samples, constraints, beta):
    """sum_{i < d} binom(N, i) eps^i (1 - eps)^(N - i) = beta, with the binomial distribution of
    another function.
    """
    eps = violation_bound(samples, constraints, beta)
    assert 0 < eps < 1
    np.testing.assert_allclose(stats.binom.cdf(constraints - 1, samples, eps), beta, rtol=1e-8)


def test_without_enough_samples_nothing_is_claimed():
    assert violation_bound(3, 4, 1e-6) == 1.0


def violations(k, samples, repetitions, rng):
    """Of the smallest box around uniform points in the unit cube: the volume that it leaves out,
    for each repetition.
    """
    points = rng.random((repetitions, samples, k))
    return 1 - np.prod(points.max(axis=1) - points.min(axis=1), axis=-1)


@pytest.mark.parametrize("beta", [0.3, 0.05, 0.01])
def test_an_interval_violates_the_bound_as_often_as_stated(beta):
    """In one dimension two samples support the box, so that the bound holds with equality."""
    repetitions = 40_000
    failed = np.mean(
        violations(1, 60, repetitions, np.random.default_rng(0)) > violation_bound(60, 2, beta)
    )
    assert failed == pytest.approx(beta, abs=4 * np.sqrt(beta / repetitions))


def test_a_box_violates_the_bound_at_most_as_often_as_stated():
    failed = np.mean(
        violations(3, 60, 20_000, np.random.default_rng(1)) > violation_bound(60, 6, 0.05)
    )
    assert 0.03 < failed < 0.05 + 4 * np.sqrt(0.05 / 20_000)


def test_fewer_constraints_than_the_box_has_would_claim_too_much():
    assert (
        np.mean(violations(3, 60, 20_000, np.random.default_rng(2)) > violation_bound(60, 5, 0.05))
        > 0.06
    )
