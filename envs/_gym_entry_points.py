"""The bundled systems as Gymnasium environments: what `gymnasium.make` and `gymnasium.make_vec`
construct.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from brax import envs
from gymnasium.utils import EzPickle
from gymnasium.vector import AutoresetMode

from safe_wrappers._gate import as_number, instance_of, one_of, shown
from safe_wrappers._recent import Recent
from safe_wrappers.adapters import Draw, GymEnv, GymVectorEnv
from safe_wrappers.safeguards import NAMES, make_safeguard
from safe_wrappers.wrappers import SafeguardWrapper

from ._registration import get_environment, registered_names

Items = tuple[tuple[str, Any], ...]


class _Continues(EzPickle):
    """Copies and pickles are made from the constructor's arguments, so that they share what is
    compiled, and go on from the same state and with the same random numbers.

    Its subclasses name `EzPickle` again: skrl knows environments of Gymnasium by their direct
    bases.
    """

    may_change: ClassVar[frozenset[str]]

    def __getstate__(self) -> dict[str, Any]:
        running = {name: vars(self)[name] for name in self.may_change if name in vars(self)}
        return {**EzPickle.__getstate__(self), "running": running}

    def __setstate__(self, state: dict[str, Any]) -> None:
        EzPickle.__setstate__(self, state)
        vars(self).update(state["running"])


class SafeGymEnv(GymEnv, _Continues, EzPickle):
    """A bundled system, safeguarded, as a `gymnasium.Env`; spaces, info and reset options are those
    of `GymEnv`.

    Args:
        system: Name of a bundled system, for example "safe_pendulum".
        safeguard: Name of the safeguard, for example "ray_mask"; None: the raw environment, the
            baseline without a guarantee.
        safeguard_kwargs: Its options, numbers and strings.
        regularisation: The same as for `SafeguardWrapper`.
        array: "numpy", "jax" or "torch": the kind of the observations and infos.
        render_mode: None or "rgb_array".
        renderer: "matplotlib", which needs no OpenGL, or "mujoco".
        flat_info: The same as for `GymEnv`.
        **options: Options of the environment: safe_set, disturbance, target_angle and so on.

    Raises:
        ValueError: If an option is unknown; the message lists the valid ones.

    Example:
        >>> import gymnasium, safe_wrappers
        >>> safeguard = {"safeguard": "ray_mask", "safeguard_kwargs": {"mapping": "hyperbolic"}}
        >>> env = gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow", **safeguard)
        >>> observation, info = env.reset(seed=0, options={"x": [0.4, 0.0]})
    """

    def __init__(
        self,
        system: str,
        *,
        safeguard: str | None = "boundary_projection",
        safeguard_kwargs: Mapping[str, Any] | None = None,
        regularisation: float = 0.0,
        array: str = "numpy",
        render_mode: str | None = None,
        renderer: str = "matplotlib",
        flat_info: bool = False,
        **options: Any,
    ):
        guard = {
            "safeguard": safeguard,
            "safeguard_kwargs": safeguard_kwargs,
            "regularisation": regularisation,
        }
        EzPickle.__init__(
            self,
            system,
            **guard,
            array=array,
            render_mode=render_mode,
            renderer=renderer,
            flat_info=flat_info,
            **options,
        )
        env = safeguarded(system, **guard, **options)
        super().__init__(
            env,
            array=array,
            render_mode=render_mode,
            draw=_drawing(system, env, renderer),
            flat_info=flat_info,
        )


class SafeGymVectorEnv(GymVectorEnv, _Continues, EzPickle):
    """Copies of a bundled system, safeguarded, as a `gymnasium.vector.VectorEnv`: one compiled step
    for all of them.

    Args:
        system: Name of a bundled system, for example "safe_pendulum".
        num_envs: Number of copies.
        max_episode_steps: Length of an episode; `gymnasium.make_vec` gives the registered one.
        autoreset_mode: The same as for `GymVectorEnv`.
        safeguard: The same as for `SafeGymEnv`, like all that follow.
        safeguard_kwargs: Options of the safeguard.
        regularisation: The same as for `SafeguardWrapper`.
        array: The same as for `GymVectorEnv`.
        render_mode: None or "rgb_array".
        renderer: The same as for `SafeGymEnv`.
        flat_info: The same as for `GymEnv`.
        **options: Options of the environment.

    Raises:
        ValueError: If an option is unknown; the message lists the valid ones.

    Example:
        >>> import gymnasium, safe_wrappers
        >>> env = gymnasium.make_vec("SafeWrappers/CartPole-v0", num_envs=256)
        >>> env.reset(seed=0)[0].shape
        (256, 5)
    """

    def __init__(
        self,
        system: str,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        safeguard: str | None = "boundary_projection",
        safeguard_kwargs: Mapping[str, Any] | None = None,
        regularisation: float = 0.0,
        array: str = "numpy",
        render_mode: str | None = None,
        renderer: str = "matplotlib",
        flat_info: bool = False,
        **options: Any,
    ):
        guard = {
            "safeguard": safeguard,
            "safeguard_kwargs": safeguard_kwargs,
            "regularisation": regularisation,
        }
        vector = {
            "max_episode_steps": max_episode_steps,
            "autoreset_mode": autoreset_mode,
            "array": array,
            "render_mode": render_mode,
            "flat_info": flat_info,
        }
        EzPickle.__init__(self, system, num_envs, **vector, renderer=renderer, **guard, **options)
        env = safeguarded(system, **guard, **options)
        super().__init__(env, num_envs, **vector, draw=_drawing(system, env, renderer))


def _drawing(system: str, env: Any, renderer: str) -> Draw:
    one_of("renderer", renderer, ("matplotlib", "mujoco"))
    if renderer == "matplotlib":
        return functools.partial(_draw, system)
    if env.sys is None:
        raise ValueError(
            f"`renderer='mujoco'` needs an MJCF model, but {system!r} has none; use "
            "`renderer='matplotlib'`."
        )
    from ._mujoco_drawing import MujocoDrawing

    return MujocoDrawing(env.sys.mj_model)


def _draw(system: str, x: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
    from ._drawing import draw  # matplotlib: not for those who draw nothing

    return draw(system, x, info)


def safeguarded(
    system: str,
    *,
    safeguard: str | None = "boundary_projection",
    safeguard_kwargs: Mapping[str, Any] | None = None,
    regularisation: float = 0.0,
    **options: Any,
) -> envs.Env:
    """A bundled Brax environment, safeguarded; the same object for the same arguments, so that it
    is compiled once.

    Raises:
        ValueError: If an option is unknown, or options of a safeguard are given without a
            safeguard.
        TypeError: If an option is an array or something else that cannot be looked up again.
    """
    one_of("system", system, registered_names())
    if safeguard is not None:
        one_of("safeguard", safeguard, NAMES)
    if safeguard_kwargs is not None:
        instance_of("safeguard_kwargs", safeguard_kwargs, Mapping)
    regularisation = as_number("regularisation", regularisation, 0.0)
    if safeguard is None and (safeguard_kwargs or regularisation):
        raise ValueError(
            "`safeguard_kwargs` and `regularisation` need a safeguard, but `safeguard` is None."
        )
    key = (system, safeguard, _items(safeguard_kwargs or {}), regularisation, _items(options))
    return _MADE.get(key, functools.partial(_make, *key))


def _items(options: Mapping[str, Any]) -> Items:
    """Hashable; a list, which is what becomes of a tuple in `spec.to_json`, as a tuple again.

    Raises:
        TypeError: If an option cannot be hashed.
    """
    items = []
    for name, value in sorted(options.items()):
        option = tuple(value) if isinstance(value, list) else value
        try:
            hash(option)
        except TypeError as error:
            raise TypeError(
                f"`{name}` is {shown(value)}, but an option must be a number, a text, a function "
                "or a tuple of them."
            ) from error
        items.append((name, option))
    return tuple(items)


# One who makes environments one after the other makes few different ones.
_MADE: Recent[envs.Env] = Recent(4)


def _make(
    system: str,
    safeguard: str | None,
    safeguard_options: Items,
    regularisation: float,
    options: Items,
) -> envs.Env:
    env = get_environment(system, **dict(options))
    if safeguard is None:
        return env
    guard = make_safeguard(safeguard, **dict(safeguard_options))
    return SafeguardWrapper(env, guard, regularisation=regularisation)
