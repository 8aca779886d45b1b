"""The guarantee on long runs: no exit from S, counted in float64, under worst-case disturbances;
and the same runs without the safeguard.
"""

import numpy as np
import pytest
from helpers import (
    ENVS,
    PENDULUM_SETS,
    STEPS,
    facets,
    keys,
    margins,
    recorded,
    requests,
    worst_margins,
)

from safe_wrappers.envs import SafePendulum


def soak(safe_set, backend, kind, rollouts, safeguarded=True):
    """(exits of the states that were reached, exits that some vertex of W would have caused, least
    margin, steps).
    """
    H = facets(SafePendulum(safe_set=safe_set))
    rollout, exits, possible, least = recorded(safe_set, backend, safeguarded), 0, 0, np.inf
    for seed in range(rollouts):
        x, action, _, _ = rollout(keys(seed), requests(kind, seed))
        assert x.dtype == action.dtype == np.float32
        assert np.isfinite(x).all()
        if safeguarded:
            assert np.all(np.abs(action) <= 1)
        reached, worst = margins(H, x), worst_margins(H, x[:-1], action)
        exits, possible = exits + int(np.sum(reached < 0)), possible + int(np.sum(worst < 0))
        least = min(least, reached.min(), worst.min())
    return exits, possible, least, rollouts * STEPS * ENVS


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["random", "bang_bang"])
@pytest.mark.parametrize("safe_set", PENDULUM_SETS)
def test_no_exit_in_50_000_steps(safe_set, kind):
    exits, possible, least, steps = soak(safe_set, "closed_form", kind, 1)
    assert steps > 50_000
    assert exits == possible == 0
    assert 0 < least < 1e-4  # the boundary was reached: up to the rounding allowance, no closer
    assert soak(safe_set, "closed_form", kind, 1, safeguarded=False)[0] > 10_000


@pytest.mark.parametrize("kind", ["random", "bang_bang"])
def test_no_exit_in_50_000_steps_of_generalized(kind):
    exits, possible, least, _ = soak("narrow", "generalized", kind, 1)
    assert exits == possible == 0
    assert 0 < least < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "bang_bang"])
@pytest.mark.parametrize("safe_set", PENDULUM_SETS)
@pytest.mark.parametrize("backend", ["closed_form", "generalized"])
def test_no_exit_in_a_million_steps(backend, safe_set, kind):
    exits, possible, least, steps = soak(safe_set, backend, kind, 20)
    assert steps > 1_000_000
    assert exits == possible == 0
    assert least > 0
    print(f"{backend} {safe_set} {kind}: {steps} steps, 0 exits, least margin {least:.3g}")
    assert soak(safe_set, backend, kind, 1, safeguarded=False)[0] > 10_000
