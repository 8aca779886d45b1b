import json

import pytest

from safe_wrappers.cli._episodes import Episodes


def test_the_newest_checkpoint_is_replayed_on_the_episodes_of_the_training(run_main, finished_run, capsys):
    assert run_main("evaluate", finished_run) == 0
    assert "checkpoint 000000000064, 128 episodes of 16 steps" in capsys.readouterr().out
    trained = json.loads((finished_run / "summary.json").read_text())
    replayed = json.loads((finished_run / "evaluation" / "summary.json").read_text())
    assert replayed["return"] == pytest.approx(trained["final_return"], rel=1e-5)
    assert replayed["lqr_return"] == pytest.approx(trained["lqr_return"], rel=1e-5)
    assert replayed["violations"] == 0
    assert {"phase_portrait.png", "viewer.html"} <= {file.name for file in (finished_run / "evaluation").iterdir()}


def test_violations_of_a_safeguarded_policy_fail(run_main, finished_run, capsys, monkeypatch):
    metrics = Episodes.metrics
    monkeypatch.setattr(Episodes, "metrics", lambda self: metrics(self) | {"eval/violations": 2})
    assert run_main("evaluate", finished_run, "--seed", "1") == 1
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (finished_run, finished_run / "evaluation")]
    assert summaries[0]["final_return"] != summaries[1]["return"]
    printed = capsys.readouterr()
    assert "VIOLATION: 2 states" in printed.err
