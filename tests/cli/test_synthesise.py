import json

import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.certification import _anneal

FAST = ("--facets", 6, "--constraints-of", "narrow", "--seeds", 1, "--iterations", 30)


def test_a_proved_set_is_written_and_can_be_used(run_main, tmp_path, capsys):
    output = tmp_path / "mine.json"
    assert run_main("synthesise", "safe_pendulum", *FAST, "--output", output) == 0
    assert "proved" in capsys.readouterr().out
    env = sw.envs.get_environment("safe_pendulum", safe_set=str(output))
    assert env.system.certificate.name == "mine"
    assert len(env.system.safe_state_set.H) <= 6
    assert env.system.safe_state_set.volume() > 8
    assert env.system.certificate.record is not None
    assert env.guarantee.status == "proved"
    assert run_main("certify", output) == 0
    assert run_main("synthesise", "safe_pendulum", *FAST, "--output", output) == 2
    assert "exists" in capsys.readouterr().err


@pytest.fixture
def wrong_search(monkeypatch):
    """A search that returns a set that is not invariant, and remembers what it was told."""
    told = []

    def search(model, constraint_set, disturbance_set, *, counterexamples, **_):
        told.append(len(counterexamples))
        box = sw.Polytope(
            np.array([[2.1, 0], [-2.1, 0], [0, 0.13], [0, -0.13]], np.float32),
            np.ones(4, np.float32),
        )
        return sw.synthesis.SynthesisResult(box, np.zeros(2), box.volume(), 0.0, 1, 0.1, {})

    monkeypatch.setattr(_anneal, "synthesise", search)
    return told


def test_an_unproved_set_is_not_written_and_counterexamples_go_back_to_the_search(
    run_main, tmp_path, capsys, wrong_search
):
    output = tmp_path / "mine.json"
    assert run_main("synthesise", "safe_pendulum", *FAST, "--output", output, "--rounds", 3) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert not output.exists()
    assert wrong_search[:3] == [0, 1, 2]


def test_an_unproved_set_is_written_on_request(run_main, tmp_path, capsys, wrong_search):
    output = tmp_path / "mine.json"
    assert (
        run_main(
            "synthesise", "safe_pendulum", *FAST, "--output", output, "--unproved", "--rounds", 1
        )
        == 0
    )
    assert "UNPROVED" in capsys.readouterr().out
    content = json.loads(output.read_text())
    assert (content["name"], content["record"]) == ("mine", None)
    env = sw.envs.get_environment("safe_pendulum", safe_set=str(output))
    assert env.guarantee.status == "tested"
    assert "holds no record of a proof" in env.guarantee.by
    assert run_main("certify", output) == 1
