"""Studies: what a file may say, and the one sentence that says what is wrong with it."""

import dataclasses

import pytest

from safe_wrappers import experiments
from safe_wrappers.experiments import StudyError, load_study


@pytest.mark.parametrize("name", experiments.study_names())
def test_the_studies_of_the_library_load_and_have_a_trial(name):
    study, trial = load_study(name), load_study(name, quick=True)
    names = [row.name for row in study.rows]
    assert len(set(names)) == len(names) > 0
    assert {row.name for row in trial.rows} <= set(names)
    work = [sum(row.seeds * row.num_timesteps for row in each.rows) for each in (study, trial)]
    assert work[1] < work[0] / 50
    assert study.text.endswith((".", "?"))


def test_the_study_of_the_paper_has_all_that_the_paper_compares():
    study = load_study("paper")
    guards = {(row.variant.safeguard, row.variant.regularisation > 0) for row in study.rows}
    assert {("none", False), ("boundary_projection", True), ("ray_mask", True)} <= guards
    assert {row.learner.algorithm for row in study.rows} == {"shac", "ppo", "sac"}
    assert {row.seeds for row in study.rows} == {10}
    (without,) = (entry for entry in study.published if entry.row == "pendulum/shac/none")
    assert without.values["return"] == -8.8
    assert len([entry for entry in study.published if "/shac/" in entry.row]) == 9


def test_rows_are_chosen_by_patterns(study):
    assert [row.name for row in study.chosen(["*/none", "pendulum/shac/rep*"])] == [
        "pendulum/shac/none",
        "pendulum/shac/replacement",
    ]
    assert study.chosen([]) == study.rows
    with pytest.raises(StudyError, match=r"match 'cart.*its rows are pendulum/shac/none, "):
        study.chosen(["cart/*"])


def test_a_trial_is_shorter_and_has_the_same_names(written):
    (row,) = load_study(written(), quick=True).rows
    assert (row.name, row.num_timesteps, row.seeds) == ("pendulum/shac/projection", 16, 1)
    assert (row.evaluations, row.episodes) == (3, 4)


def test_the_number_of_seeds_can_be_given(written):
    assert {row.seeds for row in load_study(written(), seeds=7).rows} == {7}
    with pytest.raises(StudyError, match="seeds must be an integer from 1 on, but it is 0"):
        load_study(written(), seeds=0)


def test_every_setting_changes_the_digest(written, study):
    row = study.rows[0]
    other = [
        dataclasses.replace(row, seeds=3),
        dataclasses.replace(row, deployed=()),
        dataclasses.replace(row, task=dataclasses.replace(row.task, num_timesteps=65)),
        dataclasses.replace(row, learner=dataclasses.replace(row.learner, options={})),
        dataclasses.replace(row, variant=dataclasses.replace(row.variant, regularisation=0.1)),
    ]
    assert len({row.digest, *(each.digest for each in other)}) == 6
    assert load_study(written()).rows[0].digest == row.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"safe_pendulum"', '"safe_pendulm"', r"tasks.pendulum.system must be one of .*pendulm"),
        ('"boundary_projection"', '"projection"', r"safeguards.projection.safeguard must be one"),
        ('algorithm = "shac"', 'algorithm = "apg"', r"must be one of shac, ppo, sac, but .*'apg'"),
        ('safeguards = ["none"]', 'safeguards = ["no"]', r"rows\[0\].safeguards must be one of"),
        ("seeds = 2", "seds = 2", r"an entry of defaults must be one of .*'seds'"),
        ("seeds = 2", "seeds = 2.5", r"seeds must be an integer from 1 on, but it is 2.5"),
        ("num_timesteps = 64\n", "", r"tasks.pendulum must have `num_timesteps`"),
        ("num_timesteps = 64", "num_timesteps = 0", r"num_timesteps must be an integer from 1"),
        ("evaluations = 3", "evaluations = 1", r"at least 2 evaluations"),
        ('"projection", "replacement"]', '"none"]', r"there once, but .*/none is there twice"),
        (
            "[learners.shac]",
            'reference = "optimum"\n[learners.shac]',
            r"without disturbances to be",
        ),
        ('safeguards = ["none"]', 'safeguards = "none"', r"must be a list of names, but it is 'no"),
        ('safeguards = ["none"]', "safeguards = [3]", r"safeguards must be a list of names"),
        (
            '[safeguards.none]\nsafeguard = "none"',
            "[safeguards]\nnone = 3",
            r"must be a table of names",
        ),
        ("options = { num", "options = 3\nx = { num", r"shac.options must be a table of names"),
        ("[[published]]", "[published]", r"published must be a list of tables \[\[published\]\]"),
        ("stuck = 2", "stack = 2", r"an entry of published\[0\] must be one of .*'stack'"),
        ("[safeguards.none]", "[safeguards.none]\nregularisation = -1", r"a number from 0 on"),
        ("title =", "title", r"must be a TOML file, but tiny.toml"),
        ('row = "pendulum/', 'row = "cart/', r"A row must match 'cart/"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(written, old, new, message):
    with pytest.raises(StudyError, match=message):
        load_study(written((old, new)))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match=r"must be a TOML file, but a.toml"):
        load_study(str(tmp_path / "a.toml"))
    (tmp_path / "b.toml").mkdir()
    with pytest.raises(StudyError, match="must be a file that exists"):
        load_study(str(tmp_path / "b.toml"))


def test_unknown_studies_are_refused_with_the_known_ones():
    with pytest.raises(StudyError, match="Did you mean 'paper'"):
        load_study("papr")
    with pytest.raises(StudyError, match=r"must be a file that exists, but nothing.toml"):
        load_study("nothing.toml")


def test_a_study_without_a_trial_says_so(written):
    old = '[quick]\nrows = ["*/projection"]\nnum_timesteps = 16\nseeds = 1\n'
    with pytest.raises(StudyError, match=r"must say in \[quick\] what a trial"):
        load_study(written((old, "")), quick=True)
