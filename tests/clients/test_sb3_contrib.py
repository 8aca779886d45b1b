"""sb3-contrib: `pip install -e ".[clients,test]"`."""

import pytest
from clients import many, require_exits, require_safe

import safe_wrappers as sw

pytestmark = pytest.mark.clients
PACKAGES = ("sb3-contrib",)
OFF_POLICY = {"learning_starts": 200, "train_freq": (16, "step"), "gradient_steps": 4}
AGENTS = {
    "TQC": ("MlpPolicy", OFF_POLICY),
    "CrossQ": ("MlpPolicy", OFF_POLICY),
    "RecurrentPPO": ("MlpLstmPolicy", {"n_steps": 32, "batch_size": 64, "n_epochs": 2}),
    "TRPO": ("MlpPolicy", {"n_steps": 64, "batch_size": 64}),
    "ARS": ("LinearPolicy", {"n_delta": 2}),
}


def learn(name, env):
    import sb3_contrib

    policy, sizes = AGENTS[name]
    getattr(sb3_contrib, name)(policy, env, seed=0, device="cpu", **sizes).learn(800)


@pytest.mark.parametrize("name", AGENTS)
def test_agents_stay_in_the_set(name, count):
    learn(name, sw.as_vec_env(many()))
    require_safe(count, 800)


def test_without_a_safeguard_they_leave_it(count):
    learn("TRPO", sw.as_vec_env(many(safeguard=None)))
    require_exits(count, 800)
