"""What is executed is what was verified, up to a rounding that is covered or refused."""

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers import Box, CertificateError
from safe_wrappers._action_box import ActionBox
from safe_wrappers.models import ActionUnits

TAU = 16 * float(np.finfo(np.float32).eps)  # for one action


def box(low, high, dtype=np.float32, size=1):
    return spaces.Box(np.full(size, low, dtype), np.full(size, high, dtype), (size,), dtype)


ORDINARY = [
    (-1, 1, np.float32),
    (-1, 1, np.float64),
    (-30, 30, np.float32),
    (0, 1, np.float32),
    (0, 1000, np.float32),
    (-2, 5, np.float32),
    (1e3, 1e3 + 2, np.float64),
    (-1e-30, 1e-30, np.float32),
    (-3e38, 3e38, np.float32),
    (-1e-310, 1e-310, np.float64),
]
COARSE = [
    (-1, 1, np.float16),
    (-30, 30, np.float16),
    (1e3, 1e3 + 2, np.float32),
    (1e5, 1e5 + 2, np.float32),
    (1e6, 1e6 + 2, np.float32),
    (-1e-42, 1e-42, np.float32),
    (1e15, 1e15 + 2, np.float64),
]


@pytest.mark.parametrize(("low", "high", "dtype"), ORDINARY)
def test_a_space_that_the_accept_test_covers_changes_nothing(low, high, dtype):
    found = ActionBox(box(low, high, dtype), 1)
    assert not found.coarse
    assert np.all(found.rounding <= TAU / 4)


@pytest.mark.parametrize(("low", "high", "dtype"), COARSE)
def test_a_space_that_is_too_coarse_is_refused_unless_the_system_has_room(low, high, dtype):
    with pytest.raises(CertificateError, match=r"would be rounded by up to .* room for 4\.8e-07"):
        ActionBox(box(low, high, dtype), 1)
    found = ActionBox(box(low, high, dtype), 1, room=0.1)
    assert found.coarse
    assert TAU / 4 < float(found.rounding[0]) <= 0.1


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (box(-1e308, 1e308, np.float64), "must differ by a finite number"),
        (box(1, 1), "with `low` < `high`"),
        (spaces.Box(-1, 1, (1,), np.int32), "floating-point numbers"),
        (spaces.Box(-np.inf, np.inf, (1,)), "bounded box"),
        (spaces.Discrete(2), "bounded box"),
        (box(-1, 1, size=2), r"bounded box of the system's 1 action\(s\)"),
    ],
)
def test_another_space_is_refused(space, message):
    with pytest.raises(CertificateError, match=message):
        ActionBox(space, 1)


@given(
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    offset=st.sampled_from([0.0, 1.0, -7.0, 1e3, 3e4]),
    scale=st.sampled_from([1e-3, 0.3, 1.0, 30.0, 2e4]),
    unit=st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_the_executed_action_is_within_the_rounding_of_the_verified_one(dtype, offset, scale, unit):
    low, high = dtype(offset - scale), dtype(offset + scale)
    if not (np.isfinite([low, high]).all() and low < high):
        return
    found = ActionBox(box(low, high, dtype, 3), 3, room=np.inf)
    unit = np.array(unit, np.float32)
    executed = found.physical(unit)
    assert executed.dtype == dtype
    assert np.all((executed >= low) & (executed <= high))
    back = found.unit(executed)
    assert np.all(np.abs(back - unit) <= found.rounding * (1 + 1e-9))
    # the other way: a number of the space that is requested is verified as the nearest float32
    assert np.all(np.abs(back.astype(np.float32) - back) <= found.rounding)


@pytest.mark.parametrize("bounds", [(-12.0, 12.0), (-0.3, 0.7), (0.0, 5.0), (20.0, 20.7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rounding_covers_the_map_that_is_proved(bounds, dtype):
    """The model maps in float32, the space in float64: what differs is a part of the rounding."""
    low, high = (dtype(np.float32(end)) for end in bounds)
    units = ActionUnits(Box(np.float32([low]), np.float32([high])))
    found = ActionBox(
        box(low, high, dtype), 1, room=np.inf, proved_map=(units.center, units.half_width)
    )
    unit = np.random.default_rng(0).uniform(-1, 1, (5_000, 1)).astype(np.float32)
    unit[:2, 0] = -1, 1
    executed = found.physical(unit).astype(np.float64)
    proved = units.center.astype(np.float64) + units.half_width.astype(np.float64) * unit
    apart = np.abs(executed - proved) / units.half_width
    assert np.all(apart <= found.rounding * (1 + 1e-6))
    # A request of the space is executed as it came, and verified as the nearest float32.
    verified = found.unit(executed).astype(np.float32)
    proved = units.center.astype(np.float64) + units.half_width.astype(np.float64) * verified
    assert np.all(np.abs(executed - proved) / units.half_width <= found.rounding * (1 + 1e-6))
    assert found.coarse == (float(np.linalg.norm(found.rounding)) > TAU / 4)


def test_the_ends_are_the_bounds_themselves():
    for low, high, dtype in ORDINARY:
        found = ActionBox(box(low, high, dtype), 1)
        assert found.physical(np.array([-1.0]))[0] == dtype(low)
        assert found.physical(np.array([1.0]))[0] == dtype(high)
