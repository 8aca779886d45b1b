"""Which options a training runs with: those given, then those that suit the system, then the
defaults.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from brax import envs as brax_envs

from safe_wrappers._keywords import require_known_keywords
from safe_wrappers.envs import registered_name
from safe_wrappers.safeguards import BoundaryProjection
from safe_wrappers.wrappers import SafeguardedEnv

from ..shac_arguments import ARGUMENTS, SWEPT
from .tuned import TUNED

# The options that decide what is learned; the others say where, how long and what is reported.
LEARNING = (
    "num_envs",
    "horizon_length",
    "train_episode_length",
    "num_critic_updates",
    *SWEPT,
    "normalize_observations",
    "network_factory",
)
# Tuned with boundary projection, the only safeguard behind which the correction is penalised.
_OF_THE_PROJECTION = ("regularisation", "final_regularisation_fraction")
Function = TypeVar("Function", bound=Callable[..., Any])


def recipe(environment: Any) -> dict[str, Any]:
    """The options of `TUNED` that suit an environment; empty if it is not a bundled one.

    `TUNED["safe_quadrotor/far"]` goes before `TUNED["safe_quadrotor"]` where the environment's
    `goal` is "far". A regularisation is tuned with boundary projection, and left out without it or
    where the environment's reward is regularised already.
    """
    name = registered_name(environment)
    if name is None:
        return {}
    variant = f"{name}/{getattr(environment, 'goal', None)}"
    suited = TUNED.get(variant, TUNED.get(name, {}))
    return {
        option: value
        for option, value in suited.items()
        if option not in _OF_THE_PROJECTION or default_regularisation(environment)
    }


def has_its_recipe(options: Mapping[str, Any]) -> bool:
    """Whether a training is one of a bundled system with the settings that suit it.

    Args:
        options: All options of `train`.
    """
    environment = options["environment"]
    suited = recipe(environment)
    return registered_name(environment) is not None and all(
        options[name] == value for name, value in suited.items()
    )


def default_regularisation(environment: brax_envs.Env) -> float:
    """0.1 behind boundary projection, else 0."""
    # A wrapper that already penalises the correction in the reward must not be doubled.
    base = environment.unwrapped
    if not isinstance(base, SafeguardedEnv) or base.regularisation:
        return 0.0
    return 0.1 if isinstance(base.safeguard, BoundaryProjection) else 0.0


def check_regularisation(environment: brax_envs.Env, regularisation: float) -> None:
    """Refuses a regularisation in both reward and loss, and one without a safeguard.

    Raises:
        ValueError: On either.
    """
    base = environment.unwrapped
    in_reward = base.regularisation if isinstance(base, SafeguardedEnv) else 0.0
    if regularisation and in_reward:
        raise ValueError(
            f"The correction must be penalised once, but the environment subtracts {in_reward} "
            "|a_s - a|^2 from the reward and "
            f"`train` has `regularisation={regularisation}`; set one of them to 0."
        )
    if regularisation and not isinstance(base, SafeguardedEnv):
        raise ValueError(
            f"`regularisation={regularisation}` needs a safeguarded environment; wrap "
            "it in `SafeguardWrapper` or use `regularisation=0`."
        )


def with_recipe(function: Function) -> Function:
    """Decorates `train`: options that are left out are taken from the environment's recipe."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        suited = recipe(given["environment"])
        left_out = {name: value for name, value in suited.items() if name not in given}
        return function(*args, **{**kwargs, **left_out})

    return call  # pyright: ignore[reportReturnType]


def settings(environment: brax_envs.Env, **options: Any) -> dict[str, Any]:
    """The options of a training that decide what is learned, as `train` would use them.

    What is given goes before what suits the system (`TUNED`, found by the registered class of the
    environment, also inside wrappers), and that before the defaults in the signature of `train`.
    `train(environment, ..., **settings(environment))` is `train(environment, ...)`.

    Args:
        environment: A single environment, safeguarded or not.
        **options: Options of `train` that are given.

    Raises:
        UnknownOptionError: If an option is none of `train`.
        TypeError: If an option is of another kind than `algos.shac_arguments.ARGUMENTS` says.
        ValueError: If an option is out of the range that is said there, or if a regularisation
            acts in both reward and loss or has no safeguard to act on.

    Example:
        >>> import safe_wrappers as sw
        >>> from safe_wrappers.algos import shac
        >>> cart = sw.SafeguardWrapper(sw.envs.SafeCartPole(), sw.BoundaryProjection())
        >>> shac.settings(cart)["regularisation"], shac.settings(cart, tau=0.5)["tau"]
        (0.1, 0.5)
    """
    from .train import train

    environment = ARGUMENTS["environment"]("environment", environment)
    parameters = inspect.signature(train).parameters
    require_known_keywords("train()", options, parameters)
    given = {name: ARGUMENTS[name](name, value) for name, value in options.items()}
    defaults = {name: parameters[name].default for name in LEARNING}
    chosen = {**defaults, **recipe(environment)}
    chosen |= {name: value for name, value in given.items() if name in LEARNING}
    if chosen["regularisation"] is None:
        chosen["regularisation"] = default_regularisation(environment)
    check_regularisation(environment, chosen["regularisation"])
    return chosen
