"""skrl: `pip install -e ".[clients,test]"`."""

import pytest
from clients import many, one, require_exits, require_safe

pytestmark = pytest.mark.clients
PACKAGES = ("skrl",)


def train(algorithm, raw, timesteps=300):
    import torch
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
    from skrl.trainers.torch import SequentialTrainer
    from skrl.utils import set_seed

    set_seed(0)
    env = wrap_env(raw)
    spaces = {
        "observation_space": env.observation_space,
        "action_space": env.action_space,
        "device": env.device,
    }

    def network(inputs):
        layers = torch.nn.Linear(inputs, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1)
        return torch.nn.Sequential(*layers)

    class Policy(GaussianMixin, Model):
        def __init__(self):
            Model.__init__(self, **spaces)
            GaussianMixin.__init__(self, clip_actions=True)
            self.net = network(4)
            self.log_std = torch.nn.Parameter(torch.zeros(1))

        def compute(self, inputs, role):
            return self.net(inputs["observations"]), {"log_std": self.log_std}

    class Value(DeterministicMixin, Model):
        def __init__(self, inputs=4):
            Model.__init__(self, **spaces)
            DeterministicMixin.__init__(self)
            self.net = network(inputs)

        def compute(self, inputs, role):
            seen = [inputs["observations"]]
            if role != "value":
                seen.append(inputs["taken_actions"])
            return self.net(torch.cat(seen, -1)), {}

    if algorithm == "PPO":
        from skrl.agents.torch.ppo import PPO as Agent

        models = {"policy": Policy(), "value": Value()}
        size, options = 64, {"rollouts": 64, "learning_epochs": 2, "mini_batches": 2}
    else:
        from skrl.agents.torch.sac import SAC as Agent

        critics = ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
        models = {"policy": Policy(), **{name: Value(5) for name in critics}}
        size, options = 500, {"batch_size": 64, "learning_starts": 50, "random_timesteps": 50}
    options["experiment"] = {"directory": "log", "write_interval": 0, "checkpoint_interval": 0}
    memory = RandomMemory(memory_size=size, num_envs=env.num_envs, device=env.device)
    agent = Agent(models=models, memory=memory, cfg=options, **spaces)
    trainer = {"timesteps": timesteps, "headless": True, "disable_progressbar": True}
    SequentialTrainer(cfg=trainer, env=env, agents=agent).train()


CASES = {
    "PPO on one": ("PPO", one, 300),
    "PPO on many": ("PPO", lambda: many(4), 1_200),
    "PPO on tensors": ("PPO", lambda: many(4, array="torch"), 1_200),
    "SAC on many": ("SAC", lambda: many(4), 1_200),
}


@pytest.mark.parametrize("name", CASES)
def test_agents_stay_in_the_set(name, count):
    algorithm, make, steps = CASES[name]
    train(algorithm, make())
    require_safe(count, steps)


def test_without_a_safeguard_they_leave_it(count):
    train("PPO", many(4, safeguard=None))
    require_exits(count, 1_200)
