"""MountainCarContinuous-v0 meets neither its inelastic wall nor its speed limit."""

import numpy as np
import pytest
from gymnasium_plants import KEY, car, require_conformance, require_containment, share_that_leaves

KINDS = pytest.mark.parametrize("kind", ["random", "bang-bang"])


def test_it_steps_the_surrogate():
    require_conformance(*car())


@KINDS
def test_the_safeguard_keeps_it_in_the_set(kind):
    require_containment(*car(), kind, episodes=10, steps=200)


def test_without_the_safeguard_it_leaves():
    assert share_that_leaves(*car()) >= 0.8


def test_it_may_reach_its_goal_and_does_not_meet_wall_or_speed_limit():
    plant, system = car()
    assert system.safe_state_set.vertices()[:, 0].max() > 0.45
    x = system.safe_state_set.sample(KEY, (500,))
    after = plant.steps(x, np.where(np.arange(500)[:, None] % 2, 1.0, -1.0))
    assert after[:, 0].min() > -1.2
    assert np.abs(after[:, 1]).max() < 0.07


@pytest.mark.slow
@KINDS
def test_a_hundred_thousand_steps(kind):
    require_containment(*car(), kind, episodes=200, steps=500)
