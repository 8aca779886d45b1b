"""The environment that is compared with its model, inside whatever safeguards it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
from brax import envs

from .._errors import CertificateError, WrapperOrderError
from ..adapters import GymEnv
from ..safe_actions import ModelSystem, System
from ..wrappers import HasBraxEnv, SafeguardWrapper, SystemEnv

Start = Callable[..., Any]


class Subject(NamedTuple):
    """An environment without its safeguard, with what the safeguard's wrapper knows.

    Attributes:
        env: A Brax environment, or a Gymnasium one with its wrappers.
        name: Its name in reports and errors.
        system: Its model and safe set.
        start: Puts it into a state; None if nobody said how.
    """

    env: Any
    name: str
    system: System
    start: Start | None


def subject_of(env: Any, system: System | None, start: Start | None) -> Subject:
    """What is compared when a user hands over `env`; a given `system` or `start` comes before the
    wrapper's.

    Raises:
        TypeError, WrapperOrderError, CertificateError: If it is no environment, is wrapped in
            another way, or has no system.
    """
    if isinstance(env, gymnasium.Env):
        inside = env.unwrapped
        if isinstance(inside, GymEnv) and not env.has_wrapper_attr("system"):
            return subject_of(inside.env, system, start)
        return _gymnasium_subject(env, system, start)
    if isinstance(env, HasBraxEnv):
        found = subject_of(env.as_brax_env, system, start)
        return found._replace(name=f"{type(env.env).__name__} on {env.as_brax_env.backend}")
    name = type(env).__name__
    if not isinstance(env, envs.Env):
        raise TypeError(
            "`env` must be a single environment of Brax or Gymnasium, or a "
            f"`PlaygroundSafeguardWrapper`, but it is a `{name}`."
        )
    if isinstance(env, envs.Wrapper):
        raise WrapperOrderError(
            "A single environment is compared with its model, but `env` is a "
            f"`{name}`; give the environment inside."
        )
    if system is None and isinstance(env, SystemEnv):
        system = env.system
    if system is None:
        raise _without_system(name)
    if isinstance(env, SafeguardWrapper):
        start = start if start is not None else env.start
        env = env.env
    known_as = f"{type(env).__name__} on {env.backend}"
    own = isinstance(env, SystemEnv) and env.system is system
    if isinstance(system, ModelSystem) and system.commands != "actions" and not own:
        # The environment takes the plant's actions; the wrapper around it turns commands into them.
        system = ModelSystem(system.certificate or system.claim, state=system.state)
    return Subject(env, known_as, system, start)


def _gymnasium_subject(
    env: gymnasium.Env[Any, Any], system: System | None, start: Start | None
) -> Subject:
    """The safeguard's wrapper need not be the outermost one."""

    def known(name: str) -> Any:
        return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None

    spec = env.unwrapped.spec
    name = spec.id if spec else type(env.unwrapped).__name__
    system = system if system is not None else known("system")
    if system is None:
        raise _without_system(name)
    return Subject(env, name, system, start if start is not None else known("set_state"))


def _without_system(name: str) -> CertificateError:
    return CertificateError(
        f"`{name}` has no `system`, so there is no model to compare it with; give `system=...`."
    )
