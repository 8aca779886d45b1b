import json

import pytest

from safe_wrappers.cli._options import Train
from safe_wrappers.cli._subject import subject_of, title
from safe_wrappers.evaluation import against, gap, interactions_to, write_json


def test_interactions_to_a_level_are_those_of_the_first_evaluation_that_reaches_it():
    rows = [
        {"interactions": 10 * i, "eval/return": value}
        for i, value in enumerate((-100.0, -20.9, -30.0, -20.0))
    ]
    assert interactions_to(-21.0, rows) == 10
    assert interactions_to(-20.0, rows) == 30
    assert interactions_to(-10.0, rows) is None


@pytest.mark.parametrize(
    ("value", "reference", "expected", "words"),
    [
        (-21.0, -20.0, 0.05, "; clipped LQR -20, 5.0% worse"),
        (-19.0, -20.0, -0.05, "; clipped LQR -20, 5.0% better"),
        (9.0, 10.0, 0.1, "; clipped LQR 10, 10.0% worse"),
    ],
)
def test_gap_is_positive_for_a_lower_return(value, reference, expected, words):
    assert gap(value, reference) == pytest.approx(expected)
    assert against(value, reference) == words


def test_without_a_reference_there_is_no_gap():
    assert gap(-20.0, None) is None
    assert against(-20.0, None) == ""
    assert against(-20.0, None, "nothing to hold") == "; no baseline: nothing to hold"


def test_title_names_the_run(tmp_path):
    options = Train(system="safe_pendulum", logdir=tmp_path, seed=3)
    assert title(options, subject_of(options)) == "safe_pendulum, boundary projection, seed 3"
    options = Train(system="safe_pendulum", logdir=tmp_path, safeguard="none", safe_set="narrow")
    assert title(options, subject_of(options)) == "safe_pendulum (narrow), no safeguard, seed 0"


def test_json_stays_valid_when_a_return_is_not_finite(tmp_path):
    write_json(
        tmp_path / "x.json", {"a": float("nan"), "b": {"c": float("inf"), "d": 1.5}, "e": None}
    )
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": None,
        "b": {"c": None, "d": 1.5},
        "e": None,
    }
