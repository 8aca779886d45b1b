"""A plant whose disturbances are chosen from outside and whose executed actions are written down:
whatever a safeguard reports, these are the actions that reach the plant.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs as brax_envs

from ..envs import ModelEnv, joint_state

_NAME = "falsification"  # of the entry of `info`


class Chosen(NamedTuple):
    """What an adversary does in a step.

    Attributes:
        disturbance: The w that acts, shape (k,).
        least: The least float32 margin of the next state over all disturbances. Shape ().
    """

    disturbance: jax.Array
    least: jax.Array


class Probed(NamedTuple):
    """What the plant has got in its last step.

    Attributes:
        plan: What the adversary is to do in the next one.
        action: The action that arrived, in [-1, 1]^d if it was safe, shape (d,).
        chosen: What the adversary did.
    """

    plan: Any
    action: jax.Array
    chosen: Chosen


class Probe(brax_envs.Env):
    """The plant, between a safeguard and its adversary.

    Args:
        env: The plant.
        adversary: (plan, x, action in [-1, 1]^d) -> what it does.
        plan: A plan of the right structure.
    """

    def __init__(self, env: ModelEnv, adversary: Callable[..., Chosen], plan: Any):
        self.env, self._adversary, self._plan = env, adversary, plan

    def reset(self, rng: jax.Array) -> brax_envs.State:
        return self.reset_to(self.env.sample_initial(rng), rng)

    def reset_to(self, x: jax.Array, rng: jax.Array) -> brax_envs.State:
        model = self.env.model
        nothing = Chosen(jnp.zeros(model.disturbance_size, jnp.float32), jnp.zeros((), jnp.float32))
        probed = Probed(self._plan, jnp.zeros(model.action_size, jnp.float32), nothing)
        return _with(self.env.reset_to(x, rng), probed)

    def step(self, state: brax_envs.State, action: jax.Array) -> brax_envs.State:
        probed = state.info[_NAME]
        info = {name: value for name, value in state.info.items() if name != _NAME}
        x = joint_state(state)
        chosen = self._adversary(probed.plan, x, jnp.asarray(action, x.dtype))
        env = self.env.with_disturbance(lambda key, x, natural: chosen.disturbance)
        after = env.step(dataclasses.replace(state, info=info), action)
        executed = jnp.asarray(action, jnp.float32)
        return _with(after, Probed(probed.plan, executed, Chosen(*chosen)))

    def admissible(self, x: jax.Array) -> jax.Array:
        return self.env.admissible(x)

    def observation_bound(self) -> np.ndarray:
        return self.env.observation_bound()

    @property
    def system(self) -> Any:
        return self.env.system

    @property
    def observation_size(self) -> Any:
        return self.env.observation_size

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def backend(self) -> str:
        return self.env.backend

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.env, name)


def probed(state: brax_envs.State) -> Probed:
    """What the plant has got in the step that led to this state of it, safeguarded or not."""
    return state.info[_NAME]


def planned(state: brax_envs.State, plan: Any) -> brax_envs.State:
    """The state with what the adversary is to do next."""
    return _with(state, state.info[_NAME]._replace(plan=plan))


def _with(state: brax_envs.State, value: Probed) -> brax_envs.State:
    return dataclasses.replace(state, info={**state.info, _NAME: value})
