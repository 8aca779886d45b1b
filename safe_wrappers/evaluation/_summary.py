"""Numbers that sum up a training, and how they compare with a reference."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

Row = dict[str, float]
"""One evaluation of a training: `interactions` and the metrics of `Episodes`, by name."""

_WITHIN = 0.05
_BASELINE = ("lqr_return", "no_regulator")


def training_numbers(rows: Sequence[Row], *, lqr_return: float | None) -> dict[str, Any]:
    """What a training did.

    Args:
        rows: Its evaluations, at least one.
        lqr_return: Mean return of clipped LQR + boundary projection on the same episodes, if there
            is one.
    """
    last = rows[-1]
    final = last["eval/return"]
    best = max(rows, key=lambda row: row["eval/return"])
    total = {
        name: int(last.get(f"training/{name}", 0))
        for name in ("episodes", "violations", "interventions", "fallbacks")
    }
    margins = [row["eval/smallest_margin"] for row in rows]
    if "training/smallest_margin" in last:
        margins.append(last["training/smallest_margin"])
    return {
        "interactions": int(last["interactions"]),
        "resets": total["episodes"],
        "final_return": final,
        "best_return": best["eval/return"],
        "best_interactions": int(best["interactions"]),
        "interactions_to_95_percent": interactions_to(final - _WITHIN * abs(final), rows),
        "lqr_return": lqr_return,
        "gap_to_lqr": gap(final, lqr_return),
        "violations": total["violations"] + sum(int(row["eval/violations"]) for row in rows),
        "violations_in_training": total["violations"],
        "interventions": total["interventions"],
        "fallbacks": total["fallbacks"],
        "smallest_margin": min(margins),
        "run_seconds": last["training/walltime"],
    }


def interactions_to(level: float, rows: Sequence[Row]) -> int | None:
    """Interactions at the first evaluation with at least this return."""
    return next((int(row["interactions"]) for row in rows if row["eval/return"] >= level), None)


def gap(value: float, reference: float | None) -> float | None:
    """How far a return lies below the reference, relative to it; negative if it is better, None
    without a reference.
    """
    return None if reference is None else (reference - value) / abs(reference)


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the result."""
    packages = {"safe_wrappers": "safe-wrappers", "jax": "jax", "brax": "brax"}
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(package) for name, package in packages.items()
    }


def machine() -> str:
    """The machine that computes, in a few words, such as "Linux x86_64, 2 cores"."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def against(value: float, lqr_return: float | None, no_regulator: str | None = None) -> str:
    """The comparison with clipped LQR in words, or why there is none, empty if that is not
    known.
    """
    relative = gap(value, lqr_return)
    if relative is None:
        return "" if no_regulator is None else f"; no baseline: {no_regulator}"
    return (
        f"; clipped LQR {lqr_return:.4g}, {abs(relative):.1%} "
        f"{'worse' if relative > 0 else 'better'}"
    )


def describe(summary: dict[str, Any], title: str) -> str:
    """A few readable lines of the summary of a training."""
    steps = max(summary["interactions"], 1)
    reached = summary["interactions_to_95_percent"]
    where = f" ({summary['violations_in_training']:,} in training)" if summary["violations"] else ""
    return "\n".join(
        [
            f"{title}: {summary['interactions']:,} interactions, {summary['resets']:,} episodes",
            f"  return   {summary['final_return']:.4g} (best {summary['best_return']:.4g} at "
            f"{summary['best_interactions']:,}), mean "
            f"of {summary['evaluation_episodes']} episodes"
            f"{against(*(summary[name] for name in ('final_return', *_BASELINE)))}",
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


def describe_evaluation(summary: dict[str, Any]) -> str:
    """Two readable lines of the summary of an evaluation: the metrics of `Episodes`, named without
    "eval/", `lqr_return` and `no_regulator`.
    """
    return "\n".join(
        [
            f"  return   {summary['return']:.4g} +- {summary['return_std']:.3g} over "
            f"starts{against(*(summary[name] for name in ('return', *_BASELINE)))}",
            f"  safety   {summary['violations']:,} violations, interventions in "
            f"{summary['interventions_per_step']:.1%} of steps, {summary['fallbacks']:,} "
            f"fallbacks, smallest margin {summary['smallest_margin']:.2g}",
        ]
    )
