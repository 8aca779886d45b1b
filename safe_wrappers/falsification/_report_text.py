"""The reports of attacks and soaks for people, as text, and for programs, as JSON."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._attack_report import AttackReport
from ._soak_report import BETA, SoakReport


def as_text(report: AttackReport | SoakReport) -> str:
    """What was found, on some lines for a terminal."""
    lines = [f"{report.system}, safeguard {report.safeguard}"]
    if isinstance(report, AttackReport):
        if report.broken:
            lines += _worst_step(report)
        return "\n".join([*lines, _sentence(f"{report.message} ({report.seconds:.1f} s)")])
    lines.append(
        f"{report.episodes:,} episodes, {report.episodes_left:,} with an unsafe step: with a "
        f"confidence of 95 % at most {report.episode_bound:.2g} of them"
    )
    if report.memory:
        first, last = report.memory[0][1], report.memory[-1][1]
        lines.append(
            f"memory {first:,.0f} MiB after the first round, {last:,.0f} MiB at the end; "
            f"{report.compilations} programs compiled after the first round"
        )
    if report.state_file is not None:
        lines.append(f"The same command with more steps goes on from {report.state_file}.")
    return "\n".join([*lines, _sentence(f"{report.message} ({report.seconds:.1f} s)")])


def as_json(report: AttackReport | SoakReport) -> dict[str, Any]:
    """The same as numbers and texts; what is not finite is None."""
    about = {
        "kind": "attack" if isinstance(report, AttackReport) else "soak",
        "status": "tested",
        "system": report.system,
        "safeguard": report.safeguard,
        "claim": report.claim,
        "seed": report.seed,
        "steps": report.steps,
        "exits": report.exits,
        "unsafe_actions": report.unsafe_actions,
        "margin": _finite(report.margin),
        "seconds": report.seconds,
        "message": report.message,
    }
    if isinstance(report, AttackReport):
        return {
            **about,
            "broken": report.broken,
            "budget": report.budget,
            "found_after": report.found_after,
            "strategy": report.strategy,
            "trajectory": {k: _finite(v) for k, v in report.trajectory._asdict().items()},
            "worst_disturbance": _finite(report.worst_disturbance),
        }
    return {
        **about,
        "held": report.held,
        "confidence": 1 - BETA,
        "bound": report.bound,
        "episodes": report.episodes,
        "episodes_left": report.episodes_left,
        "episode_bound": report.episode_bound,
        "memory": [list(pair) for pair in report.memory],
        "compilations": report.compilations,
    }


def _worst_step(report: AttackReport) -> list[str]:
    states, requests, executed, _, _ = report.trajectory
    return [
        f"worst step: at x = {_numbers(states[-2])}",
        f"            requested {_numbers(requests[-1])}, executed {_numbers(executed[-1])}, "
        f"disturbance {_numbers(report.worst_disturbance)}",
    ]


def _numbers(values: ArrayLike) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in np.asarray(values)) + ")"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _finite(values: ArrayLike) -> Any:
    """Numbers for JSON, which knows no infinity: None instead."""
    values = np.asarray(values)
    if values.ndim:
        return [_finite(value) for value in values]
    return float(values) if np.isfinite(values) else None
