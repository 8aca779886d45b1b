"""The NumPy controller acts as the library does, and is safe where the library plays no part."""

import functools

import jax
import numpy as np
import pytest
from deployment.exported import (
    CENTER,
    SYSTEMS,
    built,
    controller_of,
    requests_of,
    states_of,
    system_of,
    worst_margin,
)

import safe_wrappers as sw
from safe_wrappers.deployment._jax_program import protected
from safe_wrappers.safeguards._rows import Rows

FLAGS = ("intervened", "changed", "feasible", "fallback", "inside", "clipped")


def outputs_of(controller, x, requests):
    found = [controller.safe_action(one, request) for one, request in zip(x, requests, strict=True)]
    return {
        name: np.array([getattr(output, name) for output in found]) for name in found[0]._fields
    }


def expected_of(system, safeguard, x, requests):
    return {
        name: np.asarray(value)
        for name, value in jax.jit(jax.vmap(protected(system, safeguard)))(x, requests).items()
    }


@functools.cache
def case(name):
    """Thousands of states, half of them next to the boundary, and requests; what the controller
    does with them, and what the library does in float64.
    """
    system = system_of(name)
    x, requests = states_of(system, 3000), requests_of(system, 3000)
    with jax.enable_x64():
        expected = expected_of(
            system, sw.BoundaryProjection(), x.astype(np.float64), requests.astype(np.float64)
        )
    return x, requests, outputs_of(controller_of(name), x, requests), expected


@pytest.mark.smoke
@pytest.mark.parametrize("name", SYSTEMS)
def test_it_acts_as_the_library_does(name):
    _, _, found, expected = case(name)
    half_width = system_of(name).action_units.half_width
    # An anchor that a solver found is one of several that are equally good.
    same = ~expected["fallback"] if name == "arm" else np.ones(len(found["fallback"]), bool)
    assert same.mean() > 0.8
    difference = np.abs(found["action"] - expected["action"]) / half_width
    assert difference[same].max() < 1e-5
    assert np.abs(found["distance"] - expected["distance"])[same].max() < 1e-5
    for flag in FLAGS:
        # A request within rounding of the boundary counts either way.
        assert np.mean(found[flag] != expected[flag]) < 2e-3, flag
    assert 0.2 < found["intervened"].mean() < 0.9


@pytest.mark.parametrize("name", SYSTEMS)
def test_its_actions_pass_the_accept_test_of_the_library(name):
    x, _, found, _ = case(name)
    units = system_of(name).action_units

    def accepted(x, action):
        return Rows.of(system_of(name).safe_action_set(x)).accept(units.unit(action))

    with jax.enable_x64():
        assert np.all(jax.jit(jax.vmap(accepted))(x.astype(np.float64), found["action"]))
    assert np.all(found["feasible"])
    assert not np.any(found["fallback"] & np.isfinite(case(name)[1]).all(axis=1))


@pytest.mark.parametrize("name", SYSTEMS)
def test_float32_differs_by_less_than_the_allowance_for_its_rounding(name):
    """What the library computes in float32 about the same actions."""
    x, _, found, _ = case(name)
    system = system_of(name)

    def excess(x, action):
        rows = system.safe_action_set(x)
        return rows.A @ system.action_units.unit(action) - rows.b

    excesses = np.asarray(jax.jit(jax.vmap(excess))(x, found["action"].astype(np.float32)))
    assert np.all(excesses <= system.eps)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_next_state_is_in_the_set_by_equations_of_the_tests_own(name):
    x, requests, found, _ = case(name)
    box = system_of(name).action_box
    assert np.all((found["action"] >= box.lower) & (found["action"] <= box.upper))
    assert worst_margin(name, x, found["action"]).min() > 0
    raw = np.clip(np.nan_to_num(requests), box.lower, box.upper).astype(np.float64)
    assert worst_margin(name, x, raw).min() < -1e-3  # without the safeguard


@pytest.mark.parametrize(
    "safeguard",
    [
        sw.Replacement(),
        sw.RayMask(),
        sw.RayMask(mapping="linear", center="orthogonal"),
        sw.GaugeMap(),
        sw.GeneratorMask(),
    ],
    ids=lambda safeguard: type(safeguard).__name__,
)
def test_the_other_safeguards_with_one_action(safeguard):
    system = system_of("safe_pendulum")
    x, requests = states_of(system, 1000, seed=3), requests_of(system, 1000, seed=3)
    found = outputs_of(built(system, safeguard), x, requests)
    expected = expected_of(system, safeguard, x, requests)
    difference = np.abs(found["action"] - expected["action"])[:, 0]
    assert np.mean(difference < 1e-5) > 0.999  # a replacement may jump within rounding
    assert worst_margin("safe_pendulum", x, found["action"]).min() > 0
    # A mask that moves a request by less than float32 sees changes it in float64.
    assert np.mean(found["changed"] != expected["changed"]) < 0.01


def test_replacement_with_two_actions():
    system = system_of("safe_quadrotor")
    x, requests = states_of(system, 500), requests_of(system, 500)
    found = outputs_of(built(system, sw.Replacement()), x, requests)
    expected = expected_of(system, sw.Replacement(), x, requests)
    assert np.abs(found["action"] - expected["action"]).max() < 1e-5
    assert worst_margin("safe_quadrotor", x, found["action"]).min() > 0


@pytest.mark.parametrize(
    "safeguard", [sw.RayMask(), sw.GaugeMap(), sw.GeneratorMask()], ids=lambda s: type(s).__name__
)
def test_a_safeguard_without_a_translation_is_refused_by_name(safeguard):
    with pytest.raises(sw.ModelError, match=f"`{type(safeguard).__name__}` for 2 actions.*numpy="):
        built(system_of("safe_quadrotor"), safeguard)


def test_a_system_without_a_model_is_refused():
    system = sw.envs.SafeSeeker().system
    with pytest.raises(sw.ModelError, match="`ExplicitSystem`"):
        built(system, sw.BoundaryProjection())


def test_hostile_requests_are_flagged_and_never_executed():
    controller = controller_of("safe_pendulum")
    x = np.array([0.4, 1.0])
    for request in (np.nan, np.inf, -np.inf):
        output = controller.safe_action(x, [request])
        assert output.fallback
        assert output.intervened
        assert output.changed
        assert np.isfinite(output.action).all()
        assert not output.clipped
    output = controller.safe_action(x, [1e30])
    assert (output.clipped, output.fallback, output.requested) == (True, False, 1.0)
    assert np.abs(output.action) <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_at_an_unknown_state_the_middle_of_the_box_is_executed_and_flagged(bad):
    for name in ("safe_pendulum", "arm"):
        system = system_of(name)
        x = np.zeros(system.model.state_size)
        x[1] = bad
        output = controller_of(name).safe_action(x, system.action_box.upper)
        np.testing.assert_array_equal(output.action, system.action_units.center)
        assert (output.inside, output.feasible, output.fallback) == (False, False, True)


def test_states_so_large_that_their_rows_overflow_execute_no_raw_action():
    for x in ([1e300, 1e308], [-1e308, 1e308]):
        output = controller_of("safe_pendulum").safe_action(x, [1.0])
        assert not output.inside
        assert not output.feasible
        assert output.fallback


def test_outside_the_set_is_flagged():
    output = controller_of("safe_pendulum").safe_action([4.0, 0.0], [0.0])
    assert not output.inside
    assert controller_of("safe_pendulum").margin([4.0, 0.0]) < 0


@pytest.mark.parametrize(
    ("x", "request_"),
    [
        ([0.0], [0.0]),
        ([0.0, 0.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0]),
        ([0j, 0.0], [0.0]),
        (["0", "0"], [0.0]),
        (None, [0.0]),
        ([0.0, 0.0], None),
        (np.ma.masked_array([0.0, 0.0], [True, False]), [0.0]),
    ],
)
def test_what_is_no_state_or_action_is_a_clear_error(x, request_):
    with pytest.raises(ValueError, match=r"`(x|request)` must"):
        controller_of("safe_pendulum").safe_action(x, request_)


def test_a_safe_request_comes_back_bit_for_bit():
    controller, request = controller_of("arm"), np.array([0.1234567, 2.7654321])
    output = controller.safe_action(CENTER, request)
    np.testing.assert_array_equal(output.action, request)
    assert not output.intervened
    assert not output.changed
    assert output.action is not request


def test_without_a_policy_a_call_says_what_to_do():
    with pytest.raises(RuntimeError, match="safe_action"):
        controller_of("safe_pendulum")([0.0, 0.0])
