"""The `VecEnv` behind `as_vec_env`; importing this module imports Stable-Baselines3 and torch."""

from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv  # pyright: ignore[reportMissingImports]

from .._gate import as_numbers
from ._gym_env import reset_options

# Where Stable-Baselines3 asks for what belongs to one environment.
_SINGLE = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


class CompiledVecEnv(VecEnv):
    """A Gymnasium vector environment in the mode SAME_STEP; see `as_vec_env`."""

    def __init__(self, env: gymnasium.vector.VectorEnv[Any, Any, Any]):
        self.env: Any = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = env.metadata

    def reset(self) -> np.ndarray:
        starts: list[Any] = [reset_options(o, ("x",)).get("x") for o in self._options]
        given = [x is not None for x in starts]
        if any(given) and not all(given):
            raise ValueError(
                '`set_options` must give a state "x" to all environments or to none, '
                f"but environment {given.index(False)} has none."
            )
        options = None
        if all(given):
            options = {"x": np.stack([as_numbers("options['x']", x) for x in starts])}
        observation, info = self.env.reset(seed=self._seeds, options=options)
        self.reset_infos = _rows(info, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        observation, reward, terminated, truncated, info = self.env.step(self._actions)
        done, infos = terminated | truncated, _rows(info, self.num_envs)
        for i in np.flatnonzero(done).tolist():
            started, final = infos[i], infos[i].pop("final_info", {})
            infos[i] = {**final, "terminal_observation": started.pop("final_obs")}
            self.reset_infos[i] = started
        for i, row in enumerate(infos):
            row["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return observation, reward.astype(np.float32), done, infos

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        pictures: Any = self.env.render()
        return list(pictures or [None] * self.num_envs)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        value = getattr(self.env, _SINGLE.get(attr_name, attr_name))
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError(
            f"The environments are compiled, so `{attr_name}` cannot be set; "
            "make them with the option you want."
        )

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        raise NotImplementedError(
            f"The environments are one, so `{method_name}` cannot be called "
            "on each; use `env.env`, the vector environment."
        )

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]


def _rows(info: dict[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """Gymnasium's infos of many environments, one for each: the entries whose mask "_name" is
    true.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for name, values in info.items():
        if name.startswith("_") and name[1:] in info:
            continue
        parts: Iterable[Any] = _rows(values, num_envs) if isinstance(values, dict) else values
        for row, part, known in zip(
            rows, parts, info.get(f"_{name}", [True] * num_envs), strict=True
        ):
            if known:
                row[name] = part
    return rows
