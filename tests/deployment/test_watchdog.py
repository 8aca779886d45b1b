"""The watchdog flags what no disturbance in W explains, in the library and in NumPy alone."""

import copy
import functools

import numpy as np
import pytest
from deployment.exported import CENTER, controller_of, plant_of, states_of, system_of

import safe_wrappers as sw
from safe_wrappers.deployment import _numpy_controller

SYSTEMS = ("safe_pendulum", "safe_cart_pole", "safe_quadrotor", "arm")


@functools.cache
def fresh(name):
    return sw.Watchdog(system_of(name)), _numpy_controller.Watchdog(controller_of(name))


def watchdogs(name):
    """The library's watchdog, and the one that is exported."""
    return tuple(map(copy.copy, fresh(name)))


def episode(name, steps, seed=0, wind=1.0):
    """True states and executed actions of an episode: random requests, made safe, and random
    disturbances in `wind` W.
    """
    system, rng = system_of(name), np.random.default_rng(seed)
    W = system.disturbance_set
    x = states_of(system, 2, seed)[1].astype(np.float64)
    states, actions = [x], []
    for _ in range(steps):
        request = rng.uniform(system.action_box.lower, system.action_box.upper)
        action = controller_of(name).safe_action(x, request).action
        w = wind * rng.uniform(W.lower, W.upper)
        x = plant_of(name)(x, action, w)
        states.append(x)
        actions.append(action)
    return states, actions


def flags(watchdog, observed, executed):
    """Which observations are not explained."""
    found = []
    for i, x in enumerate(observed):
        found.append(not watchdog.observe(x).explained)
        if i < len(executed):
            watchdog.executed(executed[i])
    return np.array(found)


@pytest.mark.parametrize("name", SYSTEMS)
def test_true_observations_are_explained(name):
    for watchdog in watchdogs(name):
        assert not flags(watchdog, *episode(name, 200)).any()


@pytest.mark.parametrize("name", SYSTEMS)
def test_both_watchdogs_find_the_same_excess_and_disturbance(name):
    states, actions = episode(name, 20, wind=3.0)
    for before, action, after in zip(states, actions, states[1:], strict=False):
        one, other = watchdogs(name)
        for watchdog in (one, other):
            watchdog.observe(before)
            watchdog.executed(action)
        found, expected = other.observe(after), one.observe(after)
        assert found.explained == expected.explained
        # float32 loses part of the allowance, which is what the allowance is for
        assert abs(found.excess - expected.excess) < 1 + 0.01 * expected.excess
        np.testing.assert_allclose(found.disturbance, expected.disturbance, atol=2e-3)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_delay_by_one_step_is_flagged_at_once(name):
    states, actions = episode(name, 60)
    delayed = [states[0], *states[:-1]]
    for watchdog in watchdogs(name):
        found = flags(watchdog, delayed, actions)
        assert found[1:6].any()
        assert found.mean() > 0.5


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_sensor_that_stands_still_is_flagged(name):
    states, actions = episode(name, 40)
    stale = [*states[:10], *[states[9]] * 10, *states[20:]]
    for watchdog in watchdogs(name):
        found = flags(watchdog, stale, actions)
        assert not found[:10].any()
        assert found[10:20].sum() >= 5
        assert found[20]
        assert not found[21:].any()


@pytest.mark.parametrize("lost", [None, "nan"])
def test_lost_observations_are_flagged_and_the_next_has_nothing_to_be_compared_with(lost):
    states, actions = episode("safe_pendulum", 10)
    gone = None if lost is None else np.full(2, np.nan)
    for watchdog in watchdogs("safe_pendulum"):
        observed = [*states[:5], gone, gone, *states[7:]]
        found = flags(watchdog, observed, actions)
        assert np.flatnonzero(found).tolist() == [5, 6]


def test_an_observation_without_one_before_is_explained_by_nothing_and_says_so():
    for watchdog in watchdogs("safe_pendulum"):
        first = watchdog.observe([0.0, 0.0])
        assert first.explained
        assert np.isnan(first.excess)
        assert first.disturbance.size == 0
        # Without an action nothing is known of the next one.
        assert np.isnan(watchdog.observe([0.0, 0.0]).excess)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_wrong_disturbance_set_is_flagged(name):
    states, actions = episode(name, 100, wind=3.0)
    for watchdog in watchdogs(name):
        assert 0.3 < flags(watchdog, states, actions).mean() < 1


def test_a_spike_and_another_action_are_flagged():
    states, actions = episode("arm", 10)
    spiked = [*states]
    spiked[4] = spiked[4] + 0.2
    for watchdog in watchdogs("arm"):
        assert np.flatnonzero(flags(watchdog, spiked, actions)).tolist() == [4, 5]
    wrong = [*actions]
    wrong[4] = wrong[4] + 1.0
    for watchdog in watchdogs("arm"):
        assert np.flatnonzero(flags(watchdog, states, wrong)).tolist() == [5]


def test_what_is_no_state_is_a_clear_error():
    for watchdog in watchdogs("arm"):
        with pytest.raises(ValueError, match=r"`x` must have shape \(3,\)"):
            watchdog.observe([0.0])
        watchdog.observe(CENTER)
        with pytest.raises(ValueError, match=r"`action` must have shape \(2,\)"):
            watchdog.executed(0.0)


def test_a_system_without_a_model_has_no_watchdog():
    with pytest.raises(sw.CertificateError, match="ModelSystem"):
        sw.Watchdog(sw.envs.SafeSeeker().system)
