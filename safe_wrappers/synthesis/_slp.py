"""Sequential programming on the facet normals: linearise everything at an iterate, solve a QP, accept or shrink the step."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ._problem import Iterate, Problem

_ACTIVE = 0.25  # constraints further than this from being active do not enter the QP


class QPStep(NamedTuple):
    """Solution of one QP: the step (p, n) of H and how strongly each sample point presses against it, shape (Q,)."""

    step: np.ndarray
    pressure: np.ndarray


def solve_qp(iterate: Iterate, radius: float, *, regularisation: float = 1e-3) -> QPStep | None:
    """max <dlog V/dH, dH> - penalty (s_v + s_b) - regularisation sum (dH / (radius |H_i|))^2 over (dH, da, s_v >= 0, s_b >= 0).

    The invariance of every sample point, linearised in the set, the point and its input, may be violated by s_v, the constraint
    set by s_b; |dH_i| <= radius |H_i| is the trust region. None if the solver fails.
    """
    import clarabel

    problem, H = iterate.problem, iterate.H
    free, inputs = H.size, iterate.inputs
    total = free + inputs.size + 2
    limit = np.repeat(radius * np.linalg.norm(H, axis=1), H.shape[1])

    near, sample_rows = _invariance_rows(iterate, total)
    box_rows, box_slack = _constraint_set_rows(iterate, total)
    eye = sparse.eye(total, format="csr")
    bounded = eye[: total - 2]
    ceiling = np.concatenate([limit, (1 - inputs).ravel()])
    floor = np.concatenate([limit, (1 + inputs).ravel()])
    A = sparse.vstack([sample_rows, box_rows, bounded, -bounded, -eye[total - 2 :]], format="csc")
    b = np.concatenate([-iterate.excess[near], box_slack, ceiling, floor, np.zeros(2)])
    cost = np.concatenate([-(iterate.volume_gradient / iterate.volume).ravel(), np.zeros(inputs.size), [problem.penalty] * 2])
    # A trace of curvature in the inputs makes the solution unique where they do not matter.
    curvature = sparse.diags(np.concatenate([2 * regularisation / limit**2, np.full(inputs.size, 1e-6), np.zeros(2)]), format="csc")

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solution = clarabel.DefaultSolver(curvature, cost, A, b, [clarabel.NonnegativeConeT(len(b))], settings).solve()
    if solution.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
        return None
    pressure = np.zeros(len(iterate.samples))
    np.add.at(pressure, near[0], np.asarray(solution.z)[: len(near[0])])
    return QPStep(np.asarray(solution.x)[:free].reshape(H.shape), pressure)


def _invariance_rows(iterate: Iterate, total: int) -> tuple[tuple[np.ndarray, np.ndarray], sparse.csr_matrix]:
    """The pairs (sample q, facet i) that are nearly active, and dF_i (f + E w) + F_i (A dy + B da) - s_v, one row for each."""
    F, template, system = iterate.F, iterate.template, iterate.problem.system
    near = q, i = np.nonzero(iterate.excess > -_ACTIVE)
    worst = system.w_center + np.sign(np.einsum("qn,qnk->qk", F[i], iterate.local.E[q])) * iterate.problem.enlargement * system.w_radius
    target = iterate.local.drift(iterate.inputs)[q] + np.einsum("qnk,qk->qn", iterate.local.E[q], worst)
    normal_after_jacobian = np.einsum("qn,qnj->qj", F[i], iterate.local.jacobian(iterate.inputs)[q])
    in_H = np.einsum("qj,qjh->qh", normal_after_jacobian, iterate.sample_sensitivity[q])
    columns = template.row[i][:, None] * F.shape[1] + np.arange(F.shape[1])
    np.put_along_axis(in_H, columns, np.take_along_axis(in_H, columns, 1) + template.sign[i][:, None] * target, axis=1)

    size = iterate.inputs.shape[1]
    in_inputs = np.einsum("qn,qnd->qd", F[i], iterate.local.B[q])
    rows = np.repeat(np.arange(len(q)), size)
    input_block = sparse.csr_matrix((in_inputs.ravel(), (rows, (q[:, None] * size + np.arange(size)).ravel())), (len(q), iterate.inputs.size))
    slacks = np.tile([-1.0, 0.0], (len(q), 1))
    return near, sparse.hstack([sparse.csr_matrix(in_H), input_block, slacks], format="csr")


def _constraint_set_rows(iterate: Iterate, total: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """lower - s_b <= v + dv <= upper + s_b for the vertices near a bound: rows and right-hand sides."""
    blocks, slack = [], []
    for side, bound in ((1.0, iterate.problem.upper), (-1.0, -iterate.problem.lower)):
        distance = bound - side * iterate.vertices.points
        j, axis = np.nonzero(distance < _ACTIVE)
        blocks.append(side * iterate.vertex_sensitivity[j, axis])
        slack.append(distance[j, axis])
    in_H, slack = np.concatenate(blocks), np.concatenate(slack)
    inputs = sparse.csr_matrix((len(in_H), total - in_H.shape[1] - 2))
    return sparse.hstack([sparse.csr_matrix(in_H), inputs, np.tile([0.0, -1.0], (len(in_H), 1))], format="csr"), slack


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
    """Result of `optimise`: the largest acceptable iterate (None if there was none) and the number of QPs."""

    best: Iterate | None
    iterations: int


def optimise(problem: Problem, H: np.ndarray, schedule: Schedule, report: Callable[[Iterate], None] = lambda _: None) -> Run:
    """Enlarges the set of the rows H until its merit stagnates; `report` sees every accepted iterate."""
    current = problem.iterate(H)
    if current is None:
        return Run(None, 0)
    best = current if current.acceptable else None
    radius, kicks = schedule.radius, schedule.kicks
    level, waited, count = current.merit, 0, 0
    for count in range(1, schedule.iterations + 1):
        qp = solve_qp(current, radius)
        candidate = None if qp is None else problem.iterate(current.H + qp.step)
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
        if waited >= schedule.patience:
            break
    return Run(best, count)
