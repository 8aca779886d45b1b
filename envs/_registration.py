"""The bundled systems by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from safe_wrappers._fork import require_own_backend
from safe_wrappers._gate import one_of
from safe_wrappers._keywords import require_known_keywords
from safe_wrappers._registered import register as register
from safe_wrappers.certificates import Certificate
from safe_wrappers.models import Model

from . import dynamics
from ._assets import certificate_of, parameters_of
from ._model_env import ModelEnv
from .arm import SafeArm
from .arm_dynamics import arm
from .cart_pole import SafeCartPole
from .pendulum import SafePendulum
from .quadrotor import SafeQuadrotor
from .quadrotor_3d import SafeQuadrotor3D
from .quadrotor_3d_dynamics import quadrotor_3d
from .seeker import SafeSeeker


class _System(NamedTuple):
    """A bundled system.

    Attributes:
        environment: Its class.
        plant: Makes its model.
        variants: Options of the plant whose values the shipped safe sets differ in.
    """

    environment: type[ModelEnv]
    plant: Callable[..., Model]
    variants: tuple[str, ...] = ()


_SYSTEMS = {
    "safe_pendulum": _System(SafePendulum, dynamics.pendulum),
    "safe_cart_pole": _System(SafeCartPole, dynamics.cart_pole),
    "safe_quadrotor": _System(SafeQuadrotor, dynamics.quadrotor),
    "safe_seeker": _System(SafeSeeker, dynamics.seeker),
    "safe_arm": _System(SafeArm, arm, ("links",)),
    "safe_quadrotor_3d": _System(SafeQuadrotor3D, quadrotor_3d),
}


def registered_names() -> tuple[str, ...]:
    """Names of the bundled systems."""
    return tuple(_SYSTEMS)


def registered_name(environment: Any) -> str | None:
    """The name of a bundled environment, which is found through the wrappers around it, or None.

    An environment of a subclass has none: its plant or its task may be another.
    """
    names = {system.environment: name for name, system in _SYSTEMS.items()}
    while environment is not None:
        if type(environment) in names:
            return names[type(environment)]
        environment = getattr(environment, "env", None)
    return None


def get_environment(name: str, **kwargs: Any) -> ModelEnv:
    """A bundled environment, not safeguarded and not vectorised; `brax.envs.get_environment` gives
    the same.

    Args:
        name: Name of a bundled system, for example "safe_pendulum".
        **kwargs: Options of the environment: backend, disturbance, initial_states and its own, such
            as safe_set.

    Raises:
        ValueError: If the name is unknown; the message lists the valid ones.
        UnknownOptionError: If an option is unknown, which is a TypeError and a ValueError.
        ForkedProcessError: In a process that was forked after JAX had run.
    """
    require_own_backend()
    environment = _system(name).environment
    require_known_keywords(f"{name!r}", kwargs, inspect.signature(environment).parameters)
    return environment(**kwargs)


def get_model(name: str, **options: Any) -> Model:
    """The one-step model of a bundled system, by name.

    Args:
        name: Name of a bundled system.
        **options: Parameters of its plant, such as `links=7` of "safe_arm" or `mass=1.2` of
            "safe_pendulum". Default: those of the environment.

    Raises:
        ValueError: If the name is unknown, or an option's value is none that the plant takes.
        UnknownOptionError: If an option is unknown, which is a TypeError and a ValueError.
    """
    plant = _system(name).plant
    require_known_keywords(f"{name!r}", options, inspect.signature(plant).parameters)
    return plant(**options)


def load_certificate(system: str, safe_set: str) -> Certificate:
    """The shipped certificate `safe_set` of a bundled system, or the certificate of its model in
    the file `safe_set` (a path ending in .json).

    Raises:
        ValueError: If there is no such system or set.
        CertificateError: If the file is damaged, or about another model.
    """
    return certificate_of(
        get_model(system, **variant_of(system, parameters_of(system, safe_set))), safe_set
    )


def variant_of(system: str, parameters: Mapping[str, float]) -> dict[str, float]:
    """With which options of its plant a bundled system has these parameters: {"links": 7.0} for an
    arm's, and nothing for systems with one plant.

    Args:
        system: Name of a bundled system.
        parameters: Of a model, as `parameters_of` a safe set gives them.

    Raises:
        ValueError: If there is no such system.
    """
    return {name: parameters[name] for name in _system(system).variants if name in parameters}


def _system(name: str) -> _System:
    return _SYSTEMS[one_of("name", name, registered_names())]
