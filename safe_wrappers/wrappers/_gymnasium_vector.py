"""Brax environments as Gymnasium ones, many at a time: one compiled step for all of them."""

import functools
from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import numpy as np
from brax import envs
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from . import _gymnasium as single

Bools = NDArray[np.bool_]


class GymVectorEnv(gymnasium.vector.VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """Copies of a Brax environment as a `gymnasium.vector.VectorEnv`, stepped by one compiled function.

    Step by step it does what a `gymnasium.vector.SyncVectorEnv` of `GymEnv` under a `TimeLimit` does with the same seeds,
    in all autoreset modes: environment i draws from its own generator, seeded with seed + i.

    Args:
        env: As for `GymEnv`, single.
        num_envs: Number of copies.
        max_episode_steps: Length of an episode in steps; None: no limit.
        autoreset_mode: A `gymnasium.vector.AutoresetMode` or its value: "NextStep", "SameStep" (`info["final_obs"]`,
            `info["final_info"]`) or "Disabled" (then call `reset(options={"reset_mask": mask})`).
        render_mode: None or "rgb_array".
        draw: As for `GymEnv`.

    Raises:
        ValueError: If a number is not positive, or on an unknown mode.

    Info:
        As of `GymEnv`, every entry with a leading axis, and for each the mask of the environments that have it.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20, "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012 (as Gymnasium declares it)

    def __init__(
        self,
        env: envs.Env,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        draw: single.Draw | None = None,
    ):
        single.require_render_mode(render_mode, draw)
        for name, value in (("num_envs", num_envs), ("max_episode_steps", max_episode_steps)):
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, but it is {value}.")
        self.env: Any = env
        self.num_envs, self.max_episode_steps = num_envs, max_episode_steps
        self.render_mode, self.draw = render_mode, draw
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "render_fps": round(1 / self.env.dt), "autoreset_mode": self.autoreset_mode}
        self.single_observation_space, self.single_action_space = single.spaces_of(env)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[tuple[np.random.Generator, int] | None] = [None] * num_envs
        self._state: Any = None
        self._seen: Any = None  # observation and info that were last returned, without masks
        self._elapsed = np.zeros(num_envs, np.int64)
        self._ended = np.zeros(num_envs, bool)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode in all environments, or in those of a mask.

        Args:
            seed: Of environment i: seed + i, or the i-th of a sequence; None continues the random streams.
            options: {"x": states}, shape (num_envs, n) or (n,): where to start; {"reset_mask": mask}, shape (num_envs,), bool.

        Raises:
            ValueError: If a state is outside the safe set, or a mask or seeds do not fit; or if a mask comes before the first reset.
        """
        options = options or {}
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed or [None] * self.num_envs
        if len(seeds) != self.num_envs:
            raise ValueError(f"`seed` must be a number or {self.num_envs} of them, but there are {len(seeds)}.")
        mask = self._reset_mask(options)
        x = single.start_states(self.env, options["x"], self.num_envs) if "x" in options else None
        for i in np.flatnonzero(mask).tolist():
            if seeds[i] is not None:
                self._generators[i] = seeding.np_random(seeds[i])
        observation, info = self._restart(mask, x)
        return observation.copy(), _masked(info, mask)

    def step(self, actions: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """One step of every environment under the safe replacements of `actions`, shape (num_envs, d).

        Raises:
            SetDimensionError: If the actions have another shape; nothing has happened then.
            gymnasium.error.ResetNeeded: Before the first reset, and without autoreset after the end of an episode.
        """
        requests = single.to_action(actions, (self.num_envs, self.env.action_size))
        if self._state is None or (self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any()):
            raise gymnasium.error.ResetNeeded("Call `reset` before the first `step`, and without autoreset after every end of an episode.")
        everywhere = np.ones(self.num_envs, bool)
        # In this mode an episode's first step is its reset: what the step below does to these environments is discarded.
        due = self._ended if self.autoreset_mode is AutoresetMode.NEXT_STEP else ~everywhere
        self._state, result = _step(self.env, self._state, requests)
        observation, reward, terminated, info = single.to_numpy(result)
        self._elapsed += 1
        terminated &= ~due
        truncated = ~due & (self._elapsed >= self.max_episode_steps) if self.max_episode_steps else ~everywhere
        reward = np.where(due, 0.0, reward.astype(np.float64))
        self._seen, self._ended = (observation, info), terminated | truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            due = self._ended
            final = np.full(self.num_envs, None, object)
            for i in np.flatnonzero(due).tolist():
                final[i] = observation[i].copy()
            infos = {"final_obs": final, "_final_obs": due, "final_info": _masked(info, due), "_final_info": due.copy()}
            self._restart(due)
        elif due.any():
            self._restart(due)
        observation, info = self._seen
        return observation.copy(), reward, terminated, truncated, {**_masked(info, everywhere), **infos}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each environment's current state, shape (height, width, 3), uint8; None without a render mode."""
        if not self.draw or not self.render_mode:
            return None
        info = self._seen[1]
        return tuple(self.draw(info["state"][i], jax.tree.map(lambda leaf, i=i: leaf[i], info)) for i in range(self.num_envs))

    @property
    def np_random(self) -> tuple[np.random.Generator, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The environments' random generators."""
        return tuple(self._generator(i)[0] for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The seeds of these generators."""
        return tuple(self._generator(i)[1] for i in range(self.num_envs))

    def _generator(self, i: int) -> tuple[np.random.Generator, int]:
        found = self._generators[i] or seeding.np_random()
        self._generators[i] = found
        return found

    def _reset_mask(self, options: dict[str, Any]) -> Bools:
        if "reset_mask" not in options:
            return np.ones(self.num_envs, bool)
        mask = np.array(options["reset_mask"])
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(f"`options['reset_mask']` must be {self.num_envs} booleans, at least one of them true, but it is {mask.tolist()}.")
        if self._state is None and not mask.all():
            raise ValueError("The first reset must be one of all environments, but `options['reset_mask']` leaves some out.")
        return mask

    def _restart(self, mask: Bools, x: NDArray[np.float32] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode where the mask is true and keeps the rest; returns the observations and infos of all."""
        draws = np.zeros((self.num_envs, 2), np.uint32)
        for i in np.flatnonzero(mask).tolist():
            draws[i] = single.draw_seed(self._generator(i)[0])
        fresh, result = _reset(self.env, draws) if x is None else _reset_to(self.env, draws, x)
        observation, _, _, info = single.to_numpy(result)
        if not mask.all():
            fresh = _merge(mask, fresh, self._state)
            observation, info = jax.tree.map(lambda new, old: np.where(_like(mask, new), new, old), (observation, info), self._seen)
        self._state, self._seen = fresh, (observation, info)
        self._elapsed, self._ended = np.where(mask, 0, self._elapsed), self._ended & ~mask
        return self._seen


def _masked(info: dict[str, Any], mask: Bools) -> dict[str, Any]:
    """Gymnasium's infos of many environments: 0 where the mask is false, and the mask itself as "_name" beside every entry."""
    result: dict[str, Any] = {}
    for name, value in info.items():
        result[name] = _masked(value, mask) if isinstance(value, dict) else np.where(_like(mask, value), value, np.zeros((), value.dtype))
        result[f"_{name}"] = mask.copy()
    return result


def _like(mask: Any, value: Any) -> Any:
    """The mask, shape (N,), broadcast against a value of shape (N, ...)."""
    return mask.reshape(mask.shape + (1,) * (value.ndim - 1))


@functools.partial(jax.jit, static_argnums=0)
def _reset(env: envs.Env, seeds: jax.Array) -> tuple[envs.State, single.Result]:
    return jax.vmap(functools.partial(single.reset, env))(seeds)


@functools.partial(jax.jit, static_argnums=0)
def _reset_to(env: envs.Env, seeds: jax.Array, x: jax.Array) -> tuple[envs.State, single.Result]:
    return jax.vmap(functools.partial(single.reset_to, env))(seeds, x)


@functools.partial(jax.jit, static_argnums=0)
def _step(env: envs.Env, state: envs.State, actions: jax.Array) -> tuple[envs.State, single.Result]:
    return jax.vmap(functools.partial(single.step, env))(state, actions)


@jax.jit
def _merge(mask: jax.Array, new: envs.State, old: envs.State) -> envs.State:
    return jax.tree.map(lambda a, b: jax.numpy.where(_like(mask, a), a, b), new, old)
