"""The reports as text and as JSON."""

import dataclasses
import json

import numpy as np
import pytest
from falsification.unsafe import ENV

import safe_wrappers as sw
from safe_wrappers.falsification import as_json, as_text


@pytest.fixture(scope="module")
def broken():
    return sw.attack(ENV, "none", max_steps=1)


@pytest.fixture(scope="module")
def soaked():
    return sw.soak(ENV, "none", steps=1)


def test_a_broken_plant_is_shown_with_its_worst_step(broken):
    text = as_text(broken)
    assert text.startswith("safe_pendulum (SafePendulum on closed_form, safe set narrow), safeg")
    x = broken.trajectory.states[-2]
    assert f"worst step: at x = ({x[0]:.6g}, {x[1]:.6g})" in text
    assert f"Broken: of {broken.steps:,} steps {broken.exits:,} left the safe set" in text
    assert broken.strategy in text


def test_one_that_was_not_broken_is_not_called_proved(broken):
    fine = dataclasses.replace(broken, exits=0, margin=5e-6, found_after=None)
    text = as_text(fine)
    assert "Not broken" in text
    assert "a test, not a proof" in text
    assert "worst step" not in text


def test_json_holds_all_of_an_attack(broken):
    record = json.loads(json.dumps(as_json(broken), allow_nan=False))
    assert (record["kind"], record["status"], record["broken"]) == ("attack", "tested", True)
    assert record["exits"] == broken.exits
    np.testing.assert_allclose(record["trajectory"]["states"], broken.trajectory.states)
    np.testing.assert_allclose(record["worst_disturbance"], broken.worst_disturbance)
    assert record["margin"] == broken.margin
    away = dataclasses.replace(broken, margin=-np.inf)
    assert as_json(away)["margin"] is None


def test_a_soak_says_its_counts(soaked):
    text = as_text(soaked)
    assert f"{soaked.steps:,} steps, {soaked.exits:,} exits" in text
    assert "programs compiled after the first round" in text
    record = json.loads(json.dumps(as_json(soaked), allow_nan=False))
    assert (record["kind"], record["held"], record["exits"]) == ("soak", False, soaked.exits)
    assert record["bound"] == soaked.bound
    assert record["memory"][0][0] == soaked.memory[0][0]
