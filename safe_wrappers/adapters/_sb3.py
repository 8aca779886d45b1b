"""Vector environments for Stable-Baselines3, which is imported only when it is asked for."""

from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

from .._optional import require


def as_vec_env(env: gymnasium.vector.VectorEnv[Any, Any, Any]) -> Any:
    """A Gymnasium vector environment as a Stable-Baselines3 `VecEnv`, also for sbx: all copies stay
    one compiled step.

    It does what a `DummyVecEnv` of the single environments does: an episode's end resets in the
    same step, its last observation is `info["terminal_observation"]`, and
    `info["TimeLimit.truncated"]` says whether only time was up.

    Args:
        env: A vector environment with `autoreset_mode="SameStep"` and NumPy arrays. `close` closes
            it.

    Returns:
        A `stable_baselines3.common.vec_env.VecEnv`; put it into a `VecMonitor` to see returns in
        the log.

    Raises:
        MissingDependencyError: If Stable-Baselines3 is not installed.
        TypeError: If `env` is not a vector environment.
        ValueError: If the autoreset mode or the kind of array is another one.

    Example:
        >>> import gymnasium, safe_wrappers as sw
        >>> options = {"num_envs": 16, "autoreset_mode": "SameStep"}
        >>> env = gymnasium.make_vec("SafeWrappers/Pendulum-v0", **options)
        >>> sw.as_vec_env(env).num_envs  # doctest: +SKIP
        16
    """
    require("stable_baselines3.common.vec_env", "agents")
    from ._sb3_vec_env import CompiledVecEnv

    if not isinstance(env, gymnasium.vector.VectorEnv):
        raise TypeError(
            "`env` must be a `gymnasium.vector.VectorEnv`, but it is a "
            f"`{type(env).__name__}`; Stable-Baselines3 takes single ones as they are."
        )
    mode = env.metadata.get("autoreset_mode")
    if mode is not AutoresetMode.SAME_STEP:
        raise ValueError(
            "Stable-Baselines3 resets in the step that ends an episode, but `env` is "
            f'in mode {mode}; make it with `autoreset_mode="SameStep"`.'
        )
    array = getattr(env, "array", "numpy")
    if array != "numpy":
        raise ValueError(
            f"Stable-Baselines3 takes NumPy arrays, but `env` gives those of {array}; "
            'make it with `array="numpy"`.'
        )
    return CompiledVecEnv(env)
