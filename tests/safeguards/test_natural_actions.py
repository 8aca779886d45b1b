"""`safe_action` in volts: what comes out is what was asked for, in the same units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from third_party import IntegratorSystem
from volts import BOXES, ends, system

import safe_wrappers as sw
from safe_wrappers import SetDimensionError
from safe_wrappers.safeguards import make_safeguard, safe_unit_action

X = np.float32([0.2, 0.93])  # from here at most 2.4 V of 12 V are safe, with the wind against it


def protect(action, x=X, box="12 V", safeguard=None):
    return sw.safe_action(system(box), safeguard or sw.BoundaryProjection(), x, action)


def test_a_safe_request_passes_bit_for_bit():
    rng = np.random.default_rng(0)
    for box in BOXES:
        low, high = ends(box)
        requests = rng.uniform(low, high, (500, 1)).astype(np.float32)
        requests[:2] = [[low], [high]]
        output = jax.jit(jax.vmap(lambda a, box=box: protect(a, np.zeros(2, np.float32), box)))(
            requests
        )
        assert not np.any(output.intervened | output.clipped | output.fallback)
        # at most the ends of the box may be no number that the map reaches
        inner = np.asarray(~output.changed)
        assert np.all(inner[2:])
        np.testing.assert_array_equal(np.asarray(output.action)[inner], requests[inner])
        np.testing.assert_array_equal(np.asarray(output.requested)[inner], requests[inner])
        spacing = np.spacing(np.float32(max(abs(low), abs(high))))
        np.testing.assert_allclose(output.action, requests, rtol=0, atol=2 * spacing)


def test_volts_are_volts():
    """The request of 12 V that used to be taken for 12 box units and answered by a part of 1."""
    output = protect([12.0])
    assert not output.clipped
    assert output.intervened
    assert float(output.requested[0]) == 12.0
    assert 2.3 < float(output.action[0]) <= 2.4
    unit = safe_unit_action(system(), sw.BoundaryProjection(), X, [1.0])
    np.testing.assert_allclose(output.action, 12 * unit.action, rtol=1e-6)
    np.testing.assert_allclose(output.distance, unit.distance, rtol=1e-6)


@pytest.mark.parametrize(
    ("request_", "clipped", "intervened"),
    [([13.0], 1, 1), ([-1e30], 1, 1), ([12.0], 0, 0), ([np.nan], 0, 1), ([np.inf], 0, 1)],
)
def test_clipped_says_that_the_request_was_outside_the_box(request_, clipped, intervened):
    output = protect(np.float32(request_), np.zeros(2, np.float32))
    assert (bool(output.clipped), bool(output.intervened)) == (clipped, intervened)
    assert bool(output.changed) == intervened
    assert -12 <= float(output.action[0]) <= 12
    if clipped:
        assert abs(float(output.requested[0])) == 12.0


def test_without_natural_units_clipped_speaks_of_the_unit_box():
    guard = sw.BoundaryProjection()
    assert safe_unit_action(system(), guard, X, [1.5]).clipped
    assert not safe_unit_action(system(), guard, X, [1.0]).clipped
    assert not safe_unit_action(system(), guard, X, [np.nan]).clipped
    assert sw.safe_action(IntegratorSystem(), guard, [0.0, 0.0], [1.5]).clipped


def test_an_unknown_state_gets_the_middle_of_the_box():
    output = protect([4.0], [np.nan, 0.0], "one-sided")
    assert float(output.action[0]) == 2.5
    assert not output.feasible
    assert not output.inside


@pytest.mark.parametrize("name", ["boundary_projection", "ray_mask", "gauge_map"])
@pytest.mark.parametrize("box", ["12 V", "asymmetrical", "far from 0"])
def test_gradients_are_those_of_natural_units(name, box):
    """By central differences of the executed action, in float64."""
    low, high = ends(box)
    half = (high - low) / 2
    for share, speed in ((0.6, 0.3), (-0.5, 0.93), (0.85, 0.93)):
        with jax.enable_x64():
            x = jnp.asarray([0.1, speed], jnp.float64)
            action = jnp.asarray([(low + high) / 2 + half * share], jnp.float64)

            def executed(a, x=x):
                return protect(a, x, box, make_safeguard(name)).action[0]

            found = float(jax.jit(jax.grad(executed))(action)[0])
            h = 1e-4 * half
            executed = jax.jit(executed)
            expected = (executed(action + h) - executed(action - h)) / (2 * h)
        assert found == pytest.approx(float(expected), abs=2e-3)


def test_the_gradient_by_the_state_has_the_units_of_the_action():
    gradient = jax.jit(jax.grad(lambda x: protect([12.0], x).action[0]))(jnp.asarray(X))
    # 0.1 of speed takes 12 V: each 0.01 m/s more allows 1.2 V less.
    np.testing.assert_allclose(gradient, [0.0, -120.0], rtol=1e-3, atol=1e-3)


def test_errors_name_states_and_actions():
    with pytest.raises(SetDimensionError, match=r"one value per state variable \(drift \(m\), sp"):
        protect([1.0], [0.0, 0.0, 0.0])
    with pytest.raises(SetDimensionError, match=r"one value per actuator \(voltage \(V\)\)"):
        protect([1.0, 2.0])


def test_the_box_is_public():
    box = system("one-sided").action_box
    np.testing.assert_array_equal([box.lower, box.upper], [[0.0], [5.0]])
