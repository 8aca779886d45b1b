"""`safe-wrappers audit`: of each kind of target, with attack, soak and comparison that take no
time; what they find is tested elsewhere.
"""

import hashlib
import json
import re
import shlex
import shutil

import numpy as np
import pytest
import square_plant

import safe_wrappers as sw
from safe_wrappers._records import read_record, write_record
from safe_wrappers.auditing import _conformance_finding, _trials
from safe_wrappers.falsification import AttackReport, SoakReport, Trajectory

OPTIONS = ("--budget", 1, "--steps", 10, "--samples", 64)


@pytest.fixture(autouse=True)
def trials(monkeypatch):
    """Replaces attack, soak and comparison; returns the plants that they were given."""
    plants = []

    def conform(simulator, **_):
        raise ValueError(
            f"{type(simulator).__name__} on {simulator.backend} is compared elsewhere."
        )

    def attack(plant, safeguard, **_):
        plants.append((plant, safeguard))
        n, d = plant.model.state_size, plant.model.action_size
        k = plant.model.disturbance_size
        trajectory = Trajectory(
            np.zeros((2, n)), np.zeros((1, d)), np.zeros((1, d)), np.zeros((1, k)), np.ones(1)
        )
        numbers = (0, 0, 10, 1.0, 1.0, 0, 1.0, "made up", None)
        names = [field for field in AttackReport.__dataclass_fields__][3:12]
        return AttackReport(
            system="",
            safeguard="",
            claim=None,
            trajectory=trajectory,
            worst_disturbance=np.zeros(k),
            replay=lambda: trajectory,
            **dict(zip(names, numbers, strict=True)),
        )

    def soak(*_, steps, **__):
        return SoakReport("", "", None, steps, 0, 0, 1, 0, 1.0, 1.0, 0, (), 0, None)

    monkeypatch.setattr(_conformance_finding, "conform", conform)
    monkeypatch.setattr(_trials, "attack", attack)
    monkeypatch.setattr(_trials, "soak", soak)
    return plants


@pytest.fixture
def audited(run_main, tmp_path):
    """Runs an audit and returns the exit code and audit.json."""

    def run(*args):
        output = tmp_path / "audit"
        code = run_main("audit", *args, *OPTIONS, "--output", output)
        assert (output / "audit.html").read_text().startswith("<!DOCTYPE html>")
        return code, json.loads((output / "audit.json").read_text())

    return run


def test_a_bundled_system_is_compared_with_its_physics(audited, capsys, tmp_path):
    code, found = audited("safe_pendulum", "--safe-set", "narrow")
    assert code == 0
    assert found["verdict"] == "proved"
    answer = found["findings"]["conformance"]["answer"]
    assert answer == "SafePendulum on generalized is compared elsewhere."
    file = "file safe_pendulum.narrow.json, which comes with the library"
    assert found["provenance"][file].startswith("sha256:")
    out = capsys.readouterr().out
    assert "Holds: proved in this audit" in out
    assert f"{tmp_path / 'audit'}/: audit.html, audit.json" in out
    words = shlex.split(found["command"])
    assert words[:5] == ["safe-wrappers", "audit", "safe_pendulum", "--output", words[4]]
    assert words[5:] == [str(word) for word in (*OPTIONS, "--safe-set", "narrow")]


def test_a_certificate_file_is_proved_now_and_named_by_its_digest(audited, tmp_path):
    path = tmp_path / "mine.json"
    square_plant.certificate().save(path)
    code, found = audited(path, "--model", "square_plant:model")
    assert code == 0
    assert found["verdict"] == "proved"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["provenance"]["file mine.json"] == f"sha256:{digest}"


def test_a_file_whose_claim_is_false_fails(audited, tmp_path, capsys):
    claim = sw.envs.load_certificate("safe_pendulum", "narrow").claim
    path = tmp_path / "wide.json"
    wide = sw.Claim(
        claim.model,
        safe_state_set=claim.safe_state_set.scaled(2.0),
        constraint_set=sw.Box.symmetric([10.0, 20.0]),
        disturbance_set=claim.disturbance_set,
    )
    sw.Certificate(wide, "wide").save(path)
    code, found = audited(path)
    assert code == 1
    assert found["findings"]["proof"]["numbers"]["counterexample"] is not None
    assert "Does not hold: what failed: proof." in capsys.readouterr().out


def test_environments_and_claims_of_ones_own(audited, trials):
    for target in ("square_plant:env", "square_plant:claim", "square_plant:guarded"):
        code, found = audited(target)
        assert (code, found["verdict"]) == (0, "proved"), target
        assert found["subject"] == target
    assert found["safeguard"] == "replacement"
    assert isinstance(trials[-1][0].safeguard, sw.Replacement)


def test_a_run_says_what_happened_in_it(audited, finished_run):
    code, found = audited(finished_run)
    assert code == 0
    assert {"training", "program"} <= set(found["findings"])
    summary = json.loads((finished_run / "summary.json").read_text())
    numbers = found["findings"]["training"]["numbers"]
    assert numbers["violations"] == 0
    assert numbers["interventions"] == summary["interventions"]
    assert numbers["checkpoint"] == "64 interactions"
    assert any(name.startswith("checkpoint 64, its manifest") for name in found["provenance"])
    page_numbers = found["findings"]["program"]
    assert page_numbers["status"] == "held"


def test_a_run_whose_program_has_changed_fails(audited, finished_run, tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(finished_run, folder)
    options = folder / "options.json"
    write_record(options, {**read_record(options), "program": "sha256:other"})
    code, found = audited(folder)
    assert code == 1
    assert found["findings"]["program"]["status"] == "failed"


def test_a_run_without_a_safeguard_fails(audited, finished_run, tmp_path, trials):
    folder = tmp_path / "unsafe"
    shutil.copytree(finished_run, folder)
    options = folder / "options.json"
    write_record(options, {**read_record(options), "safeguard": "none"})
    code, found = audited(folder)
    assert code == 1
    assert found["safeguard"] == "none"
    assert found["findings"]["training"]["status"] == "failed"
    assert trials[-1][1] == "none"


def test_an_interrupted_run_is_audited_with_what_it_has(audited, finished_run, tmp_path):
    folder = tmp_path / "interrupted"
    shutil.copytree(finished_run, folder)
    (folder / "summary.json").unlink()
    _, found = audited(folder)
    assert "not finished" in found["findings"]["training"]["answer"]
    assert found["findings"]["training"]["numbers"]["interactions"] == 64


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["safe_pendulu"], "did you mean 'safe_pendulum'?"),
        (["safe_pendulum", "--model", "a:b"], "--model is for a certificate file"),
        (["square_plant:env", "--safe-set", "narrow"], "--safe-set is for a bundled system"),
        (["square_plant:guarded", "--safeguard", "ray_mask"], "safeguarded already by Replacement"),
        (["square_plant:model"], "must be an environment with a `system`"),
        (["square_plant:number"], "must be an environment with a `system`"),
        (["missing.json"], "missing.json does not exist"),
        (["safe_pendulum", "--safeguard", "ray"], "did you mean 'ray_mask'?"),
        (["safe_pendulum", "--budget", "0"], "--budget is 0.0, but it must be"),
    ],
)
def test_wrong_arguments_are_one_line(run_main, capsys, args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_main("audit", *args) == 2
    error = capsys.readouterr().err
    assert re.search(re.escape(words), error), error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
