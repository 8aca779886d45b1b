"""Tianshou: `pip install -e ".[clients,test]"`. Its collector takes lists of environments."""

import pytest
from clients import one, require_exits, require_safe

pytestmark = pytest.mark.clients
PACKAGES = ("tianshou",)


def train(make, steps=1_536):
    import torch
    from tianshou.algorithm import PPO
    from tianshou.algorithm.algorithm_base import policy_within_training_step
    from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic

    torch.manual_seed(0)
    envs = DummyVectorEnv([make] * 4)

    def body():
        return Net(state_shape=(4,), hidden_sizes=(32,))

    actor = ContinuousActorProbabilistic(preprocess_net=body(), action_shape=(1,), unbounded=True)
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=lambda x: torch.distributions.Independent(torch.distributions.Normal(*x), 1),
        action_space=make().action_space,
        action_scaling=True,
        action_bound_method="clip",
    )
    critic = ContinuousCritic(preprocess_net=body())
    algorithm = PPO(policy=policy, critic=critic, optim=AdamOptimizerFactory(lr=1e-3))
    collector = Collector(algorithm, envs, VectorReplayBuffer(4_000, 4))
    collector.reset()
    for _ in range(3):
        collector.collect(n_step=steps // 3)
        with policy_within_training_step(algorithm.policy):
            algorithm.update(buffer=collector.buffer, batch_size=128, repeat=2)
        collector.reset_buffer()


def test_an_agent_stays_in_the_set(count):
    train(one)
    require_safe(count, 1_536)


def test_without_a_safeguard_it_leaves_it(count):
    train(lambda: one(safeguard=None))
    require_exits(count, 1_536)
