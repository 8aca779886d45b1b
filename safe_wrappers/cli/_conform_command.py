"""`safe-wrappers conform`."""

import json
from typing import Any

import brax.envs
import gymnasium

from .. import envs
from .._compilation_cache import use_compilation_cache
from .._errors import ContractError
from ..conformance import as_json, as_text
from ..conformance import conform as compare
from ..conformance._subject import subject_of
from ..models import Model
from ..safe_actions import System
from ..testing import CheckReport, check_compiled
from ._imported import is_own, made
from ._options import Conform
from ._targets import system_options
from ._usage import UsageError, flag, require_new_file, usage_errors


def conform(options: Conform) -> int:
    """Samples the simulator, checks the compiled program of its system on this machine, and says
    what was found. Returns 0 only if the simulator conforms and the program is right.
    """
    if options.plot is not None:
        require_new_file("--plot", options.plot, ".png")
    env, allowance, title = _environment(options)
    use_compilation_cache()
    with usage_errors():
        report = compare(env, samples=options.samples, allowance=allowance, seed=options.seed)
    compiled, wrong = _compiled(subject_of(env, None, None).system)
    if options.json:
        record = {
            "system": options.system,
            "safe_set": options.safe_set,
            "commands": options.commands,
            **as_json(report),
        }
        record["compiled"] = {
            "right": wrong is None,
            "findings": dict(compiled.findings) if compiled else None,
            "unchecked": list(compiled.unchecked) if compiled else None,
            "message": wrong,
        }
        print(json.dumps(record, indent=2, allow_nan=False))
    else:
        print(as_text(report, title))
        print(compiled or wrong)
    if options.plot is not None:
        from ..plots import residual_figure, save_figure

        save_figure(residual_figure(report, title=title), options.plot)
        if not options.json:
            print(f"Wrote {options.plot}.")
    return 0 if report.conforms and wrong is None else 1


def _compiled(system: System) -> tuple[CheckReport | None, str | None]:
    """What the check of the compiled program found, or why it failed."""
    try:
        return check_compiled(system), None
    except ContractError as error:
        return None, str(error)


def _environment(options: Conform) -> tuple[Any, float | None, str]:
    """The environment, what of its rounding must be allowed for if its system does not know, and a
    title.

    Raises:
        UsageError: If there is none.
    """
    if is_own(options.system):
        for name in ("backend", "safe_set", "commands"):
            if getattr(options, name) is not None:
                raise UsageError(
                    f"{flag(name)} chooses for a bundled system, but "
                    f"{options.system} is an environment of its own."
                )
        kinds = (brax.envs.Env, gymnasium.Env, Model)
        found = made("the environment", options.system, {}, kinds)
        if isinstance(found, Model):
            raise UsageError(
                f"{options.system} is a `Model`, and a model conforms to itself; give the "
                "simulator that it is to be compared with: an environment with a `system`."
            )
        return found, None, options.system
    own = system_options(options.system, options.safe_set, options.commands)
    backend = options.backend or "closed_form"
    with usage_errors(own):
        env = envs.get_environment(options.system, backend=backend, **own)
    allowance = envs.seeker.ROUNDING if isinstance(env, envs.SafeSeeker) else None
    safe_set = (
        f", safe set {env.system.certificate.name}"
        if isinstance(env, envs.CertifiedEnv) and env.system.certificate
        else ""
    )
    return env, allowance, f"{options.system} on {backend}{safe_set}"
