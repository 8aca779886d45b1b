"""The command line, in this process: what a person may type, and the one line that is answered."""

import sys

import pytest
from hostile.tally import CLEAR, RIGHT, UNCLEAR, WRONG

from safe_wrappers.algos import shac

BIG = "1" + "0" * 30
TRAIN = {
    "steps 0": "--num-timesteps 0",
    "steps -1": "--num-timesteps -1",
    "steps 1e5": "--num-timesteps 1e5",
    "steps nan": "--num-timesteps nan",
    "steps 10^30": f"--num-timesteps {BIG}",
    "steps empty": "--num-timesteps",
    "seed -1": "--seed -1",
    "seed 2^40": "--seed 1099511627776",
    "seed 10^30": f"--seed {BIG}",
    "seed 0.5": "--seed 0.5",
    "rate nan": "--learning-rate nan",
    "rate inf": "--learning-rate inf",
    "rate 0": "--learning-rate 0",
    "rate -1": "--learning-rate -1",
    "rate 1e-45": "--learning-rate 1e-45",
    "regularisation nan": "--regularisation nan",
    "regularisation -1": "--regularisation -1",
    "regularisation inf": "--regularisation inf",
    "evaluations 1": "--num-evals 1",
    "evaluations 0": "--num-evals 0",
    "environments 0": "--num-envs 0",
    "horizon 0": "--horizon-length 0",
    "episode 0": "--episode-length 0",
    "target nan": "--target-angle nan",
    "target inf": "--target-angle inf",
    "target 1e30": "--target-angle 1e30",
    "target of another": "--x-target 1",
    "goal of another": "--goal far",
    "safeguard": "--safeguard projection",
    "backend": "--backend mjx-warp",
    "maximal backend": "--backend spring",
    "disturbance": "--disturbance sometimes",
    "initial states": "--initial-states generator",
    "safe set": "--safe-set nothing",
    "safe set file": "--safe-set /nonexistent.json",
    "safe set folder": "--safe-set /tmp",
    "option": "--frobnicate 3",
    "positional": "extra",
    "dash of a word processor": "—seed 1",
}
OTHERS = {
    "unknown command": ["trian"],
    "option first": ["--seed", "3"],
    "system": ["train", "safe_pendulm"],
    "empty system": ["train", ""],
    "no system": ["train"],
    "evaluate nothing": ["evaluate", "/nonexistent"],
    "evaluate a file": ["evaluate", __file__],
    "evaluate empty": ["evaluate", ""],
    "show unknown": ["show", "nothing"],
    "show nan": ["show", "safe_pendulum", "--state", "nan", "nan"],
    "show outside": ["show", "safe_pendulum", "--state", "9", "9"],
    "show short": ["show", "safe_pendulum", "--state", "0"],
    "show nowhere": ["show", "safe_pendulum", "--output", "/nonexistent/a.png"],
    "certify a folder": ["certify", "/tmp"],
    "certify nothing": ["certify", "/nonexistent.json"],
    "certify text": ["certify", __file__],
    "certify a program": ["certify", sys.executable],
    "certify 0 cells": ["certify", "safe_pendulum", "--max-cells", "0"],
    "certify -1 cells": ["certify", "safe_pendulum", "--max-cells", "-1"],
    "certify another model": ["certify", "safe_pendulum", "--model", "os:system"],
    "certify no module": ["certify", "safe_pendulum", "--model", "nomodule:x"],
    "conform unknown": ["conform", "x"],
    "conform 0 samples": ["conform", "safe_pendulum", "--samples", "0"],
    "conform no environment": ["conform", "os:getcwd"],
    "conform plot": ["conform", "safe_pendulum", "--plot", "/nonexistent/x.png"],
    "synthesise 0 facets": ["synthesise", "safe_pendulum", "--facets", "0"],
    "synthesise -3 facets": ["synthesise", "safe_pendulum", "--facets", "-3"],
    "synthesise margin nan": ["synthesise", "safe_pendulum", "--margin", "nan"],
    "synthesise 0 rounds": ["synthesise", "safe_pendulum", "--rounds", "0"],
}


@pytest.fixture
def outcome(monkeypatch, tmp_path, capsys):
    from safe_wrappers.cli import main

    def trained(*args, **kwargs):
        raise AssertionError("The options were accepted.")

    monkeypatch.setattr(shac, "train", trained)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(args):
        try:
            code = main(args)
        except AssertionError as error:
            return WRONG, str(error)
        except SystemExit as error:
            return RIGHT, f"help, {error.code}"
        except Exception as error:
            return UNCLEAR, f"{type(error).__name__}: {error}"
        out, err = capsys.readouterr()
        if code == 0:
            return WRONG, out[:100]
        clear = code in (1, 2) and err.count("\n") == 1 and err.startswith("safe-wrappers: ")
        return (CLEAR if clear else UNCLEAR), f"exit {code}: {err}"

    return run


def test_the_command_line_answers_in_one_line(outcome, tmp_path):
    folder = ["--logdir", str(tmp_path / "run")]
    cases = {
        f"train, {name}": ["train", "safe_pendulum", *folder, *text.split()]
        for name, text in TRAIN.items()
    }
    cases |= OTHERS
    found = {name: outcome(args) for name, args in cases.items()}
    bad = [f"{name}: {kind}: {note}" for name, (kind, note) in found.items() if kind != CLEAR]
    assert not bad, "\n".join(bad)
    assert len(found) == 68
