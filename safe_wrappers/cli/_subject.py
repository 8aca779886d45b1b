"""What a command acts on: an environment, bundled or of the user's own, and its safeguard."""

import hashlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from brax import envs as brax_envs

from .. import envs
from ..certificates import Certificate, Claim
from ..models import Model, jaxpr_digest
from ..safeguards import NAMES, BoundaryProjection, Safeguard, make_safeguard
from ..wrappers import SafeguardWrapper
from ._imported import is_own, made
from ._options import Attack, Show, Soak, Train
from ._targets import (
    certificate_in,
    claim_of,
    is_file,
    own_certificate,
    system_options,
)
from ._usage import UsageError, flag, require_known, usage_errors

UNSAFE = "none"
DEFAULT = "boundary_projection"

# Options that only some systems have: parameters of bundled environments, and of functions that
# make one of the user's own.
_TASK = ("target_angle", "x_target", "goal")
_OWN = ("safe_set", "commands", "links", *_TASK, "backend", "disturbance", "initial_states")


class Subject(NamedTuple):
    """What is trained and evaluated.

    Attributes:
        env: The environment without a safeguard.
        guarded: The one to act in: safeguarded, or the same with --safeguard none.
        safeguard: Name of the safeguard, or "none".
        projected: Whether that is boundary projection.
    """

    env: brax_envs.Env
    guarded: brax_envs.Env
    safeguard: str
    projected: bool


def subject_of(options: Train) -> Subject:
    """The environment that was asked for, and its safeguard.

    Raises:
        UsageError: If the name is unknown, names no environment, or an option is one that the
            system does not have.
    """
    if options.safeguard is not None:
        require_known("safeguard", options.safeguard, (*NAMES, UNSAFE))
    given = {name: value for name in _OWN if (value := getattr(options, name)) is not None}
    env = own_environment(options.system, given) if is_own(options.system) else None
    if isinstance(env, SafeguardWrapper):
        if options.safeguard is not None:
            raise UsageError(
                f"{options.system} is safeguarded already by {type(env.safeguard).__name__}, so "
                "--safeguard cannot choose another; leave it out, or give the environment inside."
            )
        return Subject(env.env, env, _name(env.safeguard), _projects(env))
    if env is None:
        env = _bundled(options.system, given)
    if options.safeguard == UNSAFE:
        return Subject(env, env, UNSAFE, False)
    name = options.safeguard or DEFAULT
    with usage_errors():
        guarded = SafeguardWrapper(env, make_safeguard(name))
    return Subject(env, guarded, name, _projects(guarded))


def own_environment(given: str, options: Mapping[str, Any]) -> envs.ModelEnv | SafeguardWrapper:
    """An environment of the user's own that can be safeguarded, or is already.

    Raises:
        UsageError: If it is something else.
    """
    env = made("the environment", given, options, (brax_envs.Env, Model))
    if isinstance(env, envs.ModelEnv | SafeguardWrapper):
        return env
    kind = type(env).__name__
    if isinstance(env, Model):
        instead = "a `Model` has no observations and rewards; write a `CertifiedEnv` about it"
    elif isinstance(env, Certificate | Claim):
        instead = "a safe set has no observations and rewards; write a `CertifiedEnv` about it"
    elif isinstance(env, brax_envs.Wrapper):
        instead = f"leave `{kind}` out: a training adds the Brax wrappers that it needs"
    elif isinstance(env, brax_envs.Env):
        instead = "put it into a `SafeguardWrapper(env, safeguard, system=...)`"
    else:
        instead = "a training needs an environment of Brax"
    raise UsageError(
        f"{given} must be a `CertifiedEnv`, another `ModelEnv` or a `SafeguardWrapper`, or a "
        f"function that returns one, but it is a `{kind}`; {instead}."
    )


def target_environment(options: Show | Attack | Soak) -> envs.ModelEnv | SafeguardWrapper:
    """The environment that a command acts on: bundled, of the user's own, or the plant of a claim.

    Raises:
        UsageError: If there is none.
    """
    target = options.target
    if options.model is not None and not is_file(target):
        raise UsageError(f"--model is for a certificate file, but {target} is none.")
    if options.safe_set is not None and (is_file(target) or is_own(target)):
        raise UsageError(f"--safe-set chooses for a bundled system, but {target} has its own.")
    if is_file(target):
        return plant_of(certificate_in(target, options.model), options.commands)
    if is_own(target):
        found = made("the target", target, {}, (brax_envs.Env, Model))
        if not isinstance(found, envs.ModelEnv | SafeguardWrapper):
            return plant_of(own_certificate(target), options.commands)
        if options.commands is not None:
            raise UsageError(
                f"{target} is an environment, which was told what is commanded when it was made; "
                "leave out --commands."
            )
        return found
    own = system_options(target, options.safe_set, options.commands)
    with usage_errors(own):
        return envs.get_environment(target, **own)


def plant_of(certificate: Certificate, commands: str | None) -> envs.ClaimEnv:
    """The plant of a certificate.

    Args:
        certificate: The certificate.
        commands: What is commanded, by default its actions.

    Raises:
        UsageError: If it cannot be.
    """
    given: dict[str, Any] = {} if commands is None else {"commands": commands}
    with usage_errors(given):
        return envs.ClaimEnv(certificate, **given)


def program(subject: Subject) -> str:
    """SHA-256 of what is computed in a training; see `program_of`."""
    return program_of(subject.guarded)


def program_of(env: Any) -> str:
    """SHA-256 of what is computed in an environment of Brax: the programs of reset and step, with
    the numbers in them. It changes with the plant, the task, the safe set and the safeguard, and
    not with names and comments.
    """
    key = jax.random.PRNGKey(0)
    state = jax.eval_shape(env.reset, key)
    action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
    # Traced anew each time: a function that was traced before is not looked at again.
    programs = jaxpr_digest(
        jax.make_jaxpr(lambda key: env.reset(key))(key),
        jax.make_jaxpr(lambda state, action: env.step(state, action))(state, action),
    )
    claim = claim_of(env)
    about = claim.claim if isinstance(claim, Certificate) else claim
    text = f"{programs} {None if about is None else about.digest}"
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def title(options: Train, subject: Subject) -> str:
    """Names a run in pictures and texts."""
    guard = "no safeguard" if subject.safeguard == UNSAFE else subject.safeguard.replace("_", " ")
    safe_set = "" if options.safe_set is None else f" ({Path(options.safe_set).stem})"
    commanded = "" if options.commands in (None, "actions") else f", {options.commands} commands"
    return f"{options.system}{safe_set}{commanded}, {guard}, seed {options.seed}"


def _bundled(system: str, given: Mapping[str, Any]) -> envs.ModelEnv:
    system_options(system, given.get("safe_set"), given.get("commands"))
    kind = type(envs.get_environment(system))
    takes = [name for name in _OWN if name in inspect.signature(kind).parameters]
    for name in given:
        require_known(f"option of {system}", flag(name), [flag(each) for each in takes])
    with usage_errors(given):
        return envs.get_environment(system, **given)


def _projects(guarded: SafeguardWrapper) -> bool:
    # Its gradient rules change no value, and so no episode.
    return type(guarded.safeguard) is BoundaryProjection


def _name(safeguard: Safeguard) -> str:
    """The class's name as the command line writes names: RayMask is ray_mask."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(safeguard).__name__).lower()
