"""sbx, Stable-Baselines3 in JAX: `pip install -e ".[clients,test]"`."""

import pytest
from clients import many, require_exits, require_safe

import safe_wrappers as sw

pytestmark = pytest.mark.clients
PACKAGES = ("sbx-rl",)
OFF_POLICY = {"learning_starts": 200, "train_freq": (16, "step"), "gradient_steps": 4}
AGENTS = {
    "PPO": {"n_steps": 32, "batch_size": 64, "n_epochs": 2},
    "SAC": OFF_POLICY,
    "TD3": OFF_POLICY,
    "TQC": OFF_POLICY,
    "CrossQ": OFF_POLICY,
    "DDPG": OFF_POLICY,
}


def learn(name, env):
    import sbx

    return getattr(sbx, name)("MlpPolicy", env, seed=0, **AGENTS[name]).learn(600)


@pytest.mark.parametrize("name", AGENTS)
def test_agents_stay_in_the_set(name, count):
    learn(name, sw.as_vec_env(many()))
    require_safe(count, 600)


def test_a_saved_agent_goes_on(count):
    import sbx

    learn("SAC", sw.as_vec_env(many())).save("agent.zip")
    sbx.SAC.load("agent.zip", env=sw.as_vec_env(many())).learn(200)
    require_safe(count, 800)


def test_without_a_safeguard_they_leave_it(count):
    learn("SAC", sw.as_vec_env(many(safeguard=None)))
    require_exits(count, 600)
