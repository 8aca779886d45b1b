"""RLlib: `pip install -e ".[test]" "ray[rllib]" torch`, in an environment of its own, since it
pins Gymnasium.
"""

import gymnasium
import pytest
from clients import EPISODE, ID, TASK, require_exits, require_safe

pytestmark = pytest.mark.pinned_clients
PACKAGES = ("ray", "gymnasium")


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def train(**options):
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.tune.registry import register_env

    options = {**TASK, "max_episode_steps": EPISODE, **options}
    register_env("safe", lambda config: gymnasium.make(f"safe_wrappers:{ID}", **options))
    sizes = {"train_batch_size": 512, "minibatch_size": 128, "num_epochs": 1}
    # no other process, so that all steps are counted
    config = PPOConfig().environment("safe").env_runners(num_env_runners=0)
    algorithm = config.training(**sizes).build_algo()
    for _ in range(2):
        algorithm.train()
    algorithm.stop()


def test_an_agent_stays_in_the_set(cluster, count):
    train()
    require_safe(count, 1_024)


def test_without_a_safeguard_it_leaves_it(cluster, count):
    train(safeguard=None)
    require_exits(count, 1_024)
