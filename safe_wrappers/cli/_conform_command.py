"""`safe-wrappers conform`."""

import json
from pathlib import Path
from typing import Any

import brax.envs
import gymnasium

from .. import envs
from .._errors import SafeWrappersError
from ..conformance import as_json, as_text
from ..conformance import conform as compare
from ._cache import use_compilation_cache
from ._environments import require_safe_set
from ._options import Conform
from ._targets import imported
from ._usage import UsageError, require_known, require_writable_folder


def conform(options: Conform) -> int:
    """Samples the simulator and says what was found. Returns 0 only if it conforms."""
    if options.plot is not None:
        _require_writable(options.plot)
    env, allowance, title = _environment(options)
    use_compilation_cache()
    try:
        report = compare(env, samples=options.samples, allowance=allowance, seed=options.seed)
    except (SafeWrappersError, TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    if options.json:
        record = {"system": options.system, "safe_set": options.safe_set, **as_json(report)}
        print(json.dumps(record, indent=2, allow_nan=False))
    else:
        print(as_text(report, title))
    if options.plot is not None:
        from ..plots import residual_figure

        residual_figure(report, title=title).savefig(options.plot, dpi=150)
        if not options.json:
            print(f"Wrote {options.plot}.")
    return 0 if report.conforms else 1


def _environment(options: Conform) -> tuple[Any, float | None, str]:
    """The environment, what of its rounding must be allowed for if its system does not know, and a
    title.

    Raises:
        UsageError: If there is none.
    """
    if ":" in options.system:
        for name in ("backend", "safe_set"):
            if getattr(options, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} chooses for a bundled system, but "
                    f"{options.system} is an environment of its own."
                )
        found = imported("the environment", options.system)
        env = (
            found
            if isinstance(found, brax.envs.Env | gymnasium.Env) or not callable(found)
            else found()
        )
        return env, None, options.system
    require_known("system", options.system, envs.registered_names())
    own = {}
    if options.safe_set is not None:
        require_safe_set(options.system, options.safe_set)
        own["safe_set"] = options.safe_set
    backend = options.backend or "closed_form"
    try:
        env = envs.get_environment(options.system, backend=backend, **own)
    except (ValueError, SafeWrappersError) as error:
        raise UsageError(str(error)) from error
    allowance = envs.seeker.ROUNDING if isinstance(env, envs.SafeSeeker) else None
    safe_set = (
        f", safe set {env.system.certificate.name}"
        if isinstance(env, envs.CertifiedEnv) and env.system.certificate
        else ""
    )
    return env, allowance, f"{options.system} on {backend}{safe_set}"


def _require_writable(plot: Path) -> None:
    """What prevents writing the picture is said before anything is computed.

    Raises:
        UsageError: If it is not a .png in a folder that can be written to.
    """
    if plot.suffix != ".png":
        raise UsageError(f"--plot must end in .png, but it is {plot}.")
    require_writable_folder("--plot", plot)
