"""The command line with a system that has no safe set."""

import json

import pytest

from .conftest import TINY


def test_certify_says_what_stands_behind_explicit_safe_action_sets(run_main, capsys):
    assert run_main("certify", "safe_seeker") == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith("safe_seeker: certified: the lemma in safe_wrappers.envs.seeker")
    assert run_main("certify", "safe_seeker", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["status"], record["proved"]) == ("certified", False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("certify", "safe_seeker", "--safe-set", "wide"), "no safe sets to choose from"),
        (
            ("train", "safe_seeker", "--safe-set", "wide", "--logdir", "run"),
            "no safe sets to choose from",
        ),
        (
            ("train", "safe_seeker", "--backend", "generalized", "--logdir", "run"),
            "--backend is 'generalized', but it must be one of 'closed_form'",
        ),
        (
            ("synthesise", "safe_seeker", "--facets", "8", "--output", "set.json"),
            "there is no safe set to search for",
        ),
    ],
)
def test_what_needs_a_safe_set_is_refused_in_one_line(
    run_main, capsys, monkeypatch, tmp_path, args, message
):
    monkeypatch.chdir(tmp_path)
    assert run_main(*args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_seeker_is_trained_and_evaluated(run_main, tmp_path):
    folder = tmp_path / "run"
    assert (
        run_main(
            *("safe_seeker" if arg == "safe_pendulum" else arg for arg in TINY), "--logdir", folder
        )
        == 0
    )
    assert run_main("evaluate", folder) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["safe_set"] is None
    assert summary["lqr_return"] is None
    assert summary["violations"] == 0
    assert (folder / "map.png").exists()
    assert (folder / "evaluation" / "map.png").exists()
