"""Readers of costs, as OmniSafe's agents: Safety-Gymnasium's own converter, `pip install --no-deps
safety-gymnasium`. It pins Gymnasium 0.28, so that nothing else of it can be imported beside ours.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from clients import EPISODE, one, require_exits, require_safe

pytestmark = pytest.mark.pinned_clients
PACKAGES = ("safety-gymnasium", "gymnasium")
STEPS = 600


def converted(env):
    """The converter, read from its file."""
    package = importlib.util.find_spec("safety_gymnasium")
    file = Path(package.origin).parent / "wrappers" / "gymnasium_conversion.py"
    spec = importlib.util.spec_from_file_location("gymnasium_conversion", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Gymnasium2SafetyGymnasium(env)


def costs(env):
    """The cost of every step, third of the six values, under random requests at the limits."""
    env, rng, found = converted(env), np.random.default_rng(0), []
    for t in range(STEPS):
        if t % EPISODE == 0:
            env.reset(seed=t)
        request = rng.choice([-1.0, 1.0], 1).astype(np.float32)
        _, _, cost, terminated, truncated, _ = env.step(request)
        found.append(float(cost))
        assert not terminated
        assert truncated == (t % EPISODE == EPISODE - 1)
    return np.array(found)


def test_a_safeguarded_environment_costs_nothing(count):
    assert (costs(one()) == 0).all()
    require_safe(count, STEPS)


def test_without_a_safeguard_it_does(count):
    assert (costs(one(safeguard=None)) == 1).mean() > 0.3
    require_exits(count, STEPS)
