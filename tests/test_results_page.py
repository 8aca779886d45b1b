"""docs/results.md is the page that the tables in benchmarks/results/experiments make."""

import importlib.util
import pathlib

import pytest

from safe_wrappers.experiments import Results, load_study

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


def tables(folder, rows):
    """A folder of results of these rows, name -> return."""
    folder.mkdir(exist_ok=True)
    for table, first, lines in (
        ("runs.csv", "row", rows),
        ("curves.csv", "row", rows),
        ("references.csv", "task", {"pendulum": -5.0}),
    ):
        text = f"{first},machine,return\n"
        text += "".join(f'{name},"Linux, 2 cores",{value}\n' for name, value in lines.items())
        (folder / table).write_text(text, encoding="utf-8")
    return folder


def test_rows_that_were_not_run_anew_are_kept_in_the_order_of_the_study(tmp_path):
    kept, study = tmp_path / "kept", load_study("paper")
    first = {"pendulum/shac/none": -5.7, "pendulum/sac/ray": -9.0, "pendulum/ppo/none": -8.0}
    results.keep(tables(tmp_path / "first", first), kept, study)
    second = {"pendulum/ppo/none": -7.0, "pendulum/sac/none": -6.0}
    results.keep(tables(tmp_path / "second", second), kept, study)
    expected = dict.fromkeys(row.name for row in study.rows if row.name in first | second)
    expected = {name: (first | second)[name] for name in expected}
    assert (kept / "runs.csv").read_bytes() == (
        tables(tmp_path / "both", expected) / "runs.csv"
    ).read_bytes()
    assert (kept / "references.csv").read_text() == (
        tmp_path / "first" / "references.csv"
    ).read_text()
