"""What a run did, as numbers (summary.json) and as a few lines of text."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..envs import CertifiedEnv, ModelEnv
from ..evaluation import Row, training_numbers, versions
from ._options import Train


def summarise(
    options: Train,
    env: ModelEnv,
    rows: Sequence[Row],
    *,
    num_episodes: int,
    lqr_return: float | None,
    compile_seconds: float,
) -> dict[str, Any]:
    """The content of summary.json.

    Args:
        options: Of the run.
        env: Its environment.
        rows: Of metrics.csv, at least one.
        num_episodes: Per evaluation.
        lqr_return: Mean return of clipped LQR + boundary projection on the same episodes, if there
            is one.
        compile_seconds: Of this process.
    """
    certificate = env.system.certificate if isinstance(env, CertifiedEnv) else None
    return {
        "system": options.system,
        "safeguard": options.safeguard,
        "safe_set": None if certificate is None else certificate.name,
        "seed": options.seed,
        "options": {
            name: str(value) if name == "logdir" else value
            for name, value in dataclasses.asdict(options).items()
        },
        **training_numbers(rows, lqr_return=lqr_return),
        "evaluation_episodes": num_episodes,
        "compile_seconds": compile_seconds,
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
    target = (
        safe_set
        if safe_set and safe_set.endswith(".json")
        else options.system + (f" --safe-set {safe_set}" if safe_set else "")
    )
    return (
        f"VIOLATION: {violations:,} states lay outside the safe set although {options.safeguard} "
        "was on. This contradicts the guarantee: "
        f"run `safe-wrappers certify {target}`, and report it with {path}."
    )
