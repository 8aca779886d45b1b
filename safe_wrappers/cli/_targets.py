"""Which model and which certificates a command is about."""

import importlib
import sys
from pathlib import Path
from typing import Any

from .. import envs
from ..certificates import Certificate
from ..models import Model
from ._environments import require_safe_set
from ._usage import UsageError, require_known


def certificates_of(target: str, safe_set: str | None) -> list[Certificate]:
    """The certificate in a file, or those of a bundled system.

    Raises:
        UsageError: If there is no such file, system or set.
        CertificateError: If a file is damaged.
    """
    if target.endswith(".json") or Path(target).is_file():
        if not Path(target).is_file():
            raise UsageError(f"the certificate file {target} does not exist.")
        if safe_set is not None:
            raise UsageError(
                f"--safe-set chooses among the sets of a system, but {target} is a "
                "file with one set."
            )
        return [Certificate.load(target)]
    require_known("system", target, envs.registered_names())
    if safe_set is not None:
        require_safe_set(target, safe_set)
    return [
        envs.load_certificate(target, name)
        for name in ([safe_set] if safe_set else envs.certificate_names(target))
    ]


def model_of(certificate: Certificate, given: str | None) -> Model:
    """The model that a certificate is about: the user's, given as "module:attribute", or the
    bundled one of its name.

    Raises:
        UsageError: If there is no such model.
    """
    if given is not None:
        found = imported("--model", given)
        model = found if isinstance(found, Model) or not callable(found) else found()
        if not isinstance(model, Model):
            raise UsageError(
                f"--model {given} must be a `safe_wrappers.Model` or a function that "
                f"returns one, but it is {type(model).__name__!r}."
            )
        return model
    if certificate.model_name not in envs.registered_names():
        raise UsageError(
            f"the certificate is about {certificate.model_name!r}, which is not "
            "bundled; give its model with --model module:attribute."
        )
    return envs.get_model(certificate.model_name)


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
