"""Sequential programming on the facet normals: solve the QP at an iterate, accept the step or
shrink it.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._problem import Iterate, Problem
from ._qp import solve_qp


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When a step is accepted, how the trust region moves, and when to stop.

    Attributes:
        iterations: Most QPs of one run.
        radius: First trust region, relative to the row.
        largest_radius: It never exceeds this.
        kicks: How often a trust region below 1e-4 is reset to 0.02 before the run ends.
        patience: The run ends after this many QPs without a gain of `gain` in log volume.
        gain: See `patience`.
    """

    iterations: int = 150
    radius: float = 0.1
    largest_radius: float = 0.3
    kicks: int = 3
    patience: int = 25
    gain: float = 1e-3


class Run(NamedTuple):
    """Result of `optimise`: the largest acceptable iterate (None if there was none) and the number
    of QPs.
    """

    best: Iterate | None
    iterations: int


def optimise(
    problem: Problem,
    normals: np.ndarray,
    schedule: Schedule,
    report: Callable[[Iterate], None] = lambda _: None,
) -> Run:
    """Enlarges the set of the normals until its merit stagnates; `report` sees every accepted
    iterate.
    """
    current = problem.iterate(normals)
    if current is None:
        return Run(None, 0)
    best = current if current.acceptable else None
    radius, kicks = schedule.radius, schedule.kicks
    level, waited, count = current.merit, 0, 0
    while count < schedule.iterations and waited < schedule.patience:
        count += 1
        qp = solve_qp(current, radius)
        candidate = None if qp is None else problem.iterate(current.normals + qp.step)
        if candidate is not None and candidate.merit > current.merit:
            current, radius = candidate, min(1.3 * radius, schedule.largest_radius)
            if current.acceptable and (best is None or current.volume > best.volume):
                best = current
            report(current)
        else:
            radius /= 2
        if radius < 1e-4:
            if kicks == 0:
                break
            radius, kicks = 0.02, kicks - 1
        waited += 1
        if current.merit > level + schedule.gain:
            level, waited = current.merit, 0
    return Run(best, count)
