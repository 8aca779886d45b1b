"""The problem of `safe-wrappers synthesise`: a model, its state constraints and disturbances."""

from typing import NamedTuple

import numpy as np

from .. import envs
from ..certificates import Certificate
from ..models import Model
from ..sets import Box, Polytope
from ._imported import imported, is_own
from ._options import Synthesise
from ._targets import claim_of, given_model, require_safe_set, require_system
from ._usage import UsageError, flag, usage_errors


class Problem(NamedTuple):
    """For which plant a safe set is wanted, in which states, against which disturbances."""

    model: Model
    constraints: Box | Polytope
    disturbances: Box


def problem_of(options: Synthesise) -> Problem:
    """The problem that was asked for.

    Raises:
        UsageError: If a part of it is missing or is something else.
    """
    if is_own(options.system):
        model = given_model(options.system, "the model")
        if options.constraints_of is not None:
            raise UsageError(
                f"--constraints-of is for bundled systems; give --constraints for {options.system}."
            )
        reference = None
    else:
        require_system(options.system)
        reference = _reference(options)
        model = reference.claim.model
    return Problem(
        model,
        _given(options, "constraints", model.state_size, reference),
        _given(options, "disturbances", model.disturbance_size, reference),  # pyright: ignore[reportArgumentType]
    )


def _given(
    options: Synthesise, name: str, size: int, reference: Certificate | None
) -> Box | Polytope:
    """The set of one of the two options, or that of the reference."""
    text = getattr(options, name)
    if text is None and reference is not None:
        claim = reference.claim
        return claim.constraint_set if name == "constraints" else claim.disturbance_set
    what, each = ("state", "x") if name == "constraints" else ("disturbance", "w")
    if text is None and not size:
        return Box(np.zeros(0), np.zeros(0))
    if text is None:
        raise UsageError(
            f"{options.system} needs {flag(name)}, a range low:high for each {what}, such as "
            f'{flag(name)} "{",".join(["-1:1"] * size)}".'
        )
    if ":" not in text:
        return _named(options, name, text, size)
    ranges = [part.split(":") for part in text.split(",")]
    try:
        lower, upper = zip(*((float(low), float(high)) for low, high in ranges), strict=True)
    except ValueError as error:
        raise UsageError(
            f'{flag(name)} must be ranges low:high with commas between them, such as "1:9,-2:3", '
            f"but it is {text!r}."
        ) from error
    _require_size(options, name, len(lower), size, f"{what}s {each}")
    with usage_errors(("lower", "upper")):
        return Box(np.array(lower), np.array(upper))


def _named(options: Synthesise, name: str, text: str, size: int) -> Box | Polytope:
    """A set that stands beside the model."""
    if not is_own(options.system):
        raise UsageError(
            f'{flag(name)} must be ranges low:high, such as "1:9,-2:3", but it is {text!r}.'
        )
    beside = f"{options.system.partition(':')[0]}:{text}"
    found = imported(flag(name), beside)
    kinds = (Box, Polytope) if name == "constraints" else (Box,)
    if not isinstance(found, kinds):
        wanted = " or a ".join(f"`{kind.__name__}`" for kind in kinds)
        raise UsageError(
            f"{flag(name)} {beside} must be a {wanted}, but it is a `{type(found).__name__}`."
        )
    _require_size(options, name, found.dim, size, "dimensions")
    return found


def _require_size(options: Synthesise, name: str, found: int, size: int, of: str) -> None:
    if found != size:
        raise UsageError(
            f"{flag(name)} must have one range for each of the {size} {of} of {options.system}, "
            f"but it has {found}."
        )


def _reference(options: Synthesise) -> Certificate:
    """The certificate whose state constraints and disturbances are meant."""
    if options.constraints_of is not None:
        require_safe_set(options.system, options.constraints_of)
        with usage_errors():
            return envs.load_certificate(options.system, options.constraints_of)
    found = claim_of(envs.get_environment(options.system))
    if not isinstance(found, Certificate):
        raise UsageError(
            f"{options.system} has explicit safe action sets; there is no safe set to search for."
        )
    return found
