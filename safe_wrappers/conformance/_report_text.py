"""A conformance report for people, as text, and for programs, as JSON."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..sets import Box
from ._report import ConformanceReport

_PART = "{:<14} {:>8} {:>10} {:>15}"
_BOX = "{:<14} {:>23} {:>23} {:>23}"


def as_text(report: ConformanceReport, title: str) -> str:
    """What was found, on some lines for a terminal; `title` names the simulator."""
    lines: list[str] = []
    if report.own_disturbance:
        question = (
            "the environment draws its disturbances from W; what else differs must be rounding"
        )
    else:
        question = "all that differs from the undisturbed model must fit into W"
    lines.append(f"{title} against its model: {question}")
    lines.append(_PART.format("steps", "number", "uncovered", "of allowance"))
    for name, sample in report.parts.items():
        worst = f"{sample.excess.max():.3g}" if len(sample) else "-"
        lines.append(
            _PART.format(name, f"{len(sample):,}", f"{int(sample.outside.sum()):,}", worst)
        )
    lines.append(
        _BOX.format(
            "model's error" if report.own_disturbance else "difference",
            "W",
            "box of random steps",
            "box of all steps",
        )
    )
    boxes = (report.disturbance_set, report.cover, report.total_cover)
    for j in range(report.disturbance_set.dim):
        lines.append(_BOX.format(f"as w{j + 1}", *(_interval(box, j) for box in boxes)))
    lines.append(
        "unexplained    "
        f"{', '.join(f'{value:.2g}' for value in np.abs(report.all.unexplained).max(axis=0))} "
        "(states in their units)"
    )
    beta = 1 - report.confidence
    lines.append(
        f"With confidence 1 - {beta:.0e}, of random steps (states uniform in the safe set, "
        "requests uniform and made safe) at most"
    )
    lines.append(f"  {report.uncovered_probability:.3%} are not covered by W;")
    lines.append(
        f"  {report.cover_violation:.3%} lie outside the box of random steps (scenario bound; of "
        f"the held-out steps {report.held_out_violation:.3%} do)."
    )
    lines.append("For adversarial steps and trajectories no probability is stated.")
    if not report.conforms and report.explained:
        lines.append(
            "A W for the next synthesis: "
            f"{'; '.join(_interval(report.fitted, j) for j in range(report.fitted.dim))}"
        )
    lines.append(f"{report.message[0].upper()}{report.message[1:]} ({report.seconds:.1f} s)")
    return "\n".join(lines)


def as_json(report: ConformanceReport) -> dict[str, Any]:
    """The same as numbers and texts; what is not finite is None."""
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
