"""The safe actions {a in [-1, 1]^d : A a <= b} in NumPy: unit rows, the deepest point, and the maps
onto the set.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Machine precision of float64.
_EPS = float(np.finfo(np.float64).eps)


def _bounds(slope: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which rows slope a <= b bound an end of the interval."""
    return (slope != 0) & np.isfinite(slope) & np.isfinite(b)


def _interval(slope: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The ends of {a : slope a <= b}, infinite where there is no bound."""
    bounds = _bounds(slope, b)
    ends = b / slope
    upper = np.min(ends[bounds & (slope > 0)], initial=np.inf)
    lower = np.max(ends[bounds & (slope < 0)], initial=-np.inf)
    return float(lower), float(upper)


def _midpoint(slope: np.ndarray, b: np.ndarray) -> float:
    lower, upper = np.clip(_interval(slope, b), -1e6, 1e6)
    return float(np.clip((lower + upper) / 2, -1.0, 1.0))


def _unit_rows(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same set by rows of length 1. A row that is zero or not finite becomes 0 a <= 1 if it
    always holds, else 0 a <= -1: then no action is safe.
    """
    if A.shape[1] == 1:
        slope = A[:, 0]
        lower, upper = _interval(slope, b)
        possible = np.all(_bounds(slope, b) | (np.isfinite(slope) & (b >= 0)))
        return np.array([[-1.0], [1.0], [0.0]]), np.array(
            [-lower, upper, 1.0 if possible else -1.0]
        )
    finite = np.all(np.isfinite(A), axis=1)
    known = finite & np.isfinite(b)
    b = np.where(known, b, np.where(finite & (b > 0), 1.0, -1.0))
    A = np.where(known[:, None], A, 0.0)
    length = np.sqrt(np.sum(A * A, axis=1))
    usable = (length > 0) & np.isfinite(b / np.where(length > 0, length, 1.0))
    scale = np.where(usable, length, 1.0)
    A = np.where(usable[:, None], A, 0.0) / scale[:, None]
    return A, np.where(usable, b / scale, np.where(b >= 0, 1.0, -1.0))


def _with_box(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    eye = np.eye(A.shape[1])
    return np.concatenate([A, eye, -eye]), np.concatenate([b, np.ones(2 * len(eye))])


def _pull_back(A: np.ndarray, b: np.ndarray, start: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The point of [anchor, start] nearest to start that satisfies A a <= b."""
    move, slack = A @ (start - anchor), b - A @ anchor
    ratios = slack[move > slack] / move[move > slack]
    return anchor + np.clip(np.min(ratios, initial=1.0), 0.0, 1.0) * (start - anchor)


def _project(A: np.ndarray, b: np.ndarray, a: np.ndarray, reach: float = 0.0) -> np.ndarray:
    """The point of {x : A x <= b} nearest to a, by the dual active set method of Goldfarb and
    Idnani (1983): the most violated row enters until none is violated.

    The distance to a only grows; beyond `reach` (by default 4 sqrt(d)) the set is known to be
    empty, and what was found so far is returned. The caller checks the result.
    """
    d = len(a)
    reach = reach or 4.0 * float(np.sqrt(d))
    x, active, multipliers, multiplier = a.copy(), [], np.zeros(0), 0.0
    entering = int(np.argmax(A @ x - b))
    for _ in range(10 * (d + 1)):
        violation = float(A[entering] @ x - b[entering])
        if multiplier == 0.0 and not violation > (d + 3) * _EPS * max(1.0, np.max(np.abs(x))):
            break
        # The part z of the entering normal that is orthogonal to the active ones, and the rest r
        # in terms of them.
        Q, T = _orthonormalised(A[active])
        normal = A[entering]
        along = Q @ normal
        z = normal - along @ Q
        z = z - (Q @ z) @ Q
        r = along @ T
        # The full step makes the entering row hold with equality, the partial step the first
        # multiplier zero.
        square = float(z @ z)
        independent = square > (64 * _EPS) ** 2 and len(active) < d
        full = violation / square if independent else np.inf
        ratios = np.full(len(active), np.inf)
        blocking = r > 16 * _EPS
        ratios[blocking] = multipliers[blocking] / r[blocking]
        partial = float(np.min(ratios, initial=np.inf))
        step = min(full, partial)
        if not np.isfinite(step):
            break
        multipliers = np.maximum(multipliers - step * r, 0.0)
        multiplier += step
        adds = full <= partial
        if adds:
            active, multipliers = [*active, entering], np.append(multipliers, multiplier)
        else:
            leaving = int(np.argmin(ratios))
            active = active[:leaving] + active[leaving + 1 :]
            multipliers = np.delete(multipliers, leaving)
        moved = x - step * z if independent else x
        # Returns to the active rows what rounding took.
        Q, T = _orthonormalised(A[active])
        moved = moved - (T @ (A[active] @ moved - b[active])) @ Q
        if not np.sum((moved - a) ** 2) <= reach**2:
            break
        x = moved
        if adds:
            entering, multiplier = int(np.argmax(A @ x - b)), 0.0
    return x


def _orthonormalised(N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Q = T N with orthonormal rows, by modified Gram-Schmidt."""
    W = np.concatenate([N, np.eye(len(N))], axis=1)
    d = N.shape[1]
    for k in range(len(W)):
        W[k] /= np.sqrt(W[k, :d] @ W[k, :d])
        for j in range(k + 1, len(W)):
            W[j] -= (W[j, :d] @ W[k, :d]) * W[k]
    return W[:, :d], W[:, d:]


def _deepest(A: np.ndarray, b: np.ndarray, near: float) -> np.ndarray:
    """The point of the box with the largest margin min_i (b_i - A_i x), of several the one nearest
    to 0: the linear program by the projection of a far point onto its set.
    """
    m, d = A.shape
    far, half = 1e5, np.sqrt(0.5)
    box, none = np.concatenate([np.eye(d), -np.eye(d)]), np.zeros((2 * d, 1))
    lifted = np.block([[A * half, np.full((m, 1), -half)], [box, none]])
    start = np.append(np.zeros(d), -far)
    end = _project(lifted, np.concatenate([b * half, np.ones(2 * d)]), start, reach=2 * far)
    deepest = np.clip(end[:d], -1.0, 1.0)
    level = float(np.max(A @ deepest - b))
    x = np.clip(_project(*_with_box(A, b + level + near), np.zeros(d)), -1.0, 1.0)
    return x if np.max(A @ x - b) <= level + 2 * near else deepest


def _safest(
    A: np.ndarray, b: np.ndarray, found: np.ndarray, candidates: np.ndarray, tau: float
) -> np.ndarray:
    """The point that was found, or a fixed candidate if the rows say that it is better."""
    actions = np.concatenate([np.clip(np.nan_to_num(found), -1.0, 1.0)[None], candidates])
    merits = np.min(b[:, None] - A @ actions.T, axis=0)
    if merits[0] >= tau / 2:
        merits[0] += 2 * tau
    # The first that is as good as any, to within rounding, as the library chooses.
    return actions[int(np.argmax(merits >= merits.max() - tau / 4))]


def _mask(
    kind: str, A: np.ndarray, b: np.ndarray, request: np.ndarray, accepted: bool
) -> np.ndarray:
    """Masks for one action, about the middle of the safe interval."""
    lower, upper = _interval(A[:, 0], b)
    lower, upper = max(lower, -1.0), min(upper, 1.0)
    possible = bool(np.all((A[:, 0] != 0) | (b >= 0))) and lower < upper
    center, half = (lower + upper) / 2, (upper - lower) / 2 if possible else 0.0
    if kind in ("gauge_map", "generator_mask"):
        return center + half * request
    _, mapping, about = kind.split(":")
    if about == "orthogonal" and accepted:
        return request
    offset = float(request[0]) - center
    if not possible or abs(offset) <= _EPS**2:
        return np.array([center])
    box = abs(offset) / (1.0 - center if offset > 0 else 1.0 + center)
    gauge = abs(offset) / half
    scale = box / gauge if mapping == "linear" else np.tanh(gauge) / (gauge * np.tanh(gauge / box))
    return np.array([center + scale * offset])


def _solve(matrix: Any, right: Any) -> np.ndarray:
    """The solution of linear equations; NaN, at which no action is safe, if they have none."""
    try:
        return np.linalg.solve(np.array(matrix, np.float64), np.array(right, np.float64))
    except np.linalg.LinAlgError:
        return np.full(len(right), np.nan)
