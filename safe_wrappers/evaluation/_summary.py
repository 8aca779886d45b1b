"""Numbers that sum up a training, and how they compare with a reference."""

import importlib.metadata
import platform
from collections.abc import Sequence

Row = dict[str, float]
"""One evaluation of a training: `interactions` and the metrics of `Episodes`, by name."""


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


def against(value: float, lqr_return: float | None) -> str:
    """The comparison with clipped LQR in words, empty if there is none."""
    relative = gap(value, lqr_return)
    return (
        ""
        if relative is None
        else (
            f"; clipped LQR {lqr_return:.4g}, {abs(relative):.1%} "
            f"{'worse' if relative > 0 else 'better'}"
        )
    )
