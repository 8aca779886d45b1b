"""More facets: cut off the vertices that hold the set back, and optimise again."""

from collections.abc import Callable, Iterator

import numpy as np

from ._problem import Iterate, Problem
from ._qp import solve_qp
from ._slp import Run, Schedule, optimise

_CUTS = (0.98, 0.93)  # the new facet passes through the vertex scaled by this
_VERTICES = 6  # at most this many vertices are tried
_BATCH = 4  # after so many candidates the best is taken, if it is good enough


def grow(
    problem: Problem,
    iterate: Iterate,
    schedule: Schedule,
    gain: float,
    report: Callable[[Iterate], None] = lambda _: None,
) -> Run:
    """The best result among some sets with one more row, each optimised; `best` is None if none is
    larger by the part `gain`.
    """
    best, goal, total = None, iterate.volume * (1 + gain), 0
    for tried, normals in enumerate(candidates(iterate), start=1):
        run = optimise(problem, normals, schedule, report)
        total += run.iterations
        if run.best is not None and run.best.volume > goal:
            best, goal = run.best, run.best.volume
        if best is not None and tried % _BATCH == 0:
            break
    return Run(best, total)


def candidates(iterate: Iterate, radius: float = 0.02) -> Iterator[np.ndarray]:
    """Normals, shape (p + 1, n), each with one of the most pressed vertices cut off.

    The multipliers of a QP at the iterate say how strongly each sample point keeps the set from
    growing. A vertex takes those of the points it spans. The mean of its active rows is 1 at the
    vertex; divided by `cut` it is 1 just inside.
    """
    qp = solve_qp(iterate, radius)
    if qp is None:
        return
    pressure = iterate.weights.T @ qp.pressure[: len(iterate.weights)]
    for vertex in np.argsort(-pressure)[:_VERTICES]:
        if pressure[vertex] > 0:
            for cut in _CUTS:
                yield np.concatenate(
                    [
                        rows_in_use(iterate),
                        iterate.H[iterate.vertices.rows[vertex]].mean(axis=0, keepdims=True) / cut,
                    ]
                )


def rows_in_use(iterate: Iterate) -> np.ndarray:
    """The normals that meet a vertex, shape (p, n); the others can go without changing the
    set.
    """
    return iterate.normals[np.unique(iterate.template.row[iterate.vertices.rows])]
