"""How large a set is, compared with what is possible: for the certificate, and in a line."""

from typing import Any

import numpy as np

from ..certificates import Block, Proof
from ..sets import Box, Polytope
from ._anneal import Found
from ._task import Task


def metadata(
    tasks: list[Task], found: list[Found], blocks: list[Block], proof: Proof
) -> dict[str, Any]:
    """What is known of a set and of how it was found; JSON.

    Args:
        tasks: One for each block.
        found: The set of each block.
        blocks: The blocks, if there are several.
        proof: The proof of the whole set.
    """
    effort = tasks[0].effort
    volumes = [part.volume for part in found]
    possible = [_volume(task.constraints) for task in tasks]
    largest = [part.largest for part in found]
    facts: dict[str, Any] = {
        "method": "vertex SLP with annealed disturbances (safe_wrappers.certify)",
        "facets": sum(len(part.safe_state_set.H) for part in found),
        "volume": float(np.prod(volumes)),
        "cells": proof.cells,
        "quadratic_programs": sum(part.programs for part in found),
        "disturbance_scale": max(part.scale for part in found),
        "settings": {
            "facets": effort.facets,
            "seeds": effort.seeds,
            "iterations": effort.iterations,
            "rounds": effort.rounds,
            "disturbance_scales": list(effort.scales),
            "margin": effort.margin,
        },
    }
    if len(tasks) > 1:
        facts["blocks"] = [list(block.states) for block in blocks]
    if None not in possible:
        facts["share_of_constraints"] = _share(volumes, possible)
    if None not in largest:
        facts["share_of_largest"] = _share(volumes, largest)
    return facts


def summary(name: str, facts: dict[str, Any], seconds: float) -> str:
    """The result in one line."""
    parts = [f"{facts['facets']} facets", f"volume {facts['volume']:.4g}"]
    if "share_of_constraints" in facts:
        parts.append(f"{facts['share_of_constraints']:.1%} of the constraints")
    if "share_of_largest" in facts:
        parts.append(f"about {facts['share_of_largest']:.0%} of the largest safe set")
    cells = f"proved with {facts['cells']:,} cells"
    return f"{name}: {', '.join(parts)}; {cells}, {seconds:.0f} s"


def _share(volumes: list[float], of: list[Any]) -> float:
    return round(float(np.prod(volumes) / np.prod(of)), 4)


def _volume(constraints: Box | Polytope) -> float | None:
    """The volume of X, None if it is not bounded."""
    axes = np.eye(constraints.dim)
    ends = [float(constraints.support(sign * axis)) for axis in axes for sign in (-1, 1)]
    return float(constraints.volume()) if np.isfinite(ends).all() else None
