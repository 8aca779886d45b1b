"""`export`: from the folder of a run to a controller that needs neither."""

import json
import subprocess
import sys

import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.cli._export_command import _task
from safe_wrappers.cli._usage import UsageError

DRIVE = """
import sys; sys.path.insert(0, sys.argv[1])
import controller as exported
assert "jax" not in sys.modules
output = exported.load()([0.1, 0.2])
print(output.inside, output.feasible, abs(float(output.action[0])) <= 1)
"""


@pytest.fixture(scope="module")
def exported(finished_run, run_main, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "controller"
    assert run_main("export", finished_run, "--output", folder, "--calls", "10") == 0
    return folder


def test_the_policy_of_a_run_runs_in_another_process_with_numpy_alone(exported):
    printed = subprocess.run(
        [sys.executable, "-I", "-c", DRIVE, str(exported)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.split() == ["True", "True", "True"]
    description = json.loads((exported / "export.json").read_text())
    assert description["system"] == "safe_pendulum"
    assert description["safeguard"].startswith("BoundaryProjection")
    assert "| NumPy |" in (exported / "README.md").read_text()


def test_what_was_written_is_said(finished_run, run_main, tmp_path, capsys):
    options = ("--checkpoint", "best", "--safeguard", "replacement", "--calls", "0")
    assert run_main("export", finished_run, "--output", tmp_path / "out", *options) == 0
    printed = capsys.readouterr().out
    assert "behind Replacement" in printed
    assert "at 256 states" in printed
    assert "controller.py" in printed
    assert "median" not in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--checkpoint", "33"), "must be 'last', 'best' or one of 32, 64"),
        (("--safeguard", "boundary"), "did you mean 'boundary_projection'?"),
        (("--task", "goal=1,2"), "unknown task 'goal'"),
    ],
)
def test_a_wrong_option_is_one_line(finished_run, run_main, tmp_path, capsys, options, said):
    assert run_main("export", finished_run, "--output", tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_only_an_export_is_replaced(finished_run, run_main, capsys):
    assert run_main("export", finished_run, "--output", finished_run, "--calls", "0") == 2
    assert "holds something else" in capsys.readouterr().err


def test_what_is_no_run_is_refused(run_main, tmp_path, capsys):
    assert run_main("export", tmp_path, "--output", tmp_path / "out") == 2
    assert "is not the folder of a run" in capsys.readouterr().err


def test_a_task_of_each_episode_is_asked_for():
    env = sw.envs.get_environment("safe_quadrotor")
    np.testing.assert_array_equal(_task(("goal=6,-6",), env)["goal"], [6.0, -6.0])
    with pytest.raises(UsageError, match=r"needs goal beside the state.* --task goal=0,0"):
        _task((), env)
    for given in ("goal=1", "goal=1,nan", "goal=a,b", "goal", "gaol=1,2"):
        with pytest.raises(UsageError, match="goal"):
            _task((given,), env)
    assert _task((), sw.envs.get_environment("safe_pendulum")) == {}
