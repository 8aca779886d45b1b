"""docs/results.md is the page that the tables in benchmarks/results/experiments make."""

import importlib.util
import pathlib

import pytest

from safe_wrappers.experiments import Results

from .experiments.test_statistics import run

ROOT = pathlib.Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("results", ROOT / "docs" / "results.py")
results = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(results)


def test_the_page_is_the_one_that_the_tables_make():
    assert results.PAGE.read_text(encoding="utf-8") == results.page(results.kept()), (
        "Run `python docs/results.py`."
    )


def test_every_row_of_a_study_that_is_kept_is_one_of_the_study():
    for study, kept in results.kept().values():
        assert {line["row"] for line in kept.runs} <= {row.name for row in study.rows}


def goals(**given):
    """The table of goals for one safeguard beside none, as goal -> (measured, reached)."""
    line = {"return": -10.1, "interactions_to_own_95_percent": 4000} | given
    runs = [
        run("pendulum/shac/none", **{"return": -10.0}),
        run("pendulum/shac/projection", **line),
    ]
    table = results.shown(Results(runs, [], {"pendulum": -10.0}))
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if "|" in line][2:]
    return {goal: (measured, reached) for goal, measured, reached in lines}


def test_goals_that_are_reached_are_said_to_be():
    assert {reached for _, reached in goals().values()} == {"yes"}


@pytest.mark.parametrize(
    ("given", "goal", "measured"),
    [
        ({"return": -10.4}, "every safeguard within 3 % of the reference, median", "4.00 %"),
        ({"return": -20.0}, "no run stuck", "1"),
        ({"judged_exits": 1}, "no exit, in training and evaluation", "1"),
        ({"training_exits": 3}, "no exit, in training and evaluation", "3"),
        (
            {"interactions_to_own_95_percent": 5000},
            "at most 4,500 interactions to own 95 %, median",
            "5,000",
        ),
        ({"return": -10.25}, "none more than 2 % below no safeguard, median", "2.50 %"),
    ],
)
def test_goals_that_are_missed_are_said_to_be(given, goal, measured):
    assert goals(**given)[goal] == (measured, "no")


def test_without_the_rows_nothing_is_claimed():
    assert results.shown(Results([], [], {})) == ""
