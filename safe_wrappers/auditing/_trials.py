"""Attack and soak: does anything that is tried lead out of the safe set?"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._errors import SafeWrappersError
from ..falsification import AttackReport, SoakReport, as_json, attack, soak
from ..plots import attack_figure
from ..safeguards import Safeguard
from ._finding import Finding, Table, drawn, sentence, values

_REFUSED = (SafeWrappersError, TypeError, ValueError)
_ATTACK = "`sw.attack`, in this audit, judged in float64"
_NO_PLANT = (
    "Nothing that could be tried is known: the environment steps no model of the library, and its "
    "system has no claim whose model could stand in for it."
)


class Trial(NamedTuple):
    """What is tried, and how.

    Attributes:
        plant: The environment that is tried, or None if there is none that can be.
        safeguard: The safeguard that acts, or "none"; None for that of the plant.
        where: What the plant is, in words that end a question.
        seed: Random seed.
        progress: Is told how far it is, or None.
    """

    plant: Any | None
    safeguard: Safeguard | str | None
    where: str
    seed: int
    progress: Callable[[str], None] | None


def attack_finding(trial: Trial, budget: float, max_steps: int | None) -> Finding:
    """Searches for a way out of the safe set."""
    key, title = "attack", "Attack"
    question = f"Does a search for bad requests and disturbances find no way out of S{trial.where}?"
    if trial.plant is None:
        return Finding(key, title, question, "not judged", _NO_PLANT)
    try:
        report = attack(
            trial.plant,
            trial.safeguard,
            budget=budget,
            max_steps=max_steps,
            seed=trial.seed,
            progress=trial.progress,
        )
    except _REFUSED as error:
        return Finding(key, title, question, "not judged", sentence(error))
    rows = [
        ("steps tried", f"{report.steps:,}"),
        ("states outside S", f"{report.exits:,}"),
        ("unsafe executed actions", f"{report.unsafe_actions:,}"),
        ("smallest margin (1 at the centre of S, 0 on its boundary)", f"{report.margin:.6g}"),
        ("found by", report.strategy),
        ("time allowed", f"{report.budget:g} s"),
        ("seed", f"{report.seed}"),
    ]
    if report.found_after is not None:
        rows.insert(3, ("way out found after", f"{report.found_after:.1f} s"))
    figure = attack_figure(report, trial.plant, title="The worst that was found")
    caption = (
        "The trajectory with the smallest margin that the attack found, and its margin over time."
    )
    return Finding(
        key,
        title,
        question,
        "failed" if report.broken else "held",
        sentence(report.message),
        seconds=report.seconds,
        tables=(values("The attack", _ATTACK, rows), _worst(report, trial.plant)),
        data=as_json(report),
        picture=drawn(figure, caption),
    )


def _worst(report: AttackReport, plant: Any) -> Table:
    """The last step of the trajectory, after which the margin was smallest."""
    found, labels = report.trajectory, plant.model.state_labels
    rows = [
        *_named([f"{label}, before" for label in labels], found.states[-2]),
        *_numbered("request", found.requests[-1]),
        *_numbered("executed", found.executed[-1]),
        *_numbered("disturbance", report.worst_disturbance),
    ]
    return values(
        f"The worst step, number {len(found.margins)} of the trajectory; actions in [-1, 1]",
        _ATTACK,
        rows,
    )


def _named(names: Sequence[str], numbers: np.ndarray) -> list[tuple[str, str]]:
    return [(name, f"{value:.6g}") for name, value in zip(names, numbers, strict=True)]


def _numbered(name: str, numbers: np.ndarray) -> list[tuple[str, str]]:
    return _named([f"{name} {i + 1}" for i in range(len(numbers))], numbers)


def soak_finding(trial: Trial, steps: int) -> Finding:
    """Counts exits over many steps under the worst disturbances."""
    key, title = "soak", "Soak"
    question = (
        f"Does the state stay in S for at least {steps:,} steps of worst disturbances{trial.where}?"
    )
    if trial.plant is None:
        return Finding(key, title, question, "not judged", _NO_PLANT)
    try:
        report = soak(
            trial.plant, trial.safeguard, steps=steps, seed=trial.seed, progress=trial.progress
        )
    except _REFUSED as error:
        return Finding(key, title, question, "not judged", sentence(error))
    return Finding(
        key,
        title,
        question,
        "held" if report.held else "failed",
        sentence(report.message),
        seconds=report.seconds,
        tables=(_counts(report),),
        data=as_json(report),
    )


def _counts(report: SoakReport) -> Table:
    rows = [
        ("steps", f"{report.steps:,}"),
        ("exits from S", f"{report.exits:,}"),
        ("unsafe executed actions", f"{report.unsafe_actions:,}"),
        (
            "share of such steps that are exits, with 95 % confidence, if they were independent",
            f"at most {report.bound:.3g}",
        ),
        ("episodes, each from a start of its own", f"{report.episodes:,}"),
        (
            "share of such episodes with an unsafe step, with 95 % confidence",
            f"at most {report.episode_bound:.3g}",
        ),
        ("smallest margin", f"{report.margin:.6g}"),
        ("seed", f"{report.seed}"),
    ]
    return values("The soak", "`sw.soak`, in this audit, exits counted in float64", rows)
