"""`safe-wrappers conform`."""

import json
from pathlib import Path
from typing import Any

import brax.envs
import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from .. import envs
from .._errors import SafeWrappersError
from ..conformance import ConformanceReport
from ..conformance import conform as compare
from ..sets import Box
from ._cache import use_compilation_cache
from ._environments import require_safe_set
from ._options import Conform
from ._targets import imported
from ._usage import UsageError, require_at_least, require_known, require_writable_folder

_PART = "{:<14} {:>8} {:>10} {:>15}"
_BOX = "{:<14} {:>23} {:>23} {:>23}"


def conform(options: Conform) -> int:
    """Samples the simulator and says what was found. Returns 0 only if it conforms."""
    require_at_least("--samples", options.samples, 1)
    require_at_least("--seed", options.seed, 0)
    if options.plot is not None:
        _require_writable(options.plot)
    env, allowance, title = _environment(options)
    use_compilation_cache()
    try:
        report = compare(env, samples=options.samples, allowance=allowance, seed=options.seed)
    except (SafeWrappersError, TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    if options.json:
        print(
            json.dumps(
                {"system": options.system, "safe_set": options.safe_set, **_record(report)},
                indent=2,
                allow_nan=False,
            )
        )
    else:
        _print(report, title)
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


def _print(report: ConformanceReport, title: str) -> None:
    if report.own_disturbance:
        question = (
            "the environment draws its disturbances from W; what else differs must be rounding"
        )
    else:
        question = "all that differs from the undisturbed model must fit into W"
    print(f"{title} against its model: {question}")
    print(_PART.format("steps", "number", "uncovered", "of allowance"))
    for name, sample in report.parts.items():
        worst = f"{sample.excess.max():.3g}" if len(sample) else "-"
        print(_PART.format(name, f"{len(sample):,}", f"{int(sample.outside.sum()):,}", worst))
    print(
        _BOX.format(
            "model's error" if report.own_disturbance else "difference",
            "W",
            "box of random steps",
            "box of all steps",
        )
    )
    boxes = (report.disturbance_set, report.cover, report.total_cover)
    for j in range(report.disturbance_set.dim):
        print(_BOX.format(f"as w{j + 1}", *(_interval(box, j) for box in boxes)))
    print(
        "unexplained    "
        f"{', '.join(f'{value:.2g}' for value in np.abs(report.all.unexplained).max(axis=0))} "
        "(states in their units)"
    )
    beta = 1 - report.confidence
    print(
        f"With confidence 1 - {beta:.0e}, of random steps (states uniform in the safe set, "
        "requests uniform and made safe) at most"
    )
    print(f"  {report.uncovered_probability:.3%} are not covered by W;")
    print(
        f"  {report.cover_violation:.3%} lie outside the box of random steps (scenario bound; of "
        f"the held-out steps {report.held_out_violation:.3%} do)."
    )
    print("For adversarial steps and trajectories no probability is stated.")
    if not report.conforms and report.explained:
        print(
            "A W for the next synthesis: "
            f"{'; '.join(_interval(report.fitted, j) for j in range(report.fitted.dim))}"
        )
    print(f"{report.message[0].upper()}{report.message[1:]} ({report.seconds:.1f} s)")


def _record(report: ConformanceReport) -> dict[str, Any]:
    steps, i = report.all, report.worst
    return {
        "simulator": report.name,
        "status": "tested",
        "conforms": report.conforms,
        "own_disturbance": report.own_disturbance,
        "steps": {name: len(sample) for name, sample in report.parts.items()},
        "uncovered": {name: int(sample.outside.sum()) for name, sample in report.parts.items()},
        "excess": {
            name: _finite(sample.excess.max(initial=0)) for name, sample in report.parts.items()
        },
        "disturbance_set": _bounds(report.disturbance_set),
        "cover": _bounds(report.cover),
        "held_out_cover": _bounds(report.held_out.cover()),
        "total_cover": _bounds(report.total_cover),
        "fitted": _bounds(report.fitted) if report.explained else None,
        "enlargement": report.enlargement,
        "unexplained": _finite(np.abs(steps.unexplained).max(axis=0)),
        "confidence": report.confidence,
        "uncovered_probability": report.uncovered_probability,
        "cover_violation": report.cover_violation,
        "held_out_violation": report.held_out_violation,
        "worst": {
            name: _finite(getattr(steps, name)[i])
            for name in ("x", "action", "disturbance", "excess")
        },
        "seconds": report.seconds,
        "message": report.message,
    }


def _interval(box: Box, j: int) -> str:
    return f"{float(box.lower[j]):.3g} to {float(box.upper[j]):.3g}"


def _bounds(box: Box) -> dict[str, Any]:
    return {"lower": _finite(box.lower), "upper": _finite(box.upper)}


def _finite(values: ArrayLike) -> Any:
    """Numbers for JSON, which knows no infinity: None instead."""
    values = np.asarray(values, np.float64)
    if values.ndim:
        return [_finite(value) for value in values]
    return float(values) if np.isfinite(values) else None


def _require_writable(plot: Path) -> None:
    """What prevents writing the picture is said before anything is computed.

    Raises:
        UsageError: If it is not a .png in a folder that can be written to.
    """
    if plot.suffix != ".png":
        raise UsageError(f"--plot must end in .png, but it is {plot}.")
    require_writable_folder("--plot", plot)
