"""Counts, inside the environment, what every client of these tests executes."""

import threading
import warnings

import clients
import jax
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum


class Count:
    """The executed steps of the pendulum, whoever took them, and those that ended outside of the
    safe set: 1 - H x of the state that the environment reached, in float64.

    Attributes:
        steps: Number of executed steps.
        exits: Number of those that ended outside.
        interventions: Number of steps in which the safeguard replaced the request.
        least: The least margin.
    """

    def __init__(self):
        self._lock = threading.Lock()  # callbacks come from several threads
        self.forget()

    def forget(self):
        self.steps = self.exits = self.interventions = 0
        self.least = np.inf

    def step(self, H, q, qd):
        x = np.concatenate([np.asarray(q, np.float64), np.asarray(qd, np.float64)], axis=-1)
        margin = np.atleast_1d((1 - x @ H.T).min(axis=-1))
        with self._lock:
            self.steps += margin.size
            self.exits += int((~(margin >= 0)).sum())
            self.least = min(self.least, float(margin.min()))

    def intervention(self, intervened):
        with self._lock:
            self.interventions += int(np.sum(intervened))


COUNT = Count()


@pytest.fixture(scope="session", autouse=True)
def counted_pendulum():
    """Every pendulum and every safeguard of the session counts; the ids, the entry points and the
    compiled programs are those that users have.
    """
    step, guarded_step = SafePendulum.step, sw.SafeguardWrapper.step

    def count_step(self, state, action):
        state = step(self, state, action)
        H = np.asarray(self.system.safe_state_set.halfspaces()[0], np.float64)
        jax.debug.callback(
            lambda q, qd: COUNT.step(H, q, qd), state.pipeline_state.q, state.pipeline_state.qd
        )
        return state

    def count_intervention(self, state, action):
        state = guarded_step(self, state, action)
        jax.debug.callback(COUNT.intervention, state.info["safeguard"]["intervened"])
        return state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SafePendulum, "step", count_step)
        patch.setattr(sw.SafeguardWrapper, "step", count_intervention)
        yield


@pytest.fixture
def count(record_property):
    """The count of this test. `--junitxml FILE` writes it, with the versions of the packages."""
    COUNT.forget()
    yield COUNT
    jax.effects_barrier()
    for name in ("steps", "exits", "interventions", "least"):
        record_property(name, getattr(COUNT, name))


@pytest.fixture(autouse=True)
def others_may_warn(tmp_path, monkeypatch):
    """What other packages are told by their own dependencies is not our matter, and what they write
    is not kept.
    """
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(autouse=True)
def recorded_version(request, record_property):
    """Names the packages that a file is about, as it says in `PACKAGES`."""
    for name, version in clients.versions(request.module.PACKAGES).items():
        record_property(name, version)
