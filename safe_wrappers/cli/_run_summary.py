"""What a run did, as numbers (summary.json) and as a few lines of text."""

import dataclasses
from pathlib import Path
from typing import Any

from ..envs import CertifiedEnv
from ..evaluation import training_numbers, versions
from ..plots import RecordedTraining
from ..wrappers import SafeguardWrapper
from ._options import Train


def summarise(options: Train, training: RecordedTraining) -> dict[str, Any]:
    """The content of summary.json."""
    env, guarded = training.env, training.guarded
    guarantee = guarded.guarantee if isinstance(guarded, SafeguardWrapper) else None
    certificate = env.system.certificate if isinstance(env, CertifiedEnv) else None
    return {
        "system": options.system,
        "safeguard": options.safeguard,
        "safe_set": None if certificate is None else certificate.name,
        "guarantee": None if guarantee is None else guarantee._asdict(),
        "seed": options.seed,
        "options": {
            name: str(value) if name == "logdir" else value
            for name, value in dataclasses.asdict(options).items()
        },
        **training_numbers(training.writer.rows, lqr_return=training.lqr_return),
        "evaluation_episodes": training.num_episodes,
        "compile_seconds": training.compile_seconds,
        "versions": versions(),
    }


def run_title(options: Train) -> str:
    """Names a run in pictures and texts."""
    safeguard = (
        "no safeguard" if options.safeguard == "none" else options.safeguard.replace("_", " ")
    )
    safe_set = "" if options.safe_set is None else f" ({Path(options.safe_set).stem})"
    return f"{options.system}{safe_set}, {safeguard}, seed {options.seed}"


def violation_message(options: Train, violations: int, path: object) -> str:
    """What is said loudly when a safeguarded run left its safe set."""
    safe_set = options.safe_set
    target = options.system + (f" --safe-set {safe_set}" if safe_set else "")
    if safe_set is not None and safe_set.endswith(".json"):
        target = safe_set
    return (
        f"VIOLATION: {violations:,} states lay outside the safe set although {options.safeguard} "
        "was on. This contradicts the guarantee: "
        f"run `safe-wrappers certify {target}`, and report it with {path}."
    )
