"""Brax environments as Gymnasium ones, many at a time: one compiled step for all of them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import jax
import numpy as np
from brax import envs
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike, NDArray

from .._flat_info import flattened
from .._frozen import Frozen
from .._gate import as_flag, as_integer, one_of
from .._host_arrays import from_jax, require_array, to_action, to_numpy
from .._programs import compiled_by_content
from . import _gym_env as single

_METADATA = {**single.METADATA, "autoreset_mode": AutoresetMode.NEXT_STEP}

Bools = NDArray[np.bool_]
Started = tuple[envs.State, single.Seen]


class GymVectorEnv(Frozen, gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Copies of a Brax environment as a `gymnasium.vector.VectorEnv`, stepped by one compiled
    function.

    Step by step it does what a `gymnasium.vector.SyncVectorEnv` of `GymEnv` under a `TimeLimit`
    does with the same seeds, in all autoreset modes: environment i draws from its own generator,
    seeded with seed + i.

    Args:
        env: One environment, as for `GymEnv`.
        num_envs: Number of copies.
        max_episode_steps: Length of an episode in steps; None: no limit.
        autoreset_mode: A `gymnasium.vector.AutoresetMode` or its value: "NextStep", "SameStep"
            (`info["final_obs"]`, `info["final_info"]`) or "Disabled" (then call
            `reset(options={"reset_mask": mask})`).
        array: The same as for `GymEnv`, for rewards and flags, too. With "jax" and "torch" rewards
            are float32, and `info["final_obs"]` is one array, 0 where `info["_final_obs"]` is
            false.
        render_mode: None or "rgb_array".
        draw: The same as for `GymEnv`.
        flat_info: The same as for `GymEnv`.

    Raises:
        WrapperOrderError, TypeError, CertificateError: For the same reasons as `GymEnv`.
        ValueError: If a number is not positive, or on an unknown kind of array or mode.
        MissingDependencyError: If `array` is "torch" and torch is not installed.

    Info:
        As of `GymEnv`, every entry with a leading axis, and for each the mask of the environments
        that have it.
    """

    may_change = frozenset(
        {"spec", "closed", "_generators", "_state", "_seen", "_elapsed", "_ended"}
    )
    metadata = _METADATA

    def __init__(
        self,
        env: envs.Env,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        array: str = "numpy",
        render_mode: str | None = None,
        draw: single.Draw | None = None,
        flat_info: bool = False,
    ):
        require_array(array)
        single.require_render_mode(render_mode, draw)
        single.require_single(env)
        num_envs = as_integer("num_envs", num_envs, 1)
        if max_episode_steps is not None:
            max_episode_steps = as_integer("max_episode_steps", max_episode_steps, 1)
        self.env: Any = env
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self.array = array
        self.render_mode = render_mode
        self.draw = draw
        self.flat_info = as_flag("flat_info", flat_info)
        self.autoreset_mode = _mode(autoreset_mode)
        self.metadata = {
            **self.metadata,
            **single.frames_per_second(env),
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space, self.single_action_space = single.spaces_of(env)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._generators: list[tuple[np.random.Generator, int] | None] = [None] * num_envs
        self._state: Any = None
        # what was last returned, without masks, on the device
        self._seen: Any = None
        self._elapsed = np.zeros(num_envs, np.int64)
        self._ended = np.zeros(num_envs, bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in all environments, or in those of a mask.

        Args:
            seed: Random seed. Environment i gets seed + i, or the i-th of a sequence of integers of
                at least 0; None continues the random streams.
            options: {"x": states}, shape (num_envs, n) or (n,): where to start; {"reset_mask":
                mask}, shape (num_envs,), bool.

        Raises:
            ValueError: If a state is outside the safe set, a mask or seeds do not fit, an option is
                unknown; or if a mask comes before the first reset.
            TypeError: If a seed is no integer, or `options` no dictionary.
            SetDimensionError: If states have another shape, or are not made of real numbers.
            CertificateError: If a safeguarded environment did not start in the safe set; automatic
                resets in `step`, too.
        """
        options = single.reset_options(options, ("x", "reset_mask"))
        seeds = _seeds(seed, self.num_envs)
        mask = self._reset_mask(options)
        x = single.start_states(self.env, options["x"], self.num_envs) if "x" in options else None
        for i in np.flatnonzero(mask).tolist():
            if seeds[i] is not None:
                self._generators[i] = seeding.np_random(seeds[i])
        self._restart(mask, x)
        return from_jax(self._seen.observation, self.array), self._masked(self._seen.info, mask)

    def step(self, actions: ArrayLike) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step of every environment under the safe replacements of `actions`, shape (num_envs,
        d).

        Raises:
            SetDimensionError: If the actions have another shape; nothing has happened then.
            gymnasium.error.ResetNeeded: Before the first reset, and without autoreset after the end
                of an episode.
        """
        requests = to_action(actions, (self.num_envs, self.env.action_size))
        if self._state is None or (
            self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any()
        ):
            raise gymnasium.error.ResetNeeded(
                "Call `reset` before the first `step`, and without "
                "autoreset after every end of an episode."
            )
        nowhere = np.zeros(self.num_envs, bool)
        # In this mode an episode's first step is its reset: what the step below does to these
        # environments is discarded.
        due = self._ended if self.autoreset_mode is AutoresetMode.NEXT_STEP else nowhere
        self._state, self._seen, reward, terminated = _step(self.env, self._state, requests, due)
        self._elapsed += 1
        terminated = np.array(terminated)  # the one thing that has to be known here
        truncated = (
            ~due & (self._elapsed >= self.max_episode_steps) if self.max_episode_steps else nowhere
        )
        self._ended = terminated | truncated
        final: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            due = self._ended
            final = self._final(due)
        if due.any():
            self._restart(due)
        observation, info, _ = self._seen
        if self.array == "numpy":
            reward = np.array(reward, np.float64)  # as of a SyncVectorEnv
        result = from_jax((observation, reward, terminated, truncated), self.array)
        return *result, {**self._masked(info, ~nowhere), **final}

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each environment's current state, shape (height, width, 3), uint8; None
        without a render mode.
        """
        if not self.draw or not self.render_mode:
            return None
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call `reset` before the first `render`.")
        seen = to_numpy(self._seen)
        return tuple(
            self.draw(seen.x[i], jax.tree.map(lambda leaf, i=i: leaf[i], seen.info))
            for i in range(self.num_envs)
        )

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
        mask = np.asarray(options["reset_mask"]).copy()
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(
                f"`options['reset_mask']` must be {self.num_envs} booleans, at least "
                f"one of them true, but it is {mask.tolist()}."
            )
        if self._state is None and not mask.all():
            raise ValueError(
                "The first reset must be one of all environments, but "
                "`options['reset_mask']` leaves some out."
            )
        return mask

    def _restart(self, mask: Bools, x: NDArray[np.float32] | None = None) -> None:
        """Starts an episode where the mask is true and keeps the rest."""
        draws = np.zeros((self.num_envs, 2), np.uint32)
        for i in np.flatnonzero(mask).tolist():
            draws[i] = single.draw_seed(self._generator(i)[0])
        fresh = _reset(self.env, draws) if x is None else _reset_to(self.env, draws, x)
        single.require_inside(self.env, fresh[1], mask)
        self._state, self._seen = (
            fresh if mask.all() else _merge(mask, fresh, (self._state, self._seen))
        )
        self._elapsed, self._ended = np.where(mask, 0, self._elapsed), self._ended & ~mask

    def _final(self, ended: Bools) -> dict[str, Any]:
        """The infos of the last step of an episode, for the environments where one has ended."""
        observation, info, _ = self._seen
        if self.array == "numpy":  # as of a SyncVectorEnv, an array of arrays
            final = np.full(self.num_envs, None, object)
            for i in np.flatnonzero(ended).tolist():
                final[i] = np.array(observation[i])
        else:
            final = from_jax(_blank(ended, observation), self.array)
        flags = from_jax({"_final_obs": ended, "_final_info": ended}, self.array)
        return {"final_obs": final, "final_info": self._masked(info, ended), **flags}

    def _masked(self, info: dict[str, Any], mask: Bools) -> dict[str, Any]:
        """Gymnasium's infos of many environments: 0 where the mask is false, and the mask itself as
        "_name" beside every entry.
        """
        known = from_jax(info if mask.all() else _blank(mask, info), self.array)
        # which nobody can write to, so that all entries may share it
        flags = from_jax(mask, "jax") if self.array == "jax" else mask
        return _with_masks(flattened(known, self.flat_info), lambda: from_jax(flags, self.array))


def _mode(autoreset_mode: Any) -> AutoresetMode:
    if isinstance(autoreset_mode, AutoresetMode):
        return autoreset_mode
    return AutoresetMode(one_of("autoreset_mode", autoreset_mode, [m.value for m in AutoresetMode]))


def _seeds(seed: Any, num_envs: int) -> list[int | None]:
    """One seed for each environment, from one for all or a sequence of them."""
    if seed is None:
        return [None] * num_envs
    if not isinstance(seed, Sequence | np.ndarray):
        first = as_integer("seed", seed, 0)
        return [first + i for i in range(num_envs)]
    seeds = [None if s is None else as_integer(f"seed[{i}]", s, 0) for i, s in enumerate(seed)]
    if len(seeds) != num_envs:
        raise ValueError(
            f"`seed` must be a number or {num_envs} of them, but there are {len(seeds)}."
        )
    return seeds


def _with_masks(info: dict[str, Any], mask: Callable[[], Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in info.items():
        result[name] = _with_masks(value, mask) if isinstance(value, dict) else value
        result[f"_{name}"] = mask()
    return result


def _like(mask: Any, value: Any) -> Any:
    """The mask, shape (N,), broadcast against a value of shape (N, ...)."""
    return mask.reshape(mask.shape + (1,) * (value.ndim - 1))


# Each is compiled once for environments of equal content.
@compiled_by_content
def _reset(env: envs.Env, seeds: jax.Array) -> Started:
    return jax.vmap(functools.partial(single.reset, env))(seeds)[:2]


@compiled_by_content
def _reset_to(env: envs.Env, seeds: jax.Array, x: jax.Array) -> Started:
    return jax.vmap(functools.partial(single.reset_to, env))(seeds, x)[:2]


@compiled_by_content
def _step(
    env: envs.Env, state: envs.State, actions: jax.Array, discarded: jax.Array
) -> single.Transition:
    state, seen, reward, terminated = jax.vmap(functools.partial(single.step, env))(state, actions)
    return state, seen, jax.numpy.where(discarded, 0, reward), terminated & ~discarded


@jax.jit
def _merge(mask: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jax.numpy.where(_like(mask, a), a, b), new, old)


@jax.jit
def _blank(mask: jax.Array, tree: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jax.numpy.where(_like(mask, leaf), leaf, jax.numpy.zeros((), leaf.dtype)), tree
    )
