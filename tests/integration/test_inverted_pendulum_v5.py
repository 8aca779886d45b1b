"""MuJoCo's pendulum on a cart as Gymnasium has it, two frames of RK4 per action, does not fall."""

import numpy as np
import pytest
from gymnasium_plants import (
    pendulum,
    require_conformance,
    require_containment,
    safe,
    share_that_leaves,
)

# The mountain car stands for these in the quick tests.
pytestmark = pytest.mark.slow
KINDS = pytest.mark.parametrize("kind", ["random", "bang-bang"])


def test_it_steps_the_surrogate():
    require_conformance(*pendulum())


@KINDS
def test_the_safeguard_keeps_it_in_the_set(kind):
    require_containment(*pendulum(), kind, episodes=10, steps=200)


def test_without_the_safeguard_it_leaves():
    assert share_that_leaves(*pendulum()) >= 0.8


def test_it_never_ends_its_episode():
    env = safe(*pendulum())
    env.reset(seed=0)
    assert not any(env.step(np.array([3.0]))[2] for _ in range(200))


@KINDS
def test_a_hundred_thousand_steps(kind):
    require_containment(*pendulum(), kind, episodes=200, steps=500)
