"""What several seeds come to, against numbers that are known otherwise."""

import numpy as np
import pytest

from safe_wrappers.experiments import Results, interval, summarise_rows


def run(row="task/shac/a", **given):
    line = {
        "row": row,
        "behind": "",
        "return": -1.0,
        "interactions_to_own_95_percent": 100,
        "unsafe_requests": 0.5,
        "exits": 0,
        "judged_exits": 0,
        "final_exits": 0,
        "training_exits": 0,
        "training_unsafe_requests": 0.25,
        "row_seconds": 3.0,
        "machine": "a computer",
        "training_seconds": 2.0,
    }
    return line | given


def test_the_interval_of_two_numbers_is_known_exactly():
    """Of the resamples of 0 and 1 a quarter has the mean 0 and a quarter the mean 1."""
    assert interval([0.0, 1.0]) == (0.5, 0.0, 1.0)


def test_the_interval_of_many_numbers_is_that_of_the_normal_distribution():
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    mean, low, high = interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    np.testing.assert_allclose([mean - low, high - mean], half, rtol=0.08)


def test_the_interval_of_equal_numbers_and_of_one_is_a_point():
    assert interval([2.0, 2.0, 2.0]) == interval([2.0]) == (2.0, 2.0, 2.0)


def test_stuck_runs_are_counted_and_stay_in_the_mean():
    runs = [run(**{"return": value}) for value in (-10.0, -10.2, -12.4, -12.6)]
    (found,) = summarise_rows(Results(runs, [], {"task": -10.0}))
    assert found.stuck == 1  # more than 25 % below -10
    assert found.mean[0] == pytest.approx(-11.3)
    assert found.gap == pytest.approx(0.13)
    assert found.worst_gap == pytest.approx(0.26)


def test_a_run_that_is_not_finite_is_stuck():
    runs = [run(**{"return": value}) for value in (-10.0, float("nan"))]
    (found,) = summarise_rows(Results(runs, [], {"task": -10.0}))
    assert found.stuck == 1


def test_without_a_reference_nothing_is_said_of_gaps():
    (found,) = summarise_rows(Results([run(), run()], [], {"other": -1.0}))
    assert (found.gap, found.worst_gap, found.stuck) == (None, None, None)


def test_exits_are_the_greater_of_both_counts():
    runs = [run(exits=3, judged_exits=1), run(exits=0, judged_exits=4, training_exits=2)]
    (found,) = summarise_rows(Results(runs, [], {}))
    assert (found.training_exits, found.evaluation_exits) == (2, 7)


def test_what_a_trainer_does_not_count_is_not_zero():
    runs = [run(training_exits=None, training_unsafe_requests=None), run()]
    (found,) = summarise_rows(Results(runs, [], {}))
    assert (found.training_exits, found.unsafe_requests) == (None, (None, 0.5))


def test_the_median_of_the_interactions_is_over_the_seeds():
    runs = [run(interactions_to_own_95_percent=value) for value in (100, 300, 900)]
    (found,) = summarise_rows(Results(runs, [], {}))
    assert found.interactions is not None
    assert found.interactions[0] == 300
    assert 100 <= found.interactions[1] <= 300 <= found.interactions[2] <= 900


def test_a_deployed_policy_is_a_line_of_its_own():
    runs = [run(), run(behind="b", interactions_to_own_95_percent=None, training_exits=None)]
    trained, deployed = summarise_rows(Results(runs, [], {}))
    assert (trained.behind, deployed.behind, deployed.interactions) == ("", "b", None)
