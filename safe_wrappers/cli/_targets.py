"""From options to environments, models and certificates, with one-line errors for wrong ones."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from brax import envs as brax_envs

from .. import envs
from ..certificates import Certificate, model_name
from ..models import Model
from ..safeguards import NAMES, make_safeguard
from ..wrappers import SafeguardWrapper
from ._options import Train
from ._usage import UsageError, require_known, usage_errors

UNSAFE = "none"


def make_environments(options: Train) -> tuple[envs.ModelEnv, brax_envs.Env]:
    """The system's environment, and the one to train on: safeguarded, or the same with --safeguard
    none.

    Raises:
        UsageError: On an unknown name or an option that the system does not have.
    """
    require_known("system", options.system, envs.registered_names())
    require_known("safeguard", options.safeguard, (*NAMES, UNSAFE))
    if options.safe_set is not None:
        require_safe_set(options.system, options.safe_set)
    own = {
        name: value
        for name in ("safe_set", "target_angle", "x_target", "goal")
        if (value := getattr(options, name)) is not None
    }
    with usage_errors():
        env = envs.get_environment(
            options.system,
            backend=options.backend,
            disturbance=options.disturbance,
            initial_states=options.initial_states,
            **own,
        )
    if options.safeguard == UNSAFE:
        return env, env
    return env, SafeguardWrapper(env, make_safeguard(options.safeguard))


def require_safe_set(system: str, safe_set: str) -> None:
    """Checks that a shipped safe set or a certificate file is there.

    Raises:
        UsageError: Otherwise.
    """
    if not envs.certificate_names(system):
        raise UsageError(
            f"{system} has explicit safe action sets and no safe sets to choose from; "
            "leave out --safe-set."
        )
    if not safe_set.endswith(".json"):
        require_known(f"safe set of {system}", safe_set, envs.certificate_names(system))
    elif not Path(safe_set).is_file():
        raise UsageError(f"the certificate file {safe_set} does not exist.")


def certificates_of(target: str, safe_set: str | None, model: str | None) -> list[Certificate]:
    """The certificate in a file, or those of a bundled system.

    Args:
        target: A file or the name of a system.
        safe_set: One set of the system; None for all.
        model: The model that a file is about, as "module:attribute"; None for the bundled one of
            its name.

    Raises:
        UsageError: If there is no such file, system, set or model.
        CertificateError: If a file is damaged or about another model.
    """
    if target.endswith(".json") or Path(target).is_file():
        if not Path(target).is_file():
            raise UsageError(f"the certificate file {target} does not exist.")
        if safe_set is not None:
            raise UsageError(
                f"--safe-set chooses among the sets of a system, but {target} is a "
                "file with one set."
            )
        found = _given_model(model) if model is not None else _bundled_model(model_name(target))
        return [Certificate.load(target, found)]
    require_known("system", target, envs.registered_names())
    if safe_set is not None:
        require_safe_set(target, safe_set)
    found = envs.get_model(target) if model is None else _given_model(model)
    names = [safe_set] if safe_set else envs.certificate_names(target)
    return [envs.certificate_of(found, name) for name in names]


def _given_model(given: str) -> Model:
    found = imported("--model", given)
    if callable(found) and not isinstance(found, Model):
        try:
            inspect.signature(found).bind()
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"--model {given} must be a function without arguments that returns a "
                f"`safe_wrappers.Model`, but it cannot be called without: {error}."
            ) from error
    model = found if isinstance(found, Model) or not callable(found) else found()
    if not isinstance(model, Model):
        raise UsageError(
            f"--model {given} must be a `safe_wrappers.Model` or a function that "
            f"returns one, but it is {type(model).__name__!r}."
        )
    return model


def _bundled_model(name: str) -> Model:
    if name not in envs.registered_names():
        raise UsageError(
            f"the certificate is about {name!r}, which is not "
            "bundled; give its model with --model module:attribute."
        )
    return envs.get_model(name)


def imported(name: str, given: str) -> Any:
    """`module:attribute` imported with the current directory on the path.

    Raises:
        UsageError: If there is no such thing; `name` says what it was given as.
    """
    module_name, _, attribute = given.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"{name} must be module:attribute, but it is {given!r}.")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"{name} {given} cannot be imported from {Path.cwd()}: {error}."
        ) from error
    finally:
        sys.path.pop(0)
