import numpy as np
import pytest
from virtual_plants import LATERAL, STEP, lateral_set

from safe_wrappers.synthesis._admissible_set import admissible_rows, admitted
from safe_wrappers.synthesis._gain_search import best_gain, limits_of

REACH = np.array([2.0, 0.3, 1.5])
K = LATERAL.K.astype(float)
AC = LATERAL.A + LATERAL.B @ K
E = np.array([[STEP**2], [0.0], [STEP]]) * 0.95
LIMITS = limits_of(K, (REACH, REACH), (np.array([2.5]), np.array([2.5])))


def test_the_set_is_kept_by_its_gain_and_no_larger_one_is():
    F = admissible_rows(AC, np.zeros(3), E, LIMITS, margin=2e-4)
    rng = np.random.default_rng(0)
    rays = rng.normal(size=(2000, 3))
    edge = rays / (rays @ F.T).max(axis=1)[:, None]
    after = edge @ AC.T
    assert ((after @ F.T) + np.abs(F @ E).sum(axis=1)).max() <= 1 - 1e-4
    assert (edge @ LIMITS.T).max() <= 1 + 1e-9
    # A point a little outside is driven out of the limits by the worst disturbance.
    y, worst = 1.02 * edge, np.zeros(len(edge))
    far = admitted(y, AC, np.zeros(3), E, LIMITS, margin=0.0)
    worst = np.maximum(worst, far)
    assert np.mean(worst > 1) > 0.95


def test_rays_tell_the_size_of_the_set_without_a_program():
    F = admissible_rows(AC, np.zeros(3), E, LIMITS, margin=2e-4)
    points = np.random.default_rng(1).uniform(-1, 1, (1000, 3)) * REACH
    by_rows = (points @ F.T).max(axis=1)
    by_rays = admitted(points, AC, np.zeros(3), E, LIMITS, margin=2e-4)
    assert np.allclose(by_rows, by_rays, rtol=1e-6)


def test_no_row_is_redundant():
    F = admissible_rows(AC, np.zeros(3), E, LIMITS, margin=2e-4)
    rays = np.random.default_rng(2).normal(size=(200_000, 3)) * REACH
    first = np.argmax(rays @ F.T, axis=1)
    assert len(np.unique(first)) > 0.9 * len(F)  # nearly every facet is met by some ray


def test_an_offset_makes_a_set_that_is_not_symmetric():
    F = admissible_rows(AC, np.array([STEP**2, 0.0, STEP]) * 0.1, 0.8 * E, LIMITS, margin=2e-4)
    assert F is not None
    pairs = {tuple(np.round(row, 9)) for row in F}
    assert any(tuple(-np.array(row)) not in pairs for row in pairs)


@pytest.mark.parametrize(
    ("closed", "push"), [(AC, 8.0), (LATERAL.A, 0.1)], ids=["strong push", "unstable"]
)
def test_a_gain_that_cannot_keep_anything_has_no_set(closed, push):
    assert admissible_rows(closed, np.zeros(3), push * E, LIMITS, margin=2e-4) is None


def test_the_search_finds_a_gain_with_a_larger_set():
    found = best_gain(
        LATERAL.A,
        LATERAL.B,
        np.zeros(3),
        E,
        (REACH, REACH),
        (np.array([2.5]), np.array([2.5])),
        margin=2e-4,
    )
    assert found is not None
    points = np.random.default_rng(3).uniform(-1, 1, (5000, 3)) * REACH
    limits = limits_of(found, (REACH, REACH), (np.array([2.5]), np.array([2.5])))
    larger = admitted(points, LATERAL.A + LATERAL.B @ found, np.zeros(3), E, limits, margin=2e-4)
    by_hand = admitted(points, AC, np.zeros(3), E, LIMITS, margin=2e-4)
    assert np.mean(larger <= 1) >= np.mean(by_hand <= 1)
    assert np.array_equal(found, found.astype(np.float32))


def test_the_sets_of_the_tests_are_in_float32():
    assert lateral_set().dtype == np.float32
