"""What a run did, as numbers (summary.json) and as a few lines of text."""

import dataclasses
from typing import Any

from ..certificates import Certificate
from ..evaluation import training_numbers, versions
from ..plots import RecordedTraining
from ..wrappers import SafeguardWrapper
from ._imported import is_own
from ._options import Train
from ._subject import Subject
from ._targets import claim_of


def summarise(options: Train, subject: Subject, training: RecordedTraining) -> dict[str, Any]:
    """The content of summary.json."""
    guarded, claim = subject.guarded, claim_of(subject.env) or claim_of(subject.guarded)
    guarantee = guarded.guarantee if isinstance(guarded, SafeguardWrapper) else None
    return {
        "system": options.system,
        "safeguard": subject.safeguard,
        "safe_set": claim.name if isinstance(claim, Certificate) else None,
        "guarantee": None if guarantee is None else guarantee._asdict(),
        "seed": options.seed,
        "options": {
            name: str(value) if name == "logdir" else value
            for name, value in dataclasses.asdict(options).items()
        },
        **training_numbers(training.writer.rows, lqr_return=training.lqr_return),
        "no_regulator": training.no_regulator,
        "evaluation_episodes": training.num_episodes,
        "hints": list(training.hints),
        "compile_seconds": training.compile_seconds,
        "versions": versions(),
    }


def violation_message(options: Train, subject: Subject, violations: int, path: object) -> str:
    """What is said loudly when a safeguarded run left its safe set."""
    safe_set = options.safe_set
    target = options.system + (f" --safe-set {safe_set}" if safe_set else "")
    if options.links is not None:
        target += f" --links {options.links}"
    if safe_set is not None and safe_set.endswith(".json"):
        target = safe_set
    said = (
        f"VIOLATION: {violations:,} states lay outside the safe set although {subject.safeguard} "
        "was on."
    )
    guarantee = subject.guarded.guarantee  # pyright: ignore[reportAttributeAccessIssue]
    if guarantee.status == "tested" and is_own(options.system):
        return (
            f"{said} The environment does not do what its model says, or its disturbances are "
            f"larger than W: run `safe-wrappers conform {target}`."
        )
    return (
        f"{said} This contradicts the guarantee: run `safe-wrappers certify {target}`, and report "
        f"it with {path}."
    )
