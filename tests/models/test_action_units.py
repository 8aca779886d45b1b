"""Natural units: no action of [-1, 1]^d leaves the box, and the way there and back is exact up to
roundings that are known.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volts import BOXES, ends

from safe_wrappers import Box, ModelError
from safe_wrappers.models import ActionUnits


def units_of(low, high):
    return ActionUnits(Box(np.float32([low]), np.float32([high])))


def sample(seed=0, count=4000):
    u = np.random.default_rng(seed).uniform(-1, 1, (count, 1)).astype(np.float32)
    u[:4, 0] = -1, 1, np.nextafter(np.float32(1), np.float32(0)), 0
    return u


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("compiled", [False, True])
def test_no_action_leaves_the_box_and_both_ends_are_reached_up_to_a_rounding(box, compiled):
    low, high = ends(box)
    units = units_of(low, high)
    natural = (jax.jit if compiled else lambda f: f)(units.natural)
    a = np.asarray(natural(sample()), np.float64)[:, 0]
    assert np.all((a >= low) & (a <= high))
    step = float(np.spacing(np.float32(max(abs(low), abs(high)))))
    assert a.min() <= low + 2 * step
    assert a.max() >= high - 2 * step


@pytest.mark.parametrize("box", BOXES)
def test_the_way_back_is_off_by_two_roundings_at_most(box):
    low, high = ends(box)
    units = units_of(low, high)
    a = np.random.default_rng(1).uniform(low, high, 4000).astype(np.float32)
    exact = (a.astype(np.float64) - float(units.center[0])) / float(units.half_width[0])
    found = np.asarray(jax.jit(units.unit)(a[:, None]), np.float64)[:, 0]
    assert np.all(np.abs(found - exact) <= 2.0**-23 * np.abs(exact) * (1 + 1e-6))


@given(
    offset=st.sampled_from([0.0, 1.0, -7.0, 1e3, 3e4, -2e-5]),
    scale=st.sampled_from([1e-30, 1e-6, 1e-3, 0.3, 1.0, 30.0, 2e4, 1e30]),
    unit=st.floats(-1, 1, width=32),
)
@settings(max_examples=200, deadline=None)
def test_any_box_that_is_taken_holds_its_actions(offset, scale, unit):
    low, high = np.float32(offset - 0.7 * scale), np.float32(offset + scale)
    if not low < high:
        return
    try:
        units = units_of(low, high)
    except ModelError:
        spacing = np.spacing(max(abs(low), abs(high)))
        assert spacing / 2 / ((float(high) - float(low)) / 2) > 0.9e-4
        return
    a = np.asarray(units.natural(jnp.float32([unit])))[0]
    assert a.dtype == np.float32
    assert low <= a <= high
    exact = float(units.center[0]) + float(units.half_width[0]) * unit
    assert abs(float(a) - exact) <= 1.1e-4 * float(units.half_width[0])


def test_the_box_from_minus_one_to_one_is_no_operation():
    units = ActionUnits(Box([-1.0, -1.0], [1.0, 1.0]))
    assert units.plain
    assert not jax.make_jaxpr(units.natural)(jnp.ones(2)).eqns
    assert not jax.make_jaxpr(units.unit)(jnp.ones(2)).eqns


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (1e5, 1e5 + 2, r"action 0 from 100000\.0 to 100002\.0 would be rounded by up to 0\.0039"),
        (0.0, 1e-36, "would be rounded"),
        (1.0, 1.0, "with `lower` < `upper` for every action"),
        (-np.inf, 1.0, "must be bounded"),
    ],
)
def test_a_box_without_room_for_float32_is_refused(low, high, message):
    with pytest.raises(ModelError, match=message):
        units_of(low, high)


def test_float64_actions_stay_float64():
    with jax.enable_x64():
        natural = units_of(-12, 12).natural(jnp.asarray([0.3], jnp.float64))
    assert natural.dtype == np.float64
    assert float(natural[0]) == 12 * 0.3
