"""More facets: cut off the vertices that hold the set back, and optimise again."""

from collections.abc import Callable, Iterator

import numpy as np

from ._problem import Iterate, Problem
from ._slp import Run, Schedule, optimise, solve_qp

_CUTS = (0.98, 0.93)  # the new facet passes through the vertex scaled by this
_VERTICES = 2  # how many vertices are tried


def grow(problem: Problem, iterate: Iterate, schedule: Schedule, report: Callable[[Iterate], None] = lambda _: None) -> Run:
    """The best result among some sets with one more row, each optimised; `best` is `iterate` itself if none is larger."""
    best, total = iterate, 0
    for H in candidates(iterate):
        run = optimise(problem, H, schedule, report)
        total += run.iterations
        if run.best is not None and run.best.volume > best.volume:
            best = run.best
    return Run(best, total)


def candidates(iterate: Iterate, radius: float = 0.02) -> Iterator[np.ndarray]:
    """Rows H (p + 1, n), each with one of the most pressed vertices cut off.

    The multipliers of a QP at the iterate say how strongly each sample point keeps the set from growing. A vertex takes those
    of the points it spans. The mean of its active rows is 1 at the vertex; divided by `cut` it is 1 just inside.
    """
    qp = solve_qp(iterate, radius)
    if qp is None:
        return
    pressure = iterate.weights.T @ qp.pressure[: len(iterate.weights)]
    for vertex in np.argsort(-pressure)[:_VERTICES]:
        if pressure[vertex] > 0:
            for cut in _CUTS:
                yield np.concatenate([iterate.H, iterate.F[iterate.vertices.rows[vertex]].mean(axis=0, keepdims=True) / cut])


def without_idle_rows(iterate: Iterate) -> np.ndarray:
    """The rows of H that meet a vertex; the others can go without changing the set."""
    return iterate.H[np.unique(iterate.template.row[np.unique(iterate.vertices.rows)])]
