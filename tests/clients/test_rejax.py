"""rejax, agents that are compiled with their environment: `pip install -e ".[clients,test]"`."""

import jax
import pytest
from clients import EPISODE, brax_env, require_exits, require_safe

import safe_wrappers as sw

pytestmark = pytest.mark.clients
PACKAGES = ("rejax", "gymnax")
SIZES = {
    "ppo": {"num_envs": 8, "num_steps": 32, "num_minibatches": 4, "num_epochs": 2},
    "sac": {"num_envs": 4, "batch_size": 32, "fill_buffer": 200, "buffer_size": 2_000},
    "td3": {"num_envs": 4, "batch_size": 32, "fill_buffer": 200, "buffer_size": 2_000},
}


def train(name, env, timesteps=1_024):
    import rejax

    sizes = {**SIZES[name], "total_timesteps": timesteps, "eval_freq": timesteps}
    algorithm = rejax.get_algo(name).create(env=env, env_params=env.default_params, **sizes)
    jax.block_until_ready(jax.jit(algorithm.train)(jax.random.PRNGKey(0)))


@pytest.mark.parametrize("name", SIZES)
def test_agents_stay_in_the_set(name, count):
    train(name, sw.GymnaxEnv(brax_env(), max_steps_in_episode=EPISODE))
    require_safe(count, 1_024)


def test_its_own_adapter_of_brax(count):
    """Its evaluation squeezes the one action to the shape ()."""
    from brax.envs.wrappers.training import EpisodeWrapper
    from rejax.compat.brax2gymnax import Brax2GymnaxEnv

    train("ppo", Brax2GymnaxEnv(EpisodeWrapper(brax_env(), EPISODE, 1)))
    require_safe(count, 1_024)


def test_without_a_safeguard_they_leave_it(count):
    train("ppo", sw.GymnaxEnv(brax_env(safeguarded=False), max_steps_in_episode=EPISODE))
    require_exits(count, 1_024)
