"""Sets that are grown backwards."""

import functools

import numpy as np
import pytest

from safe_wrappers.synthesis._admissible_set import admissible_rows
from safe_wrappers.synthesis._gain_search import best_gain, limits_of
from safe_wrappers.synthesis._grown_set import grown_rows, size_of
from safe_wrappers.synthesis._joint_polygon import polygon_area

DT, MARGIN = 0.1, 2e-4
A = np.array([[1.0, DT], [0.0, 1.0]])
B = np.array([[0.0], [DT]])
E = 0.3 * B
REACH, INPUTS = (np.array([1.0, 1.0]),) * 2, (np.array([1.0]),) * 2


@functools.cache
def start():
    """The set of a gain."""
    K = best_gain(A, B, np.zeros(2), E, REACH, INPUTS, margin=MARGIN)
    rows = admissible_rows(A + B @ K, np.zeros(2), E, limits_of(K, REACH, INPUTS), margin=MARGIN)
    return rows


def grown(rows, **changed):
    options = {"k": np.zeros(2), "reach": REACH, "inputs": INPUTS, "most": 200, **changed}
    k, reach, inputs = (options.pop(name) for name in ("k", "reach", "inputs"))
    return grown_rows(A, B, k, E, rows, reach, inputs, margin=MARGIN, **options)


def test_it_grows_to_nearly_all_that_braking_allows():
    """A cart that brakes with 0.7 from the speed s moves about s^2 / 1.4 + 0.1 s / 2 on."""
    rows = grown(start())
    s = np.linspace(0, 1, 10_001)
    lost = 2 * np.trapezoid(np.minimum(s**2 / (2 * 0.7) + DT * s / 2, 2.0), s)
    assert polygon_area(rows) == pytest.approx(4.0 - lost, rel=0.02)
    assert polygon_area(rows) > 1.05 * polygon_area(start())


def test_each_vertex_has_an_input_and_the_first_set_lies_inside():
    first, rows = start(), grown(start())
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(500, 2))
    y = ways / (ways @ rows.T).max(axis=1, keepdims=True)
    inside = ways / (ways @ first.T).max(axis=1, keepdims=True)
    assert (inside @ rows.T).max() < 1 + 1e-9
    assert np.abs(y).max() < 1 + 1e-9
    v = np.linspace(-1, 1, 4001)
    ahead = (y @ A.T)[:, None] + v[:, None] * B[:, 0]
    worst = (ahead @ rows.T + np.abs(rows @ E).sum(axis=1)).max(axis=2).min(axis=1)
    assert worst.max() < 1 - MARGIN + 1e-3  # between two of the inputs that are tried
    assert worst.max() > 0.99


def test_a_drift_and_lopsided_limits_are_respected():
    reach = np.array([0.5, 1.0]), np.array([1.0, 1.0])
    k = np.array([0.0, 0.02])
    inputs = np.array([1.0]), np.array([0.8])
    K = best_gain(A, B, k, E, reach, inputs, margin=MARGIN)
    first = admissible_rows(A + B @ K, k, E, limits_of(K, reach, inputs), margin=MARGIN)
    rows = grown(first, k=k, reach=reach, inputs=inputs)
    assert size_of(rows) > size_of(first)
    unit = np.eye(2)
    for ways, ends in ((unit, reach[1]), (-unit, reach[0])):
        for way, end in zip(ways, ends, strict=True):
            apart = np.linalg.norm(rows - way / end, axis=1)
            assert apart.min() < 1e-9


def test_no_more_rows_than_asked_for():
    first = start()
    assert len(grown(first, most=len(first) + 4)) <= len(first) + 4
    np.testing.assert_allclose(grown(first, most=4), first)
