"""From names and files to systems, safe sets, models and certificates, with one-line errors for
wrong ones.
"""

from pathlib import Path
from typing import Any

from .. import envs
from ..certificates import Certificate, Claim, model_name, model_parameters
from ..models import Model
from ._imported import is_own, made
from ._usage import UsageError, require_known, usage_errors

_OWN = "A system of your own is MODULE:ATTRIBUTE, for example plants:drone or plants.py:drone."


def require_system(name: str) -> None:
    """Checks that a bundled system has this name.

    Raises:
        UsageError: Otherwise.
    """
    require_known("system", name, envs.registered_names(), also=_OWN)


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


def system_options(system: str, safe_set: str | None, commands: str | None) -> dict[str, Any]:
    """What was chosen of a bundled system, as options of its environment.

    Raises:
        UsageError: If there is no such system or set, or it has no virtual inputs to command.
    """
    require_system(system)
    given = {}
    if safe_set is not None:
        require_safe_set(system, safe_set)
        given["safe_set"] = safe_set
    if commands is not None:
        require_commands(system)
        given["commands"] = commands
    return given


def require_commands(system: str) -> None:
    """Checks that a bundled system has virtual inputs, which can be commanded.

    Raises:
        UsageError: Otherwise, with the systems that have.
    """
    names = envs.registered_names()
    having = [name for name in names if envs.get_model(name).virtual is not None]
    if system not in having:
        raise UsageError(
            f"--commands is for systems with virtual inputs, {' and '.join(having)}, but {system} "
            "has none: its actions are all that can be commanded. Leave out --commands."
        )


def is_file(target: str) -> bool:
    """Whether a target names a certificate file, there or not."""
    return target.endswith(".json") or Path(target).is_file()


def certificate_in(file: str, model: str | None) -> Certificate:
    """The certificate in a file.

    Args:
        file: Its path.
        model: The model that it is about, as "module:attribute"; None for the bundled one of its
            name.

    Raises:
        UsageError: If there is no such file or model.
        CertificateError: If the file is damaged or about another model.
    """
    if not Path(file).is_file():
        raise UsageError(f"the certificate file {file} does not exist.")
    found = given_model(model) if model is not None else _bundled_model(file)
    return Certificate.load(file, found)


def certificates_of(
    target: str, safe_set: str | None, model: str | None, links: int | None = None
) -> list[Certificate]:
    """The certificate in a file or of something of the user's own, or those of a bundled system.

    Args:
        target: A file, MODULE:ATTRIBUTE, or the name of a system.
        safe_set: One set of the system; None for all.
        model: The model that a file or a system is about, as "module:attribute"; None for the
            bundled one of its name.
        links: Only the sets of a system's plants with so many links; None for all.

    Raises:
        UsageError: If there is no such file, system, set or model.
        CertificateError: If a file is damaged or about another model.
    """
    single = is_file(target) or is_own(target)
    if single and links is not None:
        raise UsageError(f"--links chooses among the plants of a bundled system, not of {target}.")
    if single and safe_set is not None:
        raise UsageError(
            f"--safe-set chooses among the sets of a bundled system, but {target} has one set."
        )
    if is_file(target):
        return [certificate_in(target, model)]
    if is_own(target):
        if model is not None:
            raise UsageError(f"--model is for a certificate file; {target} knows its model.")
        return [own_certificate(target)]
    require_system(target)
    if safe_set is not None:
        require_safe_set(target, safe_set)
    names = [safe_set] if safe_set else list(envs.certificate_names(target))
    if links is not None:
        names = _with_links(target, names, links)
    if model is not None:
        found = given_model(model)
        return [envs.certificate_of(found, name) for name in names]
    return [envs.load_certificate(target, name) for name in names]


def _with_links(system: str, names: list[str], links: int) -> list[str]:
    """The safe sets of plants with so many links.

    Raises:
        UsageError: If there are none.
    """
    of = {
        name: envs.variant_of(system, envs.parameters_of(system, name)).get("links")
        for name in names
    }
    found = [name for name in names if of[name] == links]
    if not found:
        there = ", ".join(f"{count:g}" for count in of.values() if count is not None)
        raise UsageError(
            f"--links must be one of {there} for {system}, but it is {links}."
            if there
            else f"{system} has no links to choose; leave out --links."
        )
    return found


def own_certificate(given: str) -> Certificate:
    """The certificate of something of the user's own; a claim gets the name of its attribute.

    Raises:
        UsageError: If it has no claim.
    """
    found = made("the claim", given, {}, (Model,))
    claim = claim_of(found)
    if claim is None:
        kind = type(found).__name__
        instead = (
            f"search for a set with `safe-wrappers synthesise {given}`"
            if isinstance(found, Model)
            else "its safe set is not that of a claim"
            if hasattr(found, "system")
            else "name one of these"
        )
        raise UsageError(
            f"{given} must be a `Certificate`, a `Claim`, or a system or an environment with one, "
            f"but it is a `{kind}`; {instead}."
        )
    if isinstance(claim, Certificate):
        return claim
    return Certificate(claim, given.partition(":")[2])


def claim_of(found: Any) -> Certificate | Claim | None:
    """The claim behind a claim, a system or an environment, as the certificate if there is one;
    None if there is no claim.
    """
    if isinstance(found, Certificate | Claim):
        return found
    system = getattr(found, "system", found)
    known = [getattr(system, name, None) for name in ("certificate", "claim")]
    return next((each for each in known if isinstance(each, Certificate | Claim)), None)


def given_model(given: str, name: str = "--model") -> Model:
    """A model of the user's own; `name` says what it was given as.

    Raises:
        UsageError: If it is something else.
    """
    model = made(name, given, {}, (Model,))
    if not isinstance(model, Model):
        raise UsageError(
            f"{name} {given} must be a `safe_wrappers.Model` or a function that "
            f"returns one, but it is a `{type(model).__name__}`."
        )
    return model


def _bundled_model(file: str) -> Model:
    name = model_name(file)
    if name not in envs.registered_names():
        raise UsageError(
            f"the certificate is about {name!r}, which is not "
            "bundled; give its model with --model MODULE:ATTRIBUTE."
        )
    with usage_errors():
        return envs.get_model(name, **envs.variant_of(name, model_parameters(file)))
