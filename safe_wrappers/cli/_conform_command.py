"""`safe-wrappers conform`."""

import json
from typing import Any

import brax.envs
import gymnasium

from .. import envs
from .._compilation_cache import use_compilation_cache
from ..conformance import as_json, as_text
from ..conformance import conform as compare
from ._options import Conform
from ._targets import imported, require_safe_set
from ._usage import UsageError, require_known, require_new_file, usage_errors


def conform(options: Conform) -> int:
    """Samples the simulator and says what was found. Returns 0 only if it conforms."""
    if options.plot is not None:
        require_new_file("--plot", options.plot, ".png")
    env, allowance, title = _environment(options)
    use_compilation_cache()
    with usage_errors():
        report = compare(env, samples=options.samples, allowance=allowance, seed=options.seed)
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
        if callable(found) and not isinstance(found, brax.envs.Env | gymnasium.Env):
            found = found()
        return found, None, options.system
    require_known("system", options.system, envs.registered_names())
    own = {}
    if options.safe_set is not None:
        require_safe_set(options.system, options.safe_set)
        own["safe_set"] = options.safe_set
    backend = options.backend or "closed_form"
    with usage_errors():
        env = envs.get_environment(options.system, backend=backend, **own)
    allowance = envs.seeker.ROUNDING if isinstance(env, envs.SafeSeeker) else None
    safe_set = (
        f", safe set {env.system.certificate.name}"
        if isinstance(env, envs.CertifiedEnv) and env.system.certificate
        else ""
    )
    return env, allowance, f"{options.system} on {backend}{safe_set}"
