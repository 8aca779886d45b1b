"""Networks of SHAC: a tanh-normal policy with a state-independent standard deviation, and a value
function.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from brax.training import distribution, networks, types
from flax import linen
from ml_collections import config_dict

from .mlp import MLP


@dataclasses.dataclass(frozen=True)
class SHACNetworks:
    """The two networks and the distribution that turns the policy network's output into actions."""

    policy_network: networks.FeedForwardNetwork
    value_network: networks.FeedForwardNetwork
    parametric_action_distribution: distribution.ParametricDistribution


class PolicyModule(linen.Module):
    """Mean from an MLP whose last layer starts small, standard deviation from one free parameter
    per action.

    A small last layer starts training near action 0, where tanh is not saturated and every gradient
    is alive.

    Args:
        action_size: d; the output has shape (..., 2 d), the distribution's parameters (mean, raw
            standard deviation).
        hidden_layer_sizes: Widths.
        activation: Activation of the hidden layers.
        layer_norm: Whether each hidden layer is followed by a layer normalisation.
        output_scale: Factor on the initial weights of the last layer.
        init_raw_std: Initial value before softplus; -3 is a standard deviation of 0.05.
    """

    action_size: int
    hidden_layer_sizes: Sequence[int]
    activation: networks.ActivationFn
    layer_norm: bool
    output_scale: float
    init_raw_std: float

    @linen.compact
    def __call__(self, obs: jax.Array) -> jax.Array:
        mean = MLP(
            layer_sizes=[*self.hidden_layer_sizes, self.action_size],
            activation=self.activation,
            layer_norm=self.layer_norm,
            output_kernel_init=jax.nn.initializers.variance_scaling(
                self.output_scale**2, "fan_in", "uniform"
            ),
        )(obs)
        raw_std = self.param(
            "raw_std",
            jax.nn.initializers.constant(self.init_raw_std, jnp.float32),
            (self.action_size,),
        )
        return jnp.concatenate([mean, jnp.broadcast_to(raw_std, mean.shape)], axis=-1)


def make_shac_networks(
    observation_size: int,
    action_size: int,
    preprocess_observations_fn: Callable[..., Any] = types.identity_observation_preprocessor,
    policy_hidden_layer_sizes: Sequence[int] = (64, 64),
    value_hidden_layer_sizes: Sequence[int] = (64, 64),
    activation: networks.ActivationFn = linen.elu,
    layer_norm: bool = True,
    policy_output_scale: float = 0.01,
    policy_init_raw_std: float = -3.0,
) -> SHACNetworks:
    """The default `network_factory` of `train`; every argument but the first three is stored in
    checkpoints.
    """
    policy_module = PolicyModule(
        action_size,
        tuple(policy_hidden_layer_sizes),
        activation,
        layer_norm,
        policy_output_scale,
        policy_init_raw_std,
    )
    value_module = MLP(
        layer_sizes=(*value_hidden_layer_sizes, 1), activation=activation, layer_norm=layer_norm
    )
    dummy_obs = jnp.zeros((1, observation_size))

    def preprocessed(obs, normalizer_params):
        # Brax normalises in float64 where 64-bit types are switched on; the networks do not.
        return preprocess_observations_fn(obs, normalizer_params).astype(jnp.float32)

    def apply_policy(normalizer_params, policy_params, obs):
        return policy_module.apply(policy_params, preprocessed(obs, normalizer_params))

    def apply_value(normalizer_params, value_params, obs):
        values: Any = value_module.apply(value_params, preprocessed(obs, normalizer_params))
        return jnp.squeeze(values, axis=-1)

    return SHACNetworks(
        policy_network=networks.FeedForwardNetwork(
            lambda key: policy_module.init(key, dummy_obs), apply_policy
        ),
        value_network=networks.FeedForwardNetwork(
            lambda key: value_module.init(key, dummy_obs), apply_value
        ),
        parametric_action_distribution=distribution.NormalTanhDistribution(event_size=action_size),
    )


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SHACPolicy:
    """A policy of SHAC: policy(observation, key) -> (action, extras), action in [-1, 1]^d.

    Args:
        networks: The networks.
        params: Their parameters: (normalizer_params, policy_params, value_params).
        deterministic: Whether the action is the mode of the distribution; then the key is not used.
        config: The configuration of the networks, which `save_policy` stores; None if it is not
            known.
    """

    networks: SHACNetworks
    params: types.Params
    deterministic: bool = False
    config: config_dict.ConfigDict | None = None

    def __call__(
        self, observation: types.Observation, key: types.PRNGKey
    ) -> tuple[types.Action, types.Extra]:
        """The action for an observation, shape (..., observation_size), and nothing beside it."""
        distribution = self.networks.parametric_action_distribution
        logits = self.networks.policy_network.apply(self.params[0], self.params[1], observation)
        if self.deterministic:
            return distribution.mode(logits), {}
        return distribution.sample(logits, key), {}

    def __repr__(self) -> str:
        kind = "deterministic" if self.deterministic else "stochastic"
        return f"SHACPolicy({kind}, {self.params[1]['params']['raw_std'].shape[0]} actions)"


def make_inference_fn(
    shac_networks: SHACNetworks, config: config_dict.ConfigDict | None = None
) -> Callable[..., SHACPolicy]:
    """`make_policy(params, deterministic=False) -> SHACPolicy`, params as `train` returns them.

    Args:
        shac_networks: The networks.
        config: Their configuration, from `checkpoint.network_config`; needed to save a policy.
    """

    def make_policy(params: types.Params, deterministic: bool = False) -> SHACPolicy:
        return SHACPolicy(shac_networks, params, deterministic, config)

    return make_policy
