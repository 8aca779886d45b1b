"""Inputs at the vertices of a proof: the largest margin, and a choice that varies little.

Heuristics, which prove nothing.
"""

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

# Bisection steps for one input: 2 / 2^48 is below what matters.
_HALVINGS = 48
# Vertices per linear program: larger ones cost more than their sum.
_BLOCK = 256
# A midpoint keeps this part of its best margin.
_KEPT = 0.5


def best_inputs(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The input in [-1, 1]^d of largest margin min_i (b_i - A_i u) for each vertex.

    Args:
        A: Shape (m, d, vertices).
        b: Shape (m, vertices).

    Returns:
        u, shape (d, vertices), and the margins, shape (vertices,).
    """
    if A.shape[1] == 1:
        u = _best_scalar(A[:, 0], b)[None]
    else:
        starts = range(0, b.shape[1], _BLOCK)
        u = np.concatenate(
            [_best_by_program(A[..., s : s + _BLOCK], b[:, s : s + _BLOCK]) for s in starts], axis=1
        )
    return u, margins(A, b, u)


def steady_inputs(
    A: np.ndarray, b: np.ndarray, preferred: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The input nearest to `preferred`, on the way from the best one, that keeps half of the best
    margin.

    The input of largest margin jumps from one vertex to the next, and a proof with it would bisect
    for ever.

    Args:
        A: Shape (m, d, vertices).
        b: Shape (m, vertices).
        preferred: Inputs in the box, shape (d, vertices).

    Returns:
        u, shape (d, vertices), and the best margins, shape (vertices,).
    """
    best, margin = best_inputs(A, b)
    direction = preferred - best
    slack = b - np.sum(A * best, axis=1) - _KEPT * margin
    rate = np.sum(A * direction, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(rate > 0, np.maximum(slack, 0.0) / rate, np.inf)
    step = np.minimum(1.0, ratio.min(axis=0))
    return np.clip(best + step * direction, -1.0, 1.0), margin


def margins(A: np.ndarray, b: np.ndarray, u: np.ndarray) -> np.ndarray:
    """min_i (b_i - A_i u), shape (vertices,)."""
    return np.min(b - np.sum(A * u, axis=1), axis=0)


def _best_scalar(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One input: the margin is concave and piecewise linear, so the slope of its smallest row says
    which way to go.
    """
    lower, upper = -np.ones(b.shape[1]), np.ones(b.shape[1])
    for _ in range(_HALVINGS):
        middle = 0.5 * (lower + upper)
        active = np.argmin(b - A * middle, axis=0)
        falls = np.take_along_axis(A, active[None], axis=0)[0] > 0
        lower, upper = np.where(falls, lower, middle), np.where(falls, middle, upper)
    return 0.5 * (lower + upper)


def _best_by_program(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Several inputs: one sparse linear program, maximise sum_v t_v with A_v u_v + t_v <= b_v,
    block by block.
    """
    m, d, count = A.shape
    blocks = [np.column_stack([A[..., v], np.ones(m)]) for v in range(count)]
    objective = np.tile([0.0] * d + [-1.0], count)
    bounds = ([(-1.0, 1.0)] * d + [(None, None)]) * count
    result = linprog(
        objective, A_ub=sparse.block_diag(blocks, format="csr"), b_ub=b.T.ravel(), bounds=bounds
    )
    if result.status != 0:
        return np.zeros((d, count))
    return np.clip(result.x.reshape(count, d + 1)[:, :d].T, -1.0, 1.0)
