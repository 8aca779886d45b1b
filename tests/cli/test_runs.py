"""`train` and `evaluate`, in one file: one tiny training serves all tests, and a file runs in one
process.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import matplotlib.image
import numpy as np
import pytest
from params import slow
from PIL import Image

from safe_wrappers._files import lock
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


def change_history(folder, change):
    """Changes the evaluations that the checkpoints of a run hold."""
    for found in (folder / "checkpoints").iterdir():
        history = json.loads((found / "history.json").read_text())
        for row in history:
            change(row)
        (found / "history.json").write_text(json.dumps(history))
        shac.checkpoint._seal(found)


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


def test_viewer_and_gif_show_the_episode(finished_run):
    page = (finished_run / "viewer.html").read_text()
    assert "safe_pendulum, boundary projection, seed 5" in page
    episode = json.loads(re.search(r"const episode = (.*);\n", page).group(1))
    assert np.shape(episode["positions"]) == (17, 2, 3)
    assert len(episode["margin"]) == len(episode["intervention"]) == 16
    # The rod turns about the hinge at the origin, half of its length away, and it moves.
    rod = np.array(episode["positions"])[:, 1]
    assert np.linalg.norm(rod, axis=1) == pytest.approx(0.5, abs=1e-3)
    assert np.ptp(rod, axis=0).max() > 1e-2
    with Image.open(finished_run / "episode.gif") as gif:
        assert gif.n_frames == 17


def test_the_viewer_needs_no_internet(finished_run):
    page = (finished_run / "viewer.html").read_text()
    assert not re.search(r"https?:|src=|import |@import|url\(|fetch\(", page)


def test_a_finished_run_is_not_overwritten(run_main, finished_run, capsys):
    before = (finished_run / "summary.json").stat().st_mtime_ns
    assert run_main(*TINY, "--logdir", finished_run) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"safe-wrappers evaluate {finished_run}" in error
    assert "extend it with a larger --num-timesteps" in error
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


@pytest.mark.parametrize("damaged", [*slow(None), 300])
def test_the_rows_and_the_summary_come_from_the_checkpoint(
    run_main, finished_run, tmp_path, damaged
):
    folder = reopened(finished_run, tmp_path)
    shutil.rmtree(folder / "checkpoints" / "000000000064")
    file = folder / "metrics.csv"
    if damaged is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:damaged])
    assert run_main(*TINY, "--logdir", folder) == 0
    times = ("training/sps", "training/walltime")
    resumed, whole = (
        [{name: row[name] for name in row if name not in times} for row in read_rows(each)]
        for each in (folder, finished_run)
    )
    assert resumed == whole
    summaries = [json.loads((each / "summary.json").read_text()) for each in (folder, finished_run)]
    for summary in summaries:
        for name in ("run_seconds", "compile_seconds", "checksum"):
            assert summary.pop(name)
        assert summary["options"].pop("logdir")
    assert summaries[0] == summaries[1]


def test_old_checkpoints_are_deleted_as_told_and_this_may_change(run_main, finished_run, tmp_path):
    folder = reopened(finished_run, tmp_path)
    shutil.rmtree(folder / "checkpoints" / "000000000064")
    change_history(folder, lambda row: row.update({"eval/return": -1e9}))  # 64 will be the best
    assert run_main(*TINY, "--logdir", folder, "--keep", "1") == 0
    assert [each.name for each in (folder / "checkpoints").iterdir()] == ["000000000064"]


def test_ctrl_c_while_compiling_acts_at_once(run_main, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        _train_command.shac, "train", lambda *_, **__: signal.raise_signal(signal.SIGINT)
    )
    assert run_main(*TINY, "--logdir", tmp_path / "run") == 130
    assert (
        "nothing was saved yet. Run the same command again to start anew."
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("signals", [*slow(1), 2])
def test_signals_to_a_real_process_that_compiles_leave_a_folder_that_resumes(
    run_main, tmp_path, capfd, signals
):
    code = "import sys; from safe_wrappers.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *TINY, "--logdir", str(tmp_path / "run")]
    # Without a cache, so that it does compile, and has not ended before the signal comes.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        while "Compiling first" not in (line := process.stdout.readline()):
            assert line
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        ended = process.wait(60)
    # The second one may come while the interpreter ends, which dies of it, and not quietly.
    assert ended == 130 or (signals == 2 and ended == -signal.SIGINT)
    said = capfd.readouterr().err
    assert "nterrupted" in said
    # The first one may come while Python ends an object, where an exception goes no further; then
    # it is obeyed at the next moment at which everything is on disk.
    assert signals == 2 or "Traceback" not in said or said.startswith("Exception ignored in")
    if signals == 2:
        assert run_main(*TINY, "--logdir", tmp_path / "run") == 0


def test_a_violation_behind_a_safeguard_is_loud_and_fails(run_main, finished_run, tmp_path, capsys):
    folder = reopened(finished_run, tmp_path)

    def violate(row):
        if row["interactions"] == 32:
            row["eval/violations"] = 3.0

    change_history(folder, violate)
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
        "episode.gif",
        "metrics.csv",
    ):
        assert name in lines[-1]


def test_a_logdir_that_cannot_be_written_is_refused(run_main, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert run_main(*TINY, "--logdir", tmp_path / "file" / "run") == 2
    assert "must be a folder that can be written to" in capsys.readouterr().err


def test_a_folder_in_which_another_process_trains_is_refused(run_main, finished_run, capsys):
    with lock(finished_run / ".lock"):
        assert run_main(*TINY, "--logdir", finished_run) == 2
    assert f"the process {os.getpid()} trains in {finished_run}" in capsys.readouterr().err


def test_a_finished_run_is_extended_and_says_what_becomes_of_its_schedules(
    run_main, finished_run, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    extended = list(TINY)
    extended[extended.index("64")] = "128"
    assert run_main(*extended, "--logdir", folder) == 0
    said = capsys.readouterr().out
    assert "from 64 to 128 interactions; it stands at 64" in said
    assert "the learning rate goes on at 51% of its first value, and the regularisation at 0%" in (
        said
    )
    rows = read_rows(folder)
    assert [row["interactions"] for row in rows] == ["0", "32", "64", "128"]
    assert rows[:3] == read_rows(finished_run)
    assert json.loads((folder / "summary.json").read_text())["interactions"] == 128
    assert run_main(*TINY, "--logdir", folder) == 2
    assert "--num-timesteps 128, not 64; it can only grow" in capsys.readouterr().err


def damage(folder, steps):
    (folder / "checkpoints" / f"{steps:012d}" / "training_state" / "_METADATA").write_text("{}")


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    run_main, finished_run, tmp_path, capsys
):
    folder = reopened(finished_run, tmp_path)
    (folder / "checkpoints" / ".incomplete-xyz").mkdir()
    damage(folder, 64)
    assert run_main(*TINY, "--logdir", folder) == 0
    printed = capsys.readouterr()
    wrong = f"the checkpoint of 64 interactions in {folder} cannot be read: its file "
    assert wrong + "training_state/_METADATA is not what was written." in printed.err
    assert "that of 32 is taken." in printed.err
    assert "at 32 of 64 interactions" in printed.out
    assert not (folder / "checkpoints" / ".incomplete-xyz").exists()
    for row, whole in zip(read_rows(folder), read_rows(finished_run), strict=True):
        assert float(row["eval/return"]) == pytest.approx(float(whole["eval/return"]), rel=1e-4)

    damage(folder, 64)
    assert run_main("evaluate", folder, "--checkpoint", "64") == 2
    error = capsys.readouterr().err
    assert "checkpoint of 64 interactions in" in error
    assert "its file training_state/_METADATA is not what was written; --checkpoint can" in error
    assert "be 32." in error
    damage(folder, 32)
    assert run_main("evaluate", folder) == 2
    assert "No checkpoint in" in capsys.readouterr().err


def test_the_best_checkpoint_is_that_of_the_highest_return(
    run_main, finished_run, tmp_path, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    rows = read_rows(finished_run)
    best = max(rows[1:], key=lambda row: float(row["eval/return"]))["interactions"]
    better = {"32": "64", "64": "32"}[best]

    def swap(row):  # the other one becomes the best
        row["eval/return"] = {0: -1.0, int(better): -2.0}.get(row["interactions"], -3.0)

    change_history(folder, swap)
    # The best evaluation of all is that before training, which has no checkpoint.
    assert run_main("evaluate", folder, "--checkpoint", "best") == 0
    assert f"checkpoint {int(better):012d}" in capsys.readouterr().out
    assert run_main("evaluate", folder, "--checkpoint", "48") == 2
    assert "--checkpoint must be 'last', 'best' or one of 32, 64, but it is 48." in (
        capsys.readouterr().err
    )


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
    assert {"phase_portrait.png", "viewer.html", "episode.gif"} <= {
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


@pytest.mark.slow
def test_virtual_inputs_are_trained_and_a_run_remembers_it(run_main, tmp_path):
    command = ["safe_arm" if word == "safe_pendulum" else word for word in TINY]
    assert run_main(*command, "--logdir", tmp_path, "--commands", "virtual") == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["options"]["commands"] == "virtual"
    assert summary["guarantee"]["status"] == "proved"
    assert run_main("evaluate", tmp_path, "--num-episodes", 2) == 0


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
    assert given["num_envs"] == 8  # the default
    for guard, weight in (("boundary_projection", 1.0), ("ray_mask", 0.0), ("none", 0.0)):
        given.clear()
        logdir = tmp_path / guard
        run_main("train", "safe_arm", "--logdir", logdir, "--safeguard", guard, "--links", "2")
        assert given["learning_rate"] == shac.TUNED["safe_arm"]["learning_rate"]
        assert given["regularisation"] == weight
