"""The bundled systems by name."""

import inspect
from collections.abc import Callable
from typing import Any

from safe_wrappers._fork import require_own_backend
from safe_wrappers._gate import one_of
from safe_wrappers._keywords import require_known_keywords
from safe_wrappers._registered import register as register
from safe_wrappers.certificates import Certificate
from safe_wrappers.models import Model

from . import dynamics
from ._assets import certificate_of
from ._model_env import ModelEnv
from .cart_pole import SafeCartPole
from .pendulum import SafePendulum
from .quadrotor import SafeQuadrotor
from .seeker import SafeSeeker

_SYSTEMS: dict[str, tuple[type[ModelEnv], Callable[[], Model]]] = {
    "safe_pendulum": (SafePendulum, dynamics.pendulum),
    "safe_cart_pole": (SafeCartPole, dynamics.cart_pole),
    "safe_quadrotor": (SafeQuadrotor, dynamics.quadrotor),
    "safe_seeker": (SafeSeeker, dynamics.seeker),
}


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
        ValueError: If the name is unknown; the message lists the valid ones.
        UnknownOptionError: If an option is unknown, which is a TypeError and a ValueError.
        ForkedProcessError: In a process that was forked after JAX had run.
    """
    require_own_backend()
    environment = _SYSTEMS[one_of("name", name, registered_names())][0]
    require_known_keywords(f"{name!r}", kwargs, inspect.signature(environment).parameters)
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
