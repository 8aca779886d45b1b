"""What a run did, as numbers (summary.json) and as a few lines of text."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..envs import CertifiedEnv, ModelEnv
from ..evaluation import Row, against, gap, interactions_to, versions
from ._options import Train

_WITHIN = 0.05


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
    last = rows[-1]
    final = last["eval/return"]
    certificate = env.system.certificate if isinstance(env, CertifiedEnv) else None
    count = lambda name: int(last.get(name, 0))
    return {
        "system": options.system,
        "safeguard": options.safeguard,
        "safe_set": None if certificate is None else certificate.name,
        "seed": options.seed,
        "options": {
            name: str(value) if name == "logdir" else value
            for name, value in dataclasses.asdict(options).items()
        },
        "interactions": count("interactions"),
        "resets": count("training/episodes"),
        "final_return": final,
        "best_return": max(row["eval/return"] for row in rows),
        "interactions_to_95_percent": interactions_to(final - _WITHIN * abs(final), rows),
        "lqr_return": lqr_return,
        "gap_to_lqr": gap(final, lqr_return),
        "evaluation_episodes": num_episodes,
        "violations": count("training/violations")
        + sum(int(row["eval/violations"]) for row in rows),
        "violations_in_training": count("training/violations"),
        "interventions": count("training/interventions"),
        "fallbacks": count("training/fallbacks"),
        "smallest_margin": min(
            [row["eval/smallest_margin"] for row in rows]
            + [last[name] for name in ("training/smallest_margin",) if name in last]
        ),
        "compile_seconds": compile_seconds,
        "run_seconds": last["training/walltime"],
        "versions": versions(),
    }


def run_title(options: Train) -> str:
    """Names a run in pictures and texts."""
    safeguard = (
        "no safeguard" if options.safeguard == "none" else options.safeguard.replace("_", " ")
    )
    safe_set = "" if options.safe_set is None else f" ({Path(options.safe_set).stem})"
    return f"{options.system}{safe_set}, {safeguard}, seed {options.seed}"


def describe(summary: dict[str, Any], title: str) -> str:
    """A few readable lines of the summary of a training."""
    steps = max(summary["interactions"], 1)
    reached = summary["interactions_to_95_percent"]
    where = f" ({summary['violations_in_training']:,} in training)" if summary["violations"] else ""
    return "\n".join(
        [
            f"{title}: {summary['interactions']:,} interactions, {summary['resets']:,} episodes",
            f"  return   {summary['final_return']:.4g} (best {summary['best_return']:.4g}), mean "
            f"of {summary['evaluation_episodes']} episodes"
            f"{against(summary['final_return'], summary['lqr_return'])}",
            "           within 5 % of its final value after "
            f"{'-' if reached is None else format(reached, ',')} interactions",
            f"  safety   {summary['violations']:,} violations{where}, {summary['interventions']:,} "
            "interventions"
            f" ({summary['interventions'] / steps:.1%} of steps), {summary['fallbacks']:,} "
            f"fallbacks, smallest margin {summary['smallest_margin']:.2g}",
            f"  time     {summary['compile_seconds']:.1f} s compiling, "
            f"{summary['run_seconds']:.1f} s training",
        ]
    )


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
