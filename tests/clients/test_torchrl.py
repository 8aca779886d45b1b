"""TorchRL: `pip install -e ".[clients,test]"`."""

import pytest
from clients import EPISODE, ID, TASK, many, one, require_exits, require_safe

pytestmark = pytest.mark.clients
PACKAGES = ("torchrl", "tensordict")
IDS = tuple(f"SafeWrappers/{name}-v0" for name in ("Pendulum", "CartPole", "Quadrotor", "Seeker"))


@pytest.mark.parametrize("id", IDS)
def test_an_id_is_enough(id):
    """It first tries whether `make` takes a `frameskip`."""
    from torchrl.envs import GymEnv
    from torchrl.envs.utils import check_env_specs

    env = GymEnv(id)
    check_env_specs(env)
    assert env.rollout(5).batch_size == (5,)


def test_all_infos_are_registered_if_they_are_flat(count):
    from torchrl.envs import GymEnv
    from torchrl.envs.utils import check_env_specs

    env = GymEnv(ID, flat_info=True, **TASK).auto_register_info_dict()
    check_env_specs(env)
    following = env.rollout(200)["next"]
    assert (following["cost"] == 0).all()
    assert (following["safeguard/inside"] == 1).all()
    require_safe(count, 200)


def test_vector_environments_that_reset_in_the_same_step(count):
    from torchrl.envs import GymWrapper
    from torchrl.envs.utils import check_env_specs

    env = GymWrapper(many(3, flat_info=True))
    check_env_specs(env)
    assert env.rollout(200, break_when_any_done=False).batch_size == (3, 200)
    require_safe(count, 600)


def test_tensors_and_the_reader_of_costs(count):
    from torchrl.envs import GymWrapper
    from torchrl.envs.libs.gym import default_info_dict_reader
    from torchrl.envs.utils import check_env_specs

    env = GymWrapper(one(array="torch"))
    env.set_info_dict_reader(default_info_dict_reader(["cost"]))
    check_env_specs(env)
    assert float(env.rollout(EPISODE)["next", "cost"].sum()) == 0
    require_safe(count, EPISODE)


def proximal_policy_optimisation(env, frames=2_400):
    import torch
    from tensordict.nn import TensorDictModule
    from tensordict.nn.distributions import NormalParamExtractor
    from torchrl import collectors
    from torchrl.envs import GymWrapper
    from torchrl.modules import ProbabilisticActor, TanhNormal, ValueOperator
    from torchrl.objectives import ClipPPOLoss
    from torchrl.objectives.value import GAE

    torch.manual_seed(0)
    env = GymWrapper(env)
    net = torch.nn.Sequential(
        torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2), NormalParamExtractor()
    )
    actor = ProbabilisticActor(
        TensorDictModule(net, ["observation"], ["loc", "scale"]),
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        return_log_prob=True,
        spec=env.action_spec,
    )
    value = ValueOperator(torch.nn.Linear(4, 1), in_keys=["observation"])
    loss, advantage = ClipPPOLoss(actor, value), GAE(gamma=0.99, lmbda=0.95, value_network=value)
    optimiser = torch.optim.Adam(loss.parameters(), 1e-3)
    for data in collectors.Collector(env, actor, frames_per_batch=1_200, total_frames=frames):
        advantage(data)
        for _ in range(4):
            found = loss(data)
            (found["loss_objective"] + found["loss_critic"]).backward()
            optimiser.step()
            optimiser.zero_grad()


def test_an_agent_stays_in_the_set(count):
    proximal_policy_optimisation(many(8, mode="Disabled"))
    require_safe(count, 2_400)


def test_without_a_safeguard_it_leaves_it(count):
    proximal_policy_optimisation(many(8, mode="Disabled", safeguard=None))
    require_exits(count, 2_400)
