import dataclasses
import types

import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers import auditing
from safe_wrappers.auditing import _trials
from safe_wrappers.falsification import AttackReport, SoakReport, Trajectory

SMALL = {"budget": 20.0, "max_attack_steps": 1, "steps": 1, "samples": 64}


def narrow():
    """The claim of a shipped set that is proved in milliseconds."""
    return sw.envs.load_certificate("safe_pendulum", "narrow").claim


def too_wide():
    """A claim that is false: twice the set."""
    claim = narrow()
    return dataclasses.replace(
        claim,
        safe_state_set=claim.safe_state_set.scaled(2.0),
        constraint_set=sw.Box.symmetric([10.0, 20.0]),
    )


def attack_report(plant, *, exits=0):
    n, d, k = (getattr(plant.model, f"{name}_size") for name in ("state", "action", "disturbance"))
    found = Trajectory(
        np.linspace(0.0, 0.1, 3 * n).reshape(3, n),
        np.ones((2, d)),
        np.full((2, d), 0.25),
        np.zeros((2, k)),
        np.array([0.5, 1e-5 - exits]),
    )
    return AttackReport(
        system="made up",
        safeguard="made up",
        claim=None,
        exits=exits,
        unsafe_actions=0,
        steps=4096,
        seconds=1.0,
        budget=20.0,
        seed=0,
        margin=float(found.margins[-1]),
        strategy="requests that are held",
        found_after=0.5 if exits else None,
        trajectory=found,
        worst_disturbance=np.zeros(k),
        replay=lambda: found,
    )


def soak_report(steps, *, exits=0):
    return SoakReport(
        system="made up",
        safeguard="made up",
        claim=None,
        steps=steps,
        exits=exits,
        unsafe_actions=0,
        episodes=8,
        episodes_left=min(exits, 8),
        margin=1e-5 - exits,
        seconds=1.0,
        seed=0,
        memory=((steps, 100.0),),
        compilations=0,
        state_file=None,
    )


@pytest.fixture
def trials(monkeypatch):
    """Attack and soak that take no time; `trials.exits` is what they find, and `trials.plants` what
    they were given.
    """
    given = types.SimpleNamespace(exits=0, plants=[])

    def attack(plant, safeguard, **_):
        given.plants.append((plant, safeguard))
        return attack_report(plant, exits=given.exits)

    monkeypatch.setattr(_trials, "attack", attack)
    monkeypatch.setattr(
        _trials, "soak", lambda plant, safeguard, **o: soak_report(o["steps"], exits=given.exits)
    )
    return given


@pytest.fixture(scope="session")
def pendulum_audit():
    """A small audit of a shipped set, with an attack and a soak that really run."""
    env = sw.envs.SafePendulum(safe_set="narrow")
    return auditing.audit(env, subject="pendulum <narrow>", **SMALL)
