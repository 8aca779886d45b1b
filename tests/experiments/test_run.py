"""Rows of a study from the training to the tables: resumed after a kill, judged independently, and
never mixed with rows of other settings.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers._records import write_record
from safe_wrappers.experiments import _run, is_finished, load_study, read_results, run_study
from safe_wrappers.experiments._row import folder_of
from safe_wrappers.experiments._tables import read_csv, write_csv

from .tiny import STUDY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny study, its first two rows run."""
    output = tmp_path_factory.mktemp("study")
    (output / "tiny.toml").write_text(STUDY)
    study = load_study(str(output / "tiny.toml"))
    run_study(study, output, rows=study.rows[:2])
    return output


@pytest.fixture
def pretended(monkeypatch):
    """Rows take no time: their folders are written with made-up numbers. Returns what was run."""
    done = []

    def pretend(row, output, report):
        report(row.num_timesteps * row.seeds)
        place = folder_of(output, row)
        place.mkdir(parents=True, exist_ok=True)
        line = {"row": row.name, "seed": 0, "interactions": 64, "return": -1}
        write_csv(place / "evaluations.csv", list(line), [line])
        write_csv(place / "runs.csv", list(line), [line])
        write_record(place / "row.json", {"digest": row.digest})
        done.append(row.name)

    monkeypatch.setattr(_run, "run_row", pretend)
    monkeypatch.setattr(_run, "run_reference", lambda row, output: None)
    monkeypatch.setattr(_run, "use_compilation_cache", lambda: None)
    return done


NAMES = [f"pendulum/shac/{name}" for name in ("none", "projection", "replacement")]


def test_behind_a_safeguard_nothing_leaves_and_without_one_both_counts_agree(folder):
    runs = read_results(folder).runs
    guarded = [run for run in runs if not run["row"].endswith("/none") or run["behind"]]
    assert len(guarded) == 4  # one row and one deployment, two seeds each
    for run in guarded:
        assert run["exits"] == run["judged_exits"] == run["final_exits"] == 0
        assert run["smallest_margin"] > 0
    (first, second) = (run for run in runs if run["row"].endswith("/none") and not run["behind"])
    for run in (first, second):
        assert run["exits"] == run["judged_exits"] > 0
        assert run["smallest_margin"] < 0
        assert run["training_exits"] > 0


def test_the_tables_have_one_line_per_evaluation_and_one_per_run(folder):
    evaluations = read_csv(folder / "evaluations.csv")
    assert [line["interactions"] for line in evaluations] == [0, 32, 64] * 4
    assert [line["seed"] for line in evaluations] == [0, 0, 0, 1, 1, 1] * 2
    runs = read_results(folder).runs
    assert [(run["row"], run["behind"], run["seed"]) for run in runs] == [
        (NAMES[0], "", 0),
        (NAMES[0], "", 1),
        (NAMES[0], "replacement", 0),
        (NAMES[0], "replacement", 1),
        (NAMES[1], "", 0),
        (NAMES[1], "", 1),
    ]
    last = {(line["row"], line["seed"]): line["return"] for line in evaluations}
    trained = [run for run in runs if not run["behind"]]
    assert all(run["return"] == last[run["row"], run["seed"]] for run in trained)


def test_seeds_differ_and_start_from_policies_of_their_own(folder):
    evaluations = read_csv(folder / "evaluations.csv")
    first = [line["return"] for line in evaluations if line["interactions"] == 0]
    assert len(set(first[2:4])) == 2  # behind the projection


def test_the_reference_is_that_of_the_command_line_on_the_same_episodes(folder):
    env = sw.envs.get_environment("safe_pendulum", safe_set="narrow", target_angle=0.8)
    controller = sw.evaluation.lqr(env)
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())
    reset, step, returns = jax.jit(guarded.reset), jax.jit(guarded.step), []
    for key in sw.evaluation.episode_keys(4, 0):
        state, total = reset(key), 0.0
        for _ in range(16):
            error = env.system.state(state) - controller.target
            action = np.clip(controller.action - controller.gain @ np.asarray(error), -1, 1)
            state = step(state, action)
            total += float(state.reward)
        returns.append(total)
    assert read_results(folder).references["pendulum"] == pytest.approx(np.mean(returns), rel=1e-4)


def test_curves_are_the_quantiles_of_the_seeds(folder):
    curve = next(line for line in read_results(folder).curves if line["row"] == NAMES[1])
    values = [
        line["return"]
        for line in read_csv(folder / "evaluations.csv")
        if line["row"] == NAMES[1] and line["interactions"] == 0
    ]
    assert curve["median"] == pytest.approx(np.mean(values), rel=1e-5)  # of two
    assert min(values) < curve["low"] < curve["median"] < curve["high"] < max(values)


def test_finished_rows_are_not_run_again(study, tmp_path, pretended):
    run_study(study, tmp_path, rows=study.rows[:1])
    run_study(study, tmp_path)
    assert pretended == NAMES


def test_a_row_of_other_settings_is_run_again(study, tmp_path, pretended):
    run_study(study, tmp_path)
    row = dataclasses.replace(study.rows[1], seeds=1)
    changed = dataclasses.replace(study, rows=(study.rows[0], row, study.rows[2]))
    assert not is_finished(tmp_path, row)
    run_study(changed, tmp_path)
    assert pretended == [*NAMES, NAMES[1]]


def test_a_damaged_row_is_run_again(study, tmp_path, pretended):
    run_study(study, tmp_path)
    record = folder_of(tmp_path, study.rows[2]) / "row.json"
    record.write_text(record.read_text()[:-20])
    run_study(study, tmp_path)
    assert pretended == [*NAMES, NAMES[2]]


def test_a_row_that_fails_is_told_and_does_not_keep_others_from_running(
    study, tmp_path, pretended, monkeypatch
):
    working = _run.run_row

    def fail(row, output, report):
        if row.name == NAMES[1]:
            raise ValueError("what\n is wrong")
        working(row, output, report)

    monkeypatch.setattr(_run, "run_row", fail)
    events = []
    results = run_study(study, tmp_path, progress=events.append)
    assert [event.error for event in events if event.error] == ["ValueError: what is wrong"]
    assert [line["row"] for line in results.runs] == [NAMES[0], NAMES[2]]
    assert sum(event.interactions for event in events) == 2 * 2 * 64


def test_two_processes_do_not_write_into_one_folder(study, tmp_path, pretended):
    tmp_path.joinpath("out").mkdir()
    with _run.lock(tmp_path / "out" / ".lock"):
        with pytest.raises(ValueError, match=f"but process {os.getpid()} writes there"):
            run_study(study, tmp_path / "out")
    assert pretended == []


def test_a_wrong_option_is_found_before_anything_is_trained(written, tmp_path, pretended):
    for old, new, message in (
        ("num_envs = 4", "num_env = 4", "'num_env'.*Did you mean 'num_envs'"),
        ('safe_set = "narrow"', 'safe_set = "narow"', "pendulum/shac/none cannot be built.*narow"),
        ("[safeguards.projection]", "[safeguards.projection]\noptions = { blend = 2 }", "blend"),
    ):
        with pytest.raises(ValueError, match=message):
            run_study(load_study(written((old, new))), tmp_path / "out")
    assert pretended == []


@pytest.mark.slow  # compiles in processes of its own
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill", "Ctrl-C"])
def test_rows_at_once_give_the_same_and_go_on_where_they_stopped(folder, tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom safe_wrappers.cli import main\n"
        "if __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    asked = ["experiment", str(folder / "tiny.toml"), "--output", str(out), "--processes", "2"]
    asked += ["--rows", *NAMES[:2]]
    started = subprocess.Popen([sys.executable, script, *asked], start_new_session=True)
    while not list(out.glob("rows/pendulum*")):
        assert started.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(0.2)
    os.killpg(started.pid, how)
    code = started.wait(60)
    before = {path: path.stat().st_mtime for path in out.glob("rows/*/row.json")}
    assert len(before) >= 1
    assert code == (130 if how is signal.SIGINT else -how) or len(before) == 2
    assert subprocess.run([sys.executable, script, *asked]).returncode == 0
    assert all(path.stat().st_mtime == time for path, time in before.items())
    assert list(out.glob("rows/.*")) == []
    here, there = read_results(folder), read_results(out)
    assert here.references == there.references
    for mine, yours in zip(here.runs, there.runs, strict=True):
        assert mine["return"] == pytest.approx(yours["return"], rel=1e-3)
