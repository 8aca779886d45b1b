"""From options to environments, with one-line errors for wrong options."""

from pathlib import Path

from brax import envs as brax_envs

from .. import envs
from .._errors import SafeWrappersError
from ..safeguards import NAMES, make_safeguard
from ..wrappers import SafeguardWrapper
from ._options import Train
from ._usage import UsageError, require_known

_UNSAFE = "none"


def make_environments(options: Train) -> tuple[envs.ModelEnv, brax_envs.Env]:
    """The system's environment, and the one to train on: safeguarded, or the same with --safeguard
    none.

    Raises:
        UsageError: On an unknown name or an option that the system does not have.
    """
    require_known("system", options.system, envs.registered_names())
    require_known("safeguard", options.safeguard, (*NAMES, _UNSAFE))
    if options.safe_set is not None:
        require_safe_set(options.system, options.safe_set)
    own = {
        name: value
        for name in ("safe_set", "target_angle", "x_target", "goal")
        if (value := getattr(options, name)) is not None
    }
    try:
        env = envs.get_environment(
            options.system,
            backend=options.backend,
            disturbance=options.disturbance,
            initial_states=options.initial_states,
            **own,
        )
    except (ValueError, SafeWrappersError) as error:
        raise UsageError(str(error)) from error
    return env, env if options.safeguard == _UNSAFE else SafeguardWrapper(
        env, make_safeguard(options.safeguard)
    )


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
