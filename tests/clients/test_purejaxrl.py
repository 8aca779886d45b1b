"""PureJaxRL's script, unchanged: `pip install -e ".[clients,test]" distrax`, and a checkout of
https://github.com/luchris429/purejaxrl whose folder is in the environment variable PUREJAXRL.
"""

import importlib
import os
import sys
import types
from pathlib import Path

import jax
import pytest
from clients import EPISODE, brax_env, require_exits, require_safe

import safe_wrappers as sw

pytestmark = pytest.mark.pinned_clients
PACKAGES = ("gymnax", "distrax")
CONFIG = {
    "LR": 3e-4,
    "NUM_ENVS": 16,
    "NUM_STEPS": 32,
    "TOTAL_TIMESTEPS": 2_048,
    "UPDATE_EPOCHS": 2,
    "NUM_MINIBATCHES": 4,
    "GAMMA": 0.99,
    "GAE_LAMBDA": 0.95,
    "CLIP_EPS": 0.2,
    "ENT_COEF": 0.0,
    "VF_COEF": 0.5,
    "MAX_GRAD_NORM": 0.5,
    "ACTIVATION": "tanh",
    "ENV_NAME": "safe",
    "ANNEAL_LR": False,
    "NORMALIZE_ENV": True,
}


@pytest.fixture
def script(monkeypatch):
    # which its module of wrappers imports for one of grid worlds, not used here
    monkeypatch.setitem(sys.modules, "navix", types.ModuleType("navix"))
    monkeypatch.setattr(sys, "path", [str(Path(os.environ["PUREJAXRL"]) / "purejaxrl"), *sys.path])
    return importlib.import_module("ppo_continuous_action")


@pytest.mark.parametrize("safeguarded", [True, False])
def test_proximal_policy_optimisation(safeguarded, script, count, monkeypatch):
    """It takes an environment by name; the name gives ours."""
    env = sw.GymnaxEnv(brax_env(safeguarded), max_steps_in_episode=EPISODE)
    monkeypatch.setattr(script, "BraxGymnaxWrapper", lambda name: env)
    jax.block_until_ready(jax.jit(script.make_train(dict(CONFIG)))(jax.random.PRNGKey(0)))
    (require_safe if safeguarded else require_exits)(count, 2_048)
