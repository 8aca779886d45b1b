import jax.numpy as jnp
import pytest

from safe_wrappers.wrappers import _record as record

REPORT = {"inside": 1.0}


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({}, {"cost": 0.0}),
        ({"cost": 7.0, "mine": 1}, {"cost": 7.0, "mine": 1}),
        ({"safeguard": "on"}, {"cost": 0.0, "environment": {"safeguard": "on"}}),
        ({"environment": 3, "cost": -1.0}, {"cost": -1.0, "environment": 3}),
    ],
    ids=["nothing", "cost", "safeguard", "environment"],
)
def test_what_the_environment_reports_stays_and_comes_back(theirs, expected):
    reported = record.with_record(theirs, REPORT, cost=0.0)
    assert reported == {**expected, "safeguard": REPORT}
    outer = {**reported, "steps": 5}
    assert record.without_record(outer, set(theirs), ("cost",)) == {**theirs, "steps": 5}


def test_there_is_one_place_only_for_what_is_displaced():
    with pytest.raises(ValueError, match=r"reports `info\['environment'\]`, too; rename one"):
        record.with_record({"safeguard": 1, "environment": 2}, REPORT)


def test_metrics_of_the_environment_stay_and_come_back():
    ours = {"safeguard/task_reward": jnp.ones(()), "safeguard/distance_per_step": jnp.zeros(())}
    theirs = {"mine": 1.0, "safeguard/task_reward": 2.0, "safeguard/mine": 3.0}
    reported = record.with_metrics(theirs, ours)
    assert reported == {
        "mine": 1.0,
        "environment/safeguard/task_reward": 2.0,
        "safeguard/mine": 3.0,
        **ours,
    }
    assert record.without_metrics({**reported, "outer": 4.0}, set(theirs)) == {
        **theirs,
        "outer": 4.0,
    }
