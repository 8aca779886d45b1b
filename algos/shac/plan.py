"""What a training consists of, made from the options of `train` before anything is computed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from brax import envs
from brax.training import types
from brax.training.acme import running_statistics
from jax.sharding import Mesh
from ml_collections import config_dict

from . import checkpoint
from . import networks as shac_networks
from .devices import Devices
from .learner import Hyperparameters, Learner
from .settings import check_regularisation, default_regularisation

_MOST_UPDATES = 2**31  # they are counted in int32


@dataclasses.dataclass(frozen=True)
class Plan:
    """One training, or several that differ in seeds and hyperparameters alone.

    Args:
        options: The options of `train`, all of them, checked.
        learner: The learner.
        make_policy: (params, deterministic=False) -> policy.
        config: The configuration of the networks, for checkpoints.
        num_updates: Updates of the whole training.
        hyperparameters: Of the training; each of shape ().
    """

    options: Mapping[str, Any]
    learner: Learner
    make_policy: Callable[..., shac_networks.SHACPolicy]
    config: config_dict.ConfigDict
    num_updates: int
    hyperparameters: Hyperparameters

    @property
    def evaluated(self) -> envs.Env:
        """The batched environment of evaluations, whose episodes end and begin again."""
        env = self.options["eval_env"] or self.options["environment"]
        if not self.options["wrap_env"]:
            return env
        return envs.training.wrap(env, self.options["episode_length"], action_repeat=1)

    @property
    def evaluated_policy(self) -> Callable[..., shac_networks.SHACPolicy]:
        """params -> the policy whose episodes are evaluated."""
        return functools.partial(self.make_policy, deterministic=self.options["deterministic_eval"])


def make_plan(options: Mapping[str, Any]) -> Plan:
    """The plan of a training.

    Raises:
        ValueError: As `train` does, for what no single option decides.
    """
    environment, regularisation = options["environment"], options["regularisation"]
    if regularisation is None:
        regularisation = default_regularisation(environment)
    check_regularisation(environment, regularisation)
    episode_length = options["episode_length"]
    train_episode_length = min(options["train_episode_length"] or episode_length, episode_length)
    observation_size, action_size = environment.observation_size, environment.action_size
    if not isinstance(observation_size, int):
        raise ValueError(
            "Observations must be vectors, but the environment's observation size is "
            f"{observation_size}; concatenate them into one."
        )
    mesh = options["mesh"]
    # Made anew, so that its axis is of the plain kind, whichever JAX gives by default.
    devices = Devices(None if mesh is None else Mesh(mesh.devices, mesh.axis_names))
    num_envs = options["num_envs"]
    if num_envs % devices.count:
        raise ValueError(
            "`num_envs` must be a multiple of the number of devices of `mesh`, but it is "
            f"{num_envs} and there are {devices.count}; take `num_envs="
            f"{-(-num_envs // devices.count) * devices.count}`."
        )
    normalize = (
        running_statistics.normalize
        if options["normalize_observations"]
        else types.identity_observation_preprocessor
    )
    factory = options["network_factory"]
    networks = factory(observation_size, action_size, preprocess_observations_fn=normalize)
    config = checkpoint.network_config(
        observation_size, action_size, options["normalize_observations"], factory
    )
    wrapped = environment
    if options["wrap_env"]:
        wrapped = options["wrap_env_fn"](environment, train_episode_length)
    learner = Learner(
        wrapped,
        networks,
        num_envs,
        options["horizon_length"],
        train_episode_length,
        options["num_critic_updates"],
        devices,
    )
    num_updates = -(-options["num_timesteps"] // learner.steps_per_update)
    if num_updates >= _MOST_UPDATES:
        raise ValueError(
            f"`num_timesteps` is {options['num_timesteps']}, but with {learner.steps_per_update} "
            f"steps per update it must be less than {_MOST_UPDATES * learner.steps_per_update}."
        )
    values = {name: options[name] for name in Hyperparameters._fields if name in options}
    hyper = Hyperparameters(
        **{**values, "num_updates": num_updates, "regularisation": regularisation}
    )
    return Plan(
        options,
        learner,
        shac_networks.make_inference_fn(networks, config),
        config,
        num_updates,
        jax.tree.map(jnp.float32, hyper),
    )
