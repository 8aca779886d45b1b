"""The page of a study says what its numbers say, and nothing else."""

import re

import pytest

from safe_wrappers.experiments import Results, as_markdown, curve_figures, findings

from .test_statistics import run

REFERENCE = {"pendulum": -10.0}


def results(*runs, references=REFERENCE):
    names = dict.fromkeys(each["row"] for each in runs)
    curves = [
        {"row": name, "interactions": steps, "median": -9.0, "low": -11.0, "high": -8.0}
        for name in names
        for steps in (0, 64)
    ]
    return Results(list(runs), curves, references)


def named(name, value, **given):
    return run(f"pendulum/shac/{name}", **{"return": value, **given})


def test_the_paper_stands_beside_what_was_measured(study):
    page = as_markdown(study, results(named("projection", -10.0), named("projection", -10.4)))
    head, line = (
        [cell.strip() for cell in row.split("|")]
        for row in page.splitlines()
        if "return, mean" in row or "| boundary projection |" in row
    )
    cells = dict(zip(head, line, strict=True))
    assert cells["return, mean [95 %]"] == "-10.2 [-10.4, -10]"
    assert cells["paper's return"] == "-8.4"
    assert cells["gap, median / worst"] == "2 % / 4 %"
    assert (cells["stuck"], cells["paper's stuck"]) == ("0 of 2", "2 of 10")
    assert cells["paper's"] == "23,400"
    assert cells["paper's, one seed"] == "-"
    assert cells["exits: training / evaluations / last one"] == "0 / 0 / 0"
    assert "boundary projection, -10 from the same starts" in page


def test_without_a_reference_and_a_publication_their_columns_are_missing(study):
    page = as_markdown(study, results(named("none", -10.0), references={}))
    assert "There is no reference." in page
    assert "paper's" not in page
    assert "gap" not in page
    assert "stuck" not in page


def test_a_deployed_policy_stands_beside_one_that_was_trained_so(study):
    page = as_markdown(
        study,
        results(
            named("none", -9.0),
            named("none", -13.0, behind="replacement", unsafe_requests=0.125),
            named("replacement", -11.0),
        ),
    )
    table = page[page.index("### pendulum: trained with none, deployed behind others") :]
    (line,) = re.findall(r"^\| replacement \|.*", table, re.MULTILINE)
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "replacement",
        *("-13 [-13, -13]", "30 % / 30 %", "12 %", "0"),
        *("-11 [-11, -11]", "10 % / 10 %", "50 %"),
    ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Safety: no exit in all evaluations of 2 policies behind a safeguard"),
        ({"judged_exits": 3}, "Safety: 3 exits in all evaluations of 2 policies"),
        ({"training_exits": 1}, "Safety in training: 1 exit in 2 trainings behind a safeguard"),
    ],
)
def test_exits_behind_a_safeguard_are_said_first(study, given, sentence):
    found = findings(study, results(named("projection", -9.0, **given), named("replacement", -9.0)))
    assert any(line.startswith(sentence) for line in found[:2])


def test_exits_without_a_safeguard_are_none_of_a_safeguard(study):
    found = findings(
        study, results(named("none", -9.0, training_exits=5, exits=7), named("projection", -9.0))
    )
    assert found[0].startswith("Safety: no exit")
    assert found[1].startswith("Safety in training: no exit in 1 training")
    assert "left the safe set in 5 steps of its trainings" in found[-1]


def test_trainings_that_nobody_counts_are_not_called_safe(study):
    found = findings(study, results(named("projection", -9.0, training_exits=None)))
    assert not any("Safety in training" in line for line in found)
    found = findings(
        study, results(named("projection", -9.0, training_exits=None), named("replacement", -9.0))
    )
    assert "in 1 training behind" in found[1]
    assert found[1].endswith("what happens in 1 other row their trainers do not tell.")


def test_returns_of_policies_that_leave_are_compared_with_nothing(study):
    found = findings(study, results(named("none", -3.0, final_exits=9), named("projection", -9.0)))
    assert "outside of the safe set in 9 steps" in found[-1]
    assert not any("above that of the training" in line for line in found)


def test_the_cost_of_a_safeguard_is_that_of_the_worst_median(study):
    found = findings(
        study,
        results(named("none", -10.0), named("projection", -9.0), named("replacement", -10.5)),
    )
    assert "(replacement) is 5 % below that of the training without one" in found[-1]


def test_stuck_runs_are_named(study):
    found = findings(study, results(named("projection", -20.0), named("replacement", -10.0)))
    assert any("1 run of 2 stuck (boundary projection 1 of 1)." in line for line in found)


def test_one_row_has_one_gap_and_no_range(study):
    found = findings(study, results(named("projection", -9.0)))
    assert any("the median run ends -10 % below the reference" in line for line in found)
    found = findings(study, results(named("projection", -9.0), named("replacement", -11.0)))
    assert any("the median run ends -10 % to 10 % below the reference" in line for line in found)


def test_a_gap_of_billions_is_written_by_its_order_of_magnitude(study):
    page = as_markdown(study, results(named("none", -1.1e9)))
    assert "| 1e+10 % / 1e+10 % |" in page


def test_rows_that_were_not_run_are_named(study):
    page = as_markdown(study, results(named("projection", -9.0)))
    assert "1 of 3 rows of the study are finished; not run: pendulum/shac/none, pend" in page
    assert "not run" not in as_markdown(
        study, results(*(named(name, -9.0) for name in ("none", "projection", "replacement")))
    )


def test_what_it_costs_to_train_without_the_safeguard_is_said(study):
    found = findings(
        study,
        results(
            named("none", -9.0),
            named("none", -13.0, behind="replacement"),
            named("replacement", -11.0),
        ),
    )
    assert found[-1].startswith("pendulum, SHAC: policies that were trained with none and deployed")
    assert found[-1].endswith("that were trained with it: replacement 30 % (10 %).")


def test_shares_close_to_one_are_written_as_percents(study):
    given = {"unsafe_requests": 0.998, "training_unsafe_requests": 0.0996}
    assert "| 10 % / 100 % |" in as_markdown(study, results(named("projection", -9.0, **given)))


def test_no_result_is_said(study):
    assert as_markdown(study, Results([], [], {})) == "No row is finished.\n"


def test_the_figure_has_one_picture_per_finished_row(study):
    figures = curve_figures(study, results(named("none", -9.0), named("projection", -9.0)))
    (figure,) = figures.values()
    assert list(figures) == ["pendulum_shac"]
    titles = [ax.get_title() for ax in figure.axes if ax.get_visible()]
    assert titles == ["none", "boundary projection"]
