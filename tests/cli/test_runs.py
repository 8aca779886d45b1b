"""`train` and `evaluate`, in one file: one tiny training serves all tests, and a file runs in one
process.
"""

import base64
import csv
import json
import re
import shutil
import signal
import zlib

import matplotlib.image
import numpy as np
import pytest

from safe_wrappers.algos import shac
from safe_wrappers.cli import _train_command
from safe_wrappers.evaluation import Episodes

from .conftest import TINY


def read_rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def reopened(finished_run, tmp_path):
    """A copy of the finished run that counts as interrupted."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    (folder / "summary.json").unlink()
    return folder


def test_summary_holds_what_a_table_needs(finished_run):
    summary = json.loads((finished_run / "summary.json").read_text())
    assert summary["system"] == "safe_pendulum"
    assert summary["safeguard"] == "boundary_projection"
    assert summary["safe_set"] == "full"
    assert summary["guarantee"]["status"] == "proved"
    assert "steps this very model" in summary["guarantee"]["by"]
    assert len(summary["guarantee"]["assumptions"]) == 3
    assert summary["seed"] == 5
    assert summary["options"]["episode_length"] == 16
    assert summary["interactions"] == 64
    assert summary["resets"] >= 4
    assert summary["evaluation_episodes"] == 128
    assert summary["violations"] == summary["violations_in_training"] == summary["fallbacks"] == 0
    assert 0 <= summary["interventions"] <= 64
    assert 0 < summary["smallest_margin"] < 1
    assert summary["compile_seconds"] > 0
    assert summary["run_seconds"] > 0
    assert set(summary["versions"]) == {"safe_wrappers", "jax", "brax", "python"}
    returns = [float(row["eval/return"]) for row in read_rows(finished_run)]
    assert summary["final_return"] == returns[-1]
    assert summary["best_return"] == max(returns)
    assert summary["lqr_return"] > max(returns)
    assert summary["gap_to_lqr"] == pytest.approx(returns[-1] / summary["lqr_return"] - 1)


def test_metrics_have_a_row_for_each_evaluation(finished_run):
    rows = read_rows(finished_run)
    assert [row["interactions"] for row in rows] == ["0", "32", "64"]
    assert all(float(row["eval/violations"]) == 0 for row in rows)
    assert float(rows[-1]["training/value_loss"]) > 0
    assert any((finished_run / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("name", ["learning_curve.png", "phase_portrait.png"])
def test_pictures_show_something(finished_run, name):
    pixels = matplotlib.image.imread(finished_run / name)
    assert min(pixels.shape[:2]) > 500
    assert pixels[..., :3].std() > 0.05
    assert pixels[-1, -1, :3].tolist() == [1, 1, 1]


def test_viewer_holds_the_episode(finished_run):
    page = (finished_run / "viewer.html").read_text()
    encoded = re.search(r'var system = "([^"]+)"', page).group(1)
    system = json.loads(zlib.decompress(base64.b64decode(encoded)))
    frames = system["states"]["x"]
    assert len(frames) == 17
    # The rod's frame turns about the hinge: unit quaternions about y at the origin, and it moves.
    rotations = np.array([frame["rot"][0] for frame in frames])
    assert np.linalg.norm(rotations, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(rotations[:, [1, 3]]).max() < 1e-6
    assert np.ptp(rotations, axis=0).max() > 1e-2
    assert np.abs([frame["pos"][0] for frame in frames]).max() < 1e-6


def test_a_finished_run_is_not_overwritten(run_main, finished_run, capsys):
    before = (finished_run / "summary.json").stat().st_mtime_ns
    assert run_main(*TINY, "--logdir", finished_run) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"safe-wrappers evaluate {finished_run}" in error
    assert (finished_run / "summary.json").stat().st_mtime_ns == before


def test_an_interrupted_run_resumes_and_ends_like_an_uninterrupted_one(
    run_main, finished_run, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "run"
    write = _train_command.MetricsWriter.write

    def ctrl_c_in_the_middle(self, interactions, metrics):
        if interactions == 32:
            signal.raise_signal(signal.SIGINT)
        return write(self, interactions, metrics)

    with monkeypatch.context() as patch:
        patch.setattr(_train_command.MetricsWriter, "write", ctrl_c_in_the_middle)
        assert run_main(*TINY, "--logdir", folder) == 130
    interrupted = capsys.readouterr().err
    assert (
        "Interrupted; saved at 32 interactions. Run the same command again to resume."
        in interrupted
    )
    assert "Traceback" not in interrupted
    assert not (folder / "summary.json").exists()

    assert run_main(*TINY, "--logdir", folder, "--seed", "6") == 2
    assert "--seed 5, not 6" in capsys.readouterr().err

    assert run_main(*TINY, "--logdir", folder) == 0
    assert (
        f"Resuming the interrupted run in {folder} at 32 of 64 interactions."
        in capsys.readouterr().out
    )
    resumed, whole = read_rows(folder), read_rows(finished_run)
    assert [row["interactions"] for row in resumed] == ["0", "32", "64"]
    for name in (
        "eval/return",
        "training/value_loss",
        "training/interventions",
        "training/smallest_margin",
    ):
        assert [float(row[name] or 0) for row in resumed] == pytest.approx(
            [float(row[name] or 0) for row in whole], rel=1e-4
        )


def test_ctrl_c_while_compiling_acts_at_once(run_main, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        _train_command.shac, "train", lambda *_, **__: signal.raise_signal(signal.SIGINT)
    )
    assert run_main(*TINY, "--logdir", tmp_path / "run") == 130
    assert (
        "nothing was saved yet. Run the same command again to start anew."
        in capsys.readouterr().err
    )


def test_a_violation_behind_a_safeguard_is_loud_and_fails(run_main, finished_run, tmp_path, capsys):
    folder = reopened(finished_run, tmp_path)
    text = (folder / "metrics.csv").read_text()
    lines = [line.split(",") for line in text.splitlines()]
    lines[2][lines[0].index("eval/violations")] = "3.0"
    (folder / "metrics.csv").write_text("\n".join(",".join(line) for line in lines) + "\n")
    assert run_main(*TINY, "--logdir", folder) == 1
    printed = capsys.readouterr()
    assert (
        "VIOLATION: 3 states lay outside the safe set although boundary_projection was on."
        in printed.err
    )
    assert json.loads((folder / "summary.json").read_text())["violations"] == 3
    # What is printed is short and names the files.
    lines = printed.out.splitlines()
    assert len(lines) < 10
    assert any("3 violations (0 in training)" in line for line in lines)
    for name in (
        "summary.json",
        "learning_curve.png",
        "phase_portrait.png",
        "viewer.html",
        "metrics.csv",
    ):
        assert name in lines[-1]


def test_a_logdir_that_cannot_be_written_is_refused(run_main, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert run_main(*TINY, "--logdir", tmp_path / "file" / "run") == 2
    assert "must be a folder that can be written to" in capsys.readouterr().err


def test_the_newest_checkpoint_is_replayed_on_the_episodes_of_the_training(
    run_main, finished_run, capsys
):
    assert run_main("evaluate", finished_run) == 0
    assert "checkpoint 000000000064, 128 episodes of 16 steps" in capsys.readouterr().out
    trained = json.loads((finished_run / "summary.json").read_text())
    replayed = json.loads((finished_run / "evaluation" / "summary.json").read_text())
    assert replayed["return"] == pytest.approx(trained["final_return"], rel=1e-5)
    assert replayed["lqr_return"] == pytest.approx(trained["lqr_return"], rel=1e-5)
    assert replayed["violations"] == 0
    assert {"phase_portrait.png", "viewer.html"} <= {
        file.name for file in (finished_run / "evaluation").iterdir()
    }


def test_violations_of_a_safeguarded_policy_fail(run_main, finished_run, capsys, monkeypatch):
    metrics = Episodes.metrics
    monkeypatch.setattr(Episodes, "metrics", lambda self: metrics(self) | {"eval/violations": 2})
    assert run_main("evaluate", finished_run, "--seed", "1") == 1
    summaries = [
        json.loads((folder / "summary.json").read_text())
        for folder in (finished_run, finished_run / "evaluation")
    ]
    assert summaries[0]["final_return"] != summaries[1]["return"]
    printed = capsys.readouterr()
    assert "VIOLATION: 2 states" in printed.err


@pytest.mark.slow
def test_without_a_safeguard_violations_are_counted_and_no_failure(run_main, tmp_path):
    options = ("--safeguard", "none", "--safe-set", "narrow", "--logdir", tmp_path / "run")
    assert run_main(*TINY, *options) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["violations"] > 0
    assert summary["interventions"] == 0
    assert summary["smallest_margin"] < 0
    assert summary["guarantee"] is None


def test_a_system_is_trained_with_its_tuned_settings_and_options_go_before_them(
    run_main, tmp_path, monkeypatch
):
    given = {}

    def train(*_, **settings):
        given.update(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(shac, "train", train)
    assert (
        run_main("train", "safe_cart_pole", "--logdir", tmp_path / "run", "--horizon-length", "16")
        == 130
    )
    assert given["train_episode_length"] == shac.TUNED["safe_cart_pole"]["train_episode_length"]
    assert given["horizon_length"] == 16
    assert "num_envs" not in given
