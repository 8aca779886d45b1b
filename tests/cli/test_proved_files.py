"""`train` on a certificate file: what is not proved yet is proved first, or refused."""

import dataclasses

import pytest

import safe_wrappers as sw
from safe_wrappers.cli import _train_command


@pytest.fixture
def train(run_main, tmp_path, monkeypatch):
    """Saves a claim without a record, runs `train` with it up to the training itself, and returns
    the exit code.
    """

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    def run(claim, *options):
        path = tmp_path / "mine.json"
        sw.Certificate(claim, "mine").save(path)
        logdir = ("--logdir", tmp_path / "run")
        return run_main("train", "safe_pendulum", "--safe-set", path, *logdir, *options)

    monkeypatch.setattr(_train_command.shac, "train", interrupted)
    return run


def narrow(**changes):
    claim = sw.envs.load_certificate("safe_pendulum", "narrow").claim
    return dataclasses.replace(claim, **changes)


def test_a_file_without_a_record_is_proved_before_the_training(train, tmp_path, capsys):
    claim = narrow(sigma=1.7e-4)
    system = sw.ModelSystem(claim, state=sw.envs.joint_state)
    assert system.guarantee.status == "tested"
    assert train(claim) == 130
    assert f"Proved the safe set of {tmp_path / 'mine.json'}: 8 cells" in capsys.readouterr().out
    assert system.guarantee.status == "proved"
    assert train(claim) == 130
    assert "Proved" not in capsys.readouterr().out


def test_a_file_that_is_not_proved_is_refused_with_the_reason(train, tmp_path, capsys):
    claim = narrow()
    wider = dataclasses.replace(
        claim,
        safe_state_set=claim.safe_state_set.scaled(2.0),
        constraint_set=sw.Box.symmetric([10.0, 20.0]),
    )
    assert train(wider) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "mine.json is not proved (counterexample): " in error
    assert "which must exceed sigma" in error
    assert "--safeguard none" in error
    assert not (tmp_path / "run").exists()
    assert train(wider, "--safeguard", "none") == 130
