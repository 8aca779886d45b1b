"""The audit is right about what holds, what fails, and what nobody can say."""

import json

import pipeline_env
import pytest
import square_plant
from integrators import Integrator

import safe_wrappers as sw
from safe_wrappers import auditing

from .conftest import SMALL, narrow, too_wide


def status_of(report):
    return {found.key: found.status for found in report.findings}


@pytest.mark.smoke
def test_a_shipped_set_holds_and_is_proved_in_the_audit(pendulum_audit):
    assert pendulum_audit.verdict == "proved"
    assert pendulum_audit.holds
    assert status_of(pendulum_audit) == {
        "safeguard": "held",
        "proof": "held",
        "attack": "held",
        "soak": "held",
        "conformance": "not judged",  # it steps the model itself
    }
    found = {each.key: each.data for each in pendulum_audit.findings}
    assert found["proof"]["proved"]
    assert found["attack"]["steps"] > 0
    assert found["soak"]["exits"] == 0
    assert found["soak"]["bound"] < 1e-3


def test_each_part_of_a_proof_has_a_reserve_or_is_a_question_of_yes_or_no(pendulum_audit):
    proof = next(found for found in pendulum_audit.findings if found.key == "proof")
    parts = {part["name"]: part for part in proof.data["parts"]}
    assert len(parts) == 7
    reserves = [part["reserve"] for part in parts.values() if part["reserve"] is not None]
    assert len(reserves) == 4
    assert all(reserve >= 0 for reserve in reserves)
    invariant = parts["S is invariant for every disturbance in W, with margin sigma"]
    assert invariant["reserve"] == pytest.approx(proof.data["margin"] - narrow().sigma)
    assert sum(part["seconds"] for part in parts.values()) <= proof.seconds


def test_a_false_claim_is_refuted_with_its_state(trials):
    report = auditing.audit(too_wide(), **SMALL)
    assert report.verdict == "failed"
    assert not report.holds
    assert status_of(report)["proof"] == "failed"
    proof = next(found for found in report.findings if found.key == "proof")
    assert proof.data["status"] == "counterexample"
    assert proof.tables[-1].title == "The state that refutes the promise"
    assert [row[0] for row in proof.tables[-1].rows] == list(narrow().model.state_labels)
    assert report.headline == "Does not hold: what failed: proof."
    assert trials.plants[0][0].system.claim is not None


def test_an_exit_that_an_attack_finds_fails_the_audit_of_a_proved_claim(trials):
    trials.exits = 3
    report = auditing.audit(narrow(), **SMALL)
    assert status_of(report)["proof"] == "held"
    assert report.verdict == "failed"
    assert [found.key for found in report.failed] == ["attack", "soak"]


def test_without_a_safeguard_nothing_holds(trials):
    env = sw.envs.SafePendulum(safe_set="narrow")
    report = auditing.audit(env, "none", **SMALL)
    assert report.safeguard == "none"
    assert not report.holds
    assert status_of(report)["safeguard"] == "failed"
    assert status_of(report)["proof"] == "held"  # of the claim, which needs a safeguard to matter
    assert trials.plants == [(env, "none")]
    assert report.guarantee.status == "tested"


def test_blocks_are_named_by_their_states(trials):
    env = sw.envs.SafeQuadrotor()
    report = auditing.audit(env, **SMALL)
    assert report.verdict == "proved"
    proof = next(found for found in report.findings if found.key == "proof")
    names = [part["name"] for part in proof.data["parts"]]
    assert "The block of z (m), ż (m/s) lies in X" in names
    assert sum("is invariant for every disturbance" in name for name in names) == 2


def test_the_seeker_rests_on_a_lemma(trials):
    report = auditing.audit(sw.envs.SafeSeeker(), **SMALL)
    assert report.verdict == "certified"
    assert "by a lemma" in report.headline
    proof = next(found for found in report.findings if found.key == "proof")
    assert proof.data["slack"] == pytest.approx(0.0379, abs=2e-3)
    assert report.promise.data["claim"] is None


def around(plant):
    """A simulator behind a safeguard with the claim of the square, which is proved."""
    system = sw.ModelSystem(square_plant.claim, state=plant.system.state)
    return sw.SafeguardWrapper(plant, sw.Replacement(), system=system, reset_to=plant.reset_to)


def test_a_simulator_is_compared_and_its_model_attacked(trials):
    env = around(Integrator())
    report = auditing.audit(env, **SMALL)
    assert report.verdict == "tested"
    assert report.holds
    assert status_of(report)["proof"] == "held"
    assert status_of(report)["conformance"] == "held"
    (plant, safeguard) = trials.plants[0]
    assert plant.system.claim is square_plant.claim
    assert safeguard is env.safeguard
    attack = next(found for found in report.findings if found.key == "attack")
    assert "in the model and not in the simulator" in attack.question


def test_a_simulator_that_does_something_else_fails(trials):
    report = auditing.audit(around(Integrator(leak=0.01)), **SMALL)
    assert [found.key for found in report.failed] == ["conformance"]
    assert not report.holds


def test_a_prover_that_cannot_judge_is_no_failure(trials, monkeypatch):
    def refuse(*_, **__):
        raise sw.ModelError("`step` uses an operation that the proof does not know.")

    monkeypatch.setattr("safe_wrappers.auditing._proof_finding.prove", refuse)
    report = auditing.audit(sw.envs.SafePendulum(safe_set="narrow"), **SMALL)
    assert status_of(report)["proof"] == "not judged"
    assert report.guarantee.status == "proved"  # by a record, which the audit does not believe
    assert report.verdict == "tested"
    assert report.holds


def test_what_cannot_be_attacked_is_said(trials, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("W has too many vertices.")

    for name in ("attack", "soak"):
        monkeypatch.setattr(f"safe_wrappers.auditing._trials.{name}", refuse)
    report = auditing.audit(square_plant.env, **SMALL)
    assert status_of(report)["attack"] == status_of(report)["soak"] == "not judged"
    assert "W has too many vertices." in auditing.as_html(report)


def test_two_audits_differ_in_times_alone(trials):
    first, second = (auditing.as_json(auditing.audit(narrow(), **SMALL)) for _ in range(2))
    assert without_times(first) == without_times(second)
    assert json.dumps(first, allow_nan=False)


def without_times(content):
    if isinstance(content, dict):
        return {
            key: without_times(value)
            for key, value in content.items()
            if key not in ("seconds", "date")
        }
    return [without_times(item) for item in content] if isinstance(content, list) else content


@pytest.mark.parametrize(
    ("env", "safeguard", "error", "words"),
    [
        (3, None, TypeError, "must be an environment with a `system`, a claim or a certificate"),
        (pipeline_env.Arm(), None, TypeError, "`SafeguardWrapper`"),
        (square_plant.guarded(), "ray_mask", ValueError, "has the safeguard Replacement already"),
    ],
)
def test_what_cannot_be_audited_is_refused(env, safeguard, error, words):
    with pytest.raises(error, match=words):
        auditing.audit(env, safeguard)


@pytest.mark.slow
@pytest.mark.parametrize("name", sw.envs.registered_names())
def test_every_bundled_system_holds(name):
    report = auditing.audit(sw.envs.get_environment(name), budget=60.0, steps=1_000_000)
    assert report.holds, report.headline
