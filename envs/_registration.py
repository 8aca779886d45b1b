"""Registration of the bundled systems with Brax and Gymnasium, by name."""

import inspect
from collections.abc import Callable
from typing import Any

import gymnasium
from brax import envs

from safe_wrappers._gate import one_of
from safe_wrappers.certificates import Certificate
from safe_wrappers.models import Model

from . import dynamics
from ._assets import certificate_of
from ._model_env import ModelEnv
from .cart_pole import SafeCartPole
from .pendulum import SafePendulum
from .quadrotor import SafeQuadrotor
from .seeker import SafeSeeker

EPISODE_STEPS = 240

_SYSTEMS: dict[str, tuple[type[ModelEnv], Callable[[], Model]]] = {
    "safe_pendulum": (SafePendulum, dynamics.pendulum),
    "safe_cart_pole": (SafeCartPole, dynamics.cart_pole),
    "safe_quadrotor": (SafeQuadrotor, dynamics.quadrotor),
    "safe_seeker": (SafeSeeker, dynamics.seeker),
}


def register() -> None:
    """Registers the bundled systems with Brax and Gymnasium.

    Importing `safe_wrappers` does it; calling it again does no harm.
    """
    for name, (environment, _) in _SYSTEMS.items():
        envs.register_environment(name, environment)
        id = f"SafeWrappers/{environment.__name__.removeprefix('Safe')}-v0"
        if id not in gymnasium.registry:
            gymnasium.register(
                id,
                entry_point="safe_wrappers.envs:SafeGymEnv",
                vector_entry_point="safe_wrappers.envs:SafeGymVectorEnv",
                max_episode_steps=EPISODE_STEPS,
                disable_env_checker=True,  # it asks for NumPy arrays, whatever `array` says
                kwargs={"system": name},
            )


def registered_names() -> tuple[str, ...]:
    """Names of the bundled systems."""
    return tuple(_SYSTEMS)


def get_environment(name: str, **kwargs: Any) -> ModelEnv:
    """A bundled environment, not safeguarded and not vectorised; `brax.envs.get_environment` gives
    the same.

    Args:
        name: Name of a bundled system, for example "safe_pendulum".
        **kwargs: Options of the environment: backend, disturbance, initial_states and its own, such
            as safe_set.

    Raises:
        ValueError: If the name or an option is unknown; the message lists the valid ones.
    """
    environment = _SYSTEMS[one_of("name", name, registered_names())][0]
    for option in kwargs:
        one_of("option", option, list(inspect.signature(environment).parameters))
    return environment(**kwargs)


def get_model(name: str) -> Model:
    """The one-step model of a bundled system, by name.

    Raises:
        ValueError: If the name is unknown.
    """
    return _SYSTEMS[one_of("name", name, registered_names())][1]()


def load_certificate(system: str, safe_set: str) -> Certificate:
    """The shipped certificate `safe_set` of a bundled system, or the certificate of its model in
    the file `safe_set` (a path ending in .json).

    Raises:
        ValueError: If there is no such system or set.
        CertificateError: If the file is damaged, or about another model.
    """
    return certificate_of(get_model(system), safe_set)
