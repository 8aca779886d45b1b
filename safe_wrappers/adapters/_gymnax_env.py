"""Brax environments in the functional form of gymnax, for agents that are compiled with them."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs
from jax.typing import ArrayLike

from .._frozen import Frozen
from .._gate import as_action, as_flag, as_integer
from .._optional import require
from .._pytree import frozen_pytree
from . import _gym_env as single

Info = dict[str, Any]


@frozen_pytree
class GymnaxParams:
    """What can differ between episodes.

    Args:
        max_steps_in_episode: After how many steps an episode ends.
    """

    max_steps_in_episode: int | jax.Array = 240

    def replace(self, **changes: Any) -> "GymnaxParams":
        """The same with other values."""
        return dataclasses.replace(self, **changes)


class GymnaxState(NamedTuple):
    """The state of an episode.

    Attributes:
        env_state: The state of the Brax environment.
        time: Steps since the start of the episode, shape (), int32.
    """

    env_state: envs.State
    time: jax.Array


class GymnaxEnv(Frozen):
    """A Brax environment with a system, safeguarded or not, with the functions of gymnax:
    `reset(key, params)` and `step(key, state, action, params)`.

    It adds nothing to what `SafeguardWrapper` guarantees, and gradients flow through. All functions
    may be jitted and mapped. An episode ends where the environment ends it, of which the bundled
    ones have none, or after `params.max_steps_in_episode` steps; `step` then returns the first
    observation and state of the next one. Actions lie in [-1, 1]^d; with d = 1 also of shape ().

    Args:
        env: A `SafeguardWrapper`, or a bare environment with a `system`, which has no guarantee.
        max_steps_in_episode: The length of an episode in `default_params`.
        separate_ends: False: `step` returns five values, with whether the episode ended, as gymnax
            0.0, rejax and PureJaxRL. True: it returns six, with `terminated` and `truncated`, as
            gymnax 1.0.

    Raises:
        WrapperOrderError, TypeError, CertificateError: As `GymEnv`.
        ValueError: If the length is not positive.

    Info:
        The Brax environment's own info, without random keys, as `GymEnv` gives it, in the state
        before a reset. And:
        truncated: 1 if the episode ended only because its time was up, so that a value function
            must go on from `final_obs`; else 0.
        final_obs: The observation of the state that the step reached; with `separate_ends` also
            under gymnax's name, `final_observation`.
        terminated: With `separate_ends`: whether the environment itself ended the episode.
        discount: 0 if the environment itself ended the episode, else 1.

    Example:
        >>> import safe_wrappers as sw
        >>> pendulum = sw.envs.get_environment("safe_pendulum")
        >>> env = GymnaxEnv(sw.SafeguardWrapper(pendulum, sw.BoundaryProjection()))
        >>> observation, state = env.reset(jax.random.PRNGKey(0))
        >>> key, action = jax.random.PRNGKey(1), jnp.zeros(1)
        >>> observation, state, reward, done, info = env.step(key, state, action)
        >>> float(info["safeguard"]["inside"])
        1.0
    """

    def __init__(
        self, env: envs.Env, *, max_steps_in_episode: int = 240, separate_ends: bool = False
    ):
        single.require_single(env)
        self.env: Any = env
        self.separate_ends = as_flag("separate_ends", separate_ends)
        self._params = GymnaxParams(as_integer("max_steps_in_episode", max_steps_in_episode, 1))

    def reset(
        self, key: jax.Array, params: GymnaxParams | None = None
    ) -> tuple[jax.Array, GymnaxState]:
        """Starts an episode at a random state of the safe set.

        Args:
            key: A random key.
            params: Default: `default_params`.

        Returns:
            The observation, and the state of the episode.
        """
        del params
        return self._started(self.env.reset(key))

    def step(
        self,
        key: jax.Array,
        state: GymnaxState,
        action: ArrayLike,
        params: GymnaxParams | None = None,
    ) -> tuple[Any, ...]:
        """One step under the safe replacement of `action`, and the start of the next episode if it
        ended this one.

        Args:
            key: A random key, of the next start. Disturbances have one of their own, in the state.
            state: From `reset` or `step`.
            action: Shape (d,).
            params: Default: `default_params`.

        Returns:
            Observation, state, reward, whether the episode ended (bool; with `separate_ends` two of
            them, terminated and truncated), and infos.

        Raises:
            SetDimensionError: At trace time, if the action has another shape, or is not made of
                real numbers.
        """
        observation, reached, reward, terminated, truncated, info = self._step(
            state, action, params
        )
        done = terminated | truncated
        fresh, started = self.reset(key, params)
        following = jax.tree.map(lambda new, old: jnp.where(done, new, old), started, reached)
        ends = (terminated, truncated) if self.separate_ends else (done,)
        return jnp.where(done, fresh, observation), following, reward, *ends, info

    def reset_env(
        self, key: jax.Array, params: GymnaxParams | None = None
    ) -> tuple[jax.Array, GymnaxState]:
        """The same as `reset`."""
        return self.reset(key, params)

    def step_env(
        self,
        key: jax.Array,
        state: GymnaxState,
        action: ArrayLike,
        params: GymnaxParams | None = None,
    ) -> tuple[jax.Array, GymnaxState, jax.Array, jax.Array, Info]:
        """`step` without the start of a next episode, and `key` is not used. The fourth value is
        whether the episode ended; with `separate_ends` whether the environment itself ended it.
        """
        del key
        observation, reached, reward, terminated, truncated, info = self._step(
            state, action, params
        )
        done = terminated if self.separate_ends else terminated | truncated
        return observation, reached, reward, done, info

    def _step(
        self, state: GymnaxState, action: ArrayLike, params: GymnaxParams | None
    ) -> tuple[jax.Array, GymnaxState, jax.Array, jax.Array, jax.Array, Info]:
        """Observation, state, reward, terminated, out of time (both bool), infos."""
        params = self._params if params is None else params
        request = as_action(action, self.env.action_size)
        after, seen, reward, terminated = single.step(self.env, state.env_state, request)
        time = state.time + 1
        out_of_time = time >= params.max_steps_in_episode
        info = {
            **seen.info,
            "truncated": jnp.asarray(out_of_time & ~terminated, jnp.float32),
            "final_obs": seen.observation,
            "discount": 1.0 - jnp.asarray(terminated, jnp.float32),
        }
        if self.separate_ends:
            info |= {"terminated": terminated, "truncated": out_of_time}
            info["final_observation"] = seen.observation
        reached = GymnaxState(after, time)
        return seen.observation, reached, reward, terminated, out_of_time, info

    def _started(self, env_state: envs.State) -> tuple[jax.Array, GymnaxState]:
        time = jnp.zeros((), jnp.int32)
        return jnp.asarray(env_state.obs, jnp.float32), GymnaxState(env_state, time)

    @property
    def default_params(self) -> GymnaxParams:
        """The parameters that are taken where none are given."""
        return self._params

    @property
    def name(self) -> str:
        """The name of the environment."""
        return type(getattr(self.env, "env", self.env)).__name__

    @property
    def num_actions(self) -> int:
        """The number of actuators, d."""
        return self.env.action_size

    def action_space(self, params: GymnaxParams | None = None) -> Any:
        """[-1, 1]^d as a `gymnax.environments.spaces.Box`.

        Raises:
            MissingDependencyError: If gymnax is not installed.
        """
        del params
        return _box(single.spaces_of(self.env)[1])

    def observation_space(self, params: GymnaxParams | None = None) -> Any:
        """The bounds of observations as a `gymnax.environments.spaces.Box`.

        Raises:
            MissingDependencyError: If gymnax is not installed.
        """
        del params
        return _box(single.spaces_of(self.env)[0])


def _box(space: Any) -> Any:
    spaces = require("gymnax.environments.spaces", "gymnax")
    return spaces.Box(
        jnp.asarray(space.low), jnp.asarray(space.high), np.shape(space.low), jnp.float32
    )
