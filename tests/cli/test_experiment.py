"""`safe-wrappers experiment`: lists, trials, pages and exit codes; what rows do is tried in
tests/experiments.
"""

import pytest

from safe_wrappers.experiments import Results, load_study
from safe_wrappers.experiments._tables import write_results


@pytest.fixture
def output(tmp_path):
    """A folder with the tables of one row of the paper's study."""

    def write(**given):
        run = {
            **{"row": "pendulum/shac/projection", "seed": 0, "return": -6.0, "exits": 0},
            **{"interactions_to_own_95_percent": 64, "unsafe_requests": 0.0, "judged_exits": 0},
            **{"final_exits": 0, "training_exits": 0, "row_seconds": 1.0, "machine": "here"},
        }
        curve = {"row": run["row"], "interactions": 0, "median": -9.0, "low": -9.5, "high": -8.0}
        write_results(tmp_path, Results([run | given], [curve], {"pendulum": -5.7}))
        return tmp_path

    return write


def test_the_list_names_every_row_and_what_is_finished(run_main, tmp_path, capsys):
    assert run_main("experiment", "paper", "--list", "--output", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [row.name for row in load_study("paper").rows]
    assert lines[0].endswith(": 10 seeds, 20,000 interactions, not run")


def test_rows_seeds_and_the_trial_are_chosen(run_main, tmp_path, capsys):
    asked = ("--list", "--rows", "*/ray", "--seeds", 3, "--quick", "--output", tmp_path)
    assert run_main("experiment", "paper", *asked) == 0
    assert capsys.readouterr().out == ("pendulum/shac/ray: 3 seeds, 4,096 interactions, not run\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("papr",), "Did you mean 'paper'"),
        (("paper", "--rows", "cart*"), "A row must match 'cart*', but none of paper does"),
        (("paper", "--seeds", "0"), "--seeds is 0, but it must be an integer of at least 1"),
        (("paper", "--processes", "0"), "--processes is 0, but it must be"),
        (("paper", "--report"), "no row of paper is finished in experiments/paper"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(
    run_main, tmp_path, monkeypatch, capsys, args, message
):
    monkeypatch.chdir(tmp_path)
    assert run_main("experiment", *args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_page_is_written_from_the_tables(run_main, output, capsys):
    folder = output()
    assert run_main("experiment", "paper", "--report", "--output", folder) == 0
    page = (folder / "results.md").read_text()
    assert page.startswith("# The paper's pendulum\n")
    assert "| boundary projection | -6 [-6, -6] | -8.4 | 5.3 % / 5.3 % | 0 of 1 |" in page
    assert "![pendulum_shac](pendulum_shac.png)" in page
    assert (folder / "pendulum_shac.png").stat().st_size > 5000
    assert "Safety: no exit" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["exits", "judged_exits", "training_exits"])
def test_an_exit_behind_a_safeguard_is_a_failure(run_main, output, capsys, column):
    folder = output(**{column: 2})
    assert run_main("experiment", "paper", "--report", "--output", folder) == 1
    assert "2 steps left a safe set" in capsys.readouterr().err


def test_an_exit_without_a_safeguard_is_none(run_main, output):
    folder = output(row="pendulum/shac/none", exits=2, judged_exits=2)
    assert run_main("experiment", "paper", "--report", "--output", folder) == 0
