"""The quadratic program of one iteration: everything linearised at an iterate."""

from typing import Any, NamedTuple

import clarabel
import numpy as np
from scipy import sparse

from ._problem import Iterate

_ACTIVE = 0.25  # constraints further than this from being active do not enter the QP


class QPStep(NamedTuple):
    """Solution of one QP: the step of the normals, shape (p, n), and how strongly each sample point
    presses against it, shape (Q,).
    """

    step: np.ndarray
    pressure: np.ndarray


def solve_qp(iterate: Iterate, radius: float, *, regularisation: float = 1e-3) -> QPStep | None:
    """Maximises <d log V / dN, dN> - penalty (s_v + s_b) - regularisation sum (dN_i / r_i)^2 over
    dN, da, s_v >= 0 and s_b >= 0, for the normals N and r_i = radius |N_i|.

    The invariance of every sample point, linearised in the set, the point and its input, may be
    violated by s_v, the constraint set by s_b; |dN_i| <= r_i is the trust region. None if the
    solver fails.
    """
    problem, normals = iterate.problem, iterate.normals
    free, inputs = normals.size, iterate.inputs
    total = free + inputs.size + 2
    limit = np.repeat(radius * np.linalg.norm(normals, axis=1), normals.shape[1])

    near, sample_rows = _invariance_rows(iterate)
    box_rows, box_slack = _constraint_set_rows(iterate, total)
    eye = sparse.csr_matrix(sparse.identity(total))
    bounded = eye[: total - 2]
    ceiling = np.concatenate([limit, (1 - inputs).ravel()])
    floor = np.concatenate([limit, (1 + inputs).ravel()])
    A = sparse.vstack([sample_rows, box_rows, bounded, -bounded, -eye[total - 2 :]], format="csc")
    b = np.concatenate([-iterate.excess[near], box_slack, ceiling, floor, np.zeros(2)])
    cost = np.concatenate(
        [
            -(iterate.volume_gradient / iterate.volume).ravel(),
            np.zeros(inputs.size),
            [problem.penalty] * 2,
        ]
    )
    # A trace of curvature in the inputs makes the solution unique where they do not matter.
    curvature = sparse.diags(
        np.concatenate([2 * regularisation / limit**2, np.full(inputs.size, 1e-6), np.zeros(2)]),
        format="csc",
    )

    solution = _solve(curvature, cost, A, b)
    if solution is None:
        return None
    z, multipliers = solution
    pressure = np.zeros(len(iterate.samples))
    np.add.at(pressure, near[0], multipliers[: len(near[0])])
    return QPStep(z[:free].reshape(normals.shape), pressure)


def _invariance_rows(iterate: Iterate) -> tuple[tuple[np.ndarray, np.ndarray], Any]:
    """The pairs (sample q, facet i) that are nearly active, and dH_i (f + E w) + H_i (A dy + B da)
    - s_v, one row for each.
    """
    H, template, system = iterate.H, iterate.template, iterate.problem.system
    q, i = np.nonzero(iterate.excess > -_ACTIVE)
    worst = (
        system.w_center
        + np.sign(np.einsum("qn,qnk->qk", H[i], iterate.local.E[q]))
        * iterate.problem.enlargement
        * system.w_radius
    )
    target = iterate.local.drift(iterate.inputs)[q] + np.einsum(
        "qnk,qk->qn", iterate.local.E[q], worst
    )
    normal_after_jacobian = np.einsum("qn,qnj->qj", H[i], iterate.local.jacobian(iterate.inputs)[q])
    in_H = np.einsum("qj,qjh->qh", normal_after_jacobian, iterate.sample_sensitivity[q])
    columns = template.row[i][:, None] * H.shape[1] + np.arange(H.shape[1])
    np.put_along_axis(
        in_H,
        columns,
        np.take_along_axis(in_H, columns, 1) + template.sign[i][:, None] * target,
        axis=1,
    )

    size = iterate.inputs.shape[1]
    in_inputs = np.einsum("qn,qnd->qd", H[i], iterate.local.B[q])
    rows = np.repeat(np.arange(len(q)), size)
    input_block = sparse.csr_matrix(
        (in_inputs.ravel(), (rows, (q[:, None] * size + np.arange(size)).ravel())),
        (len(q), iterate.inputs.size),
    )
    slacks = np.tile([-1.0, 0.0], (len(q), 1))
    return (q, i), sparse.hstack([sparse.csr_matrix(in_H), input_block, slacks], format="csr")


def _constraint_set_rows(iterate: Iterate, total: int) -> tuple[Any, np.ndarray]:
    """lower - s_b <= G (v + dv) <= upper + s_b for the vertices near a limit: rows and right-hand
    sides.
    """
    limits, blocks, slack = iterate.problem.limits, [], []
    levels = iterate.vertices.points @ limits.rows.T
    for side, bound in ((1.0, limits.upper), (-1.0, -limits.lower)):
        distance = bound - side * levels
        j, row = np.nonzero(distance < _ACTIVE)
        moved = np.einsum("rn,rnh->rh", limits.rows[row], iterate.vertex_sensitivity[j])
        blocks.append(side * moved)
        slack.append(distance[j, row])
    in_H, slack = np.concatenate(blocks), np.concatenate(slack)
    inputs = sparse.csr_matrix((len(in_H), total - in_H.shape[1] - 2))
    return sparse.hstack(
        [sparse.csr_matrix(in_H), inputs, np.tile([0.0, -1.0], (len(in_H), 1))], format="csr"
    ), slack


def _solve(P: Any, q: np.ndarray, A: Any, b: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """argmin {z' P z / 2 + q z : A z <= b} and the multipliers, or None if it was not found."""
    api: Any = clarabel  # a compiled module without type stubs
    settings = api.DefaultSettings()
    settings.verbose = False
    solution = api.DefaultSolver(P, q, A, b, [api.NonnegativeConeT(len(b))], settings).solve()
    if solution.status not in (api.SolverStatus.Solved, api.SolverStatus.AlmostSolved):
        return None
    return np.asarray(solution.x), np.asarray(solution.z)
