"""CleanRL's scripts, unchanged: `pip install -e ".[clients,test]" tensorboard`, and a checkout of
https://github.com/vwxyzjn/cleanrl whose folder is in the environment variable CLEANRL.
"""

import importlib
import os
from pathlib import Path

import gymnasium
import pytest
from clients import EPISODE, ID, TASK, require_exits, require_safe

pytestmark = pytest.mark.pinned_clients
PACKAGES = ("torch", "gymnasium")
SHORT = ("--total-timesteps", "600", "--learning-starts", "200")
SCRIPTS = {
    "ppo_continuous_action": ("--total-timesteps", "512", "--num-steps", "256", "--num-envs", "2"),
    "rpo_continuous_action": ("--total-timesteps", "512", "--num-steps", "256"),
    "sac_continuous_action": SHORT,
    "td3_continuous_action": SHORT,
    "ddpg_continuous_action": SHORT,
    "td3_continuous_action_jax": SHORT,
    "ddpg_continuous_action_jax": SHORT,
}


@pytest.fixture(scope="module")
def ids():
    """The scripts take an id and no options: the task under ids of its own."""
    spec = gymnasium.spec(ID)
    options = {"entry_point": spec.entry_point, "max_episode_steps": EPISODE}
    gymnasium.register("CleanRL/Safe-v0", kwargs={**spec.kwargs, **TASK}, **options)
    unsafe = {**spec.kwargs, **TASK, "safeguard": None}
    gymnasium.register("CleanRL/Unsafe-v0", kwargs=unsafe, **options)
    yield
    for id in ("CleanRL/Safe-v0", "CleanRL/Unsafe-v0"):
        del gymnasium.registry[id]


def run(name, id):
    script = Path(os.environ["CLEANRL"]) / "cleanrl" / f"{name}.py"
    no_cuda = () if name.endswith("jax") else ("--no-cuda",)
    importlib.import_module("agents.cleanrl").run(
        script, ["--env-id", id, *no_cuda, *SCRIPTS[name]]
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_stay_in_the_set(name, ids, count):
    run(name, "CleanRL/Safe-v0")
    require_safe(count, 500)


def test_without_a_safeguard_they_leave_it(ids, count):
    run("ppo_continuous_action", "CleanRL/Unsafe-v0")
    require_exits(count, 500)
