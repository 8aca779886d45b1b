"""A gain whose admissible set is large.

The gain decides: of the weights that people try first, one gives a set five times as large as
another. Gains are those of linear quadratic regulators, whose weights are drawn at random and then
improved one by one. How large the set is, random rays tell; no program is solved for it.
"""

import numpy as np
from scipy.linalg import LinAlgError, solve_discrete_are

from ._admissible_set import admitted

_RAYS = 256
_STARTS = 120
_ROUNDS = 5


def best_gain(
    A: np.ndarray,
    B: np.ndarray,
    k: np.ndarray,
    E: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    inputs: tuple[np.ndarray, np.ndarray],
    *,
    margin: float,
    seed: int = 0,
) -> np.ndarray | None:
    """The gain K of v = v0 + K y, shape (d, n), float32; None if every one fails.

    Args:
        A: Shape (n, n).
        B: Shape (n, d).
        k: Shape (n,).
        E: Shape (n, j), |omega| <= 1.
        reach: How far y may go below and above 0, shapes (n,).
        inputs: How far v may go below and above v0, shapes (d,).
        margin: By this share of its room every row of the set is to be kept.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    n, d = B.shape
    widest, strongest = np.minimum(*reach), np.minimum(*inputs)
    rays = rng.normal(size=(_RAYS, n))
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True) * widest

    def score(weights: np.ndarray) -> tuple[float, np.ndarray | None]:
        K = _regulator(A, B, weights[:n] / widest**2, weights[n:] / strongest**2)
        if K is None:
            return -np.inf, None
        limits = limits_of(K, reach, inputs)
        far = admitted(rays, A + B @ K, k, E, limits, margin=margin)
        # The volume is the mean of the n-th power of the boundary's distance.
        with np.errstate(divide="ignore"):
            logs = -n * np.log(far)
        top = logs.max()
        return (top + np.log(np.mean(np.exp(logs - top))), K) if np.isfinite(top) else (top, K)

    best, gain, at = -np.inf, None, np.ones(n + d)
    for turn in range(_STARTS):
        weights = np.exp(rng.uniform(-6.0, 3.0, n + d)) if turn else np.ones(n + d)
        found, K = score(weights)
        if found > best:
            best, gain, at = found, K, weights
    if gain is None or not np.isfinite(best):
        return None
    step = 1.0
    for _ in range(_ROUNDS):
        for i in range(n + d):
            for sign in (1.0, -1.0):
                weights = at.copy()
                weights[i] *= np.exp(sign * step)
                found, K = score(weights)
                if found > best and K is not None:
                    best, gain, at = found, K, weights
                    break
        step *= 0.6
    return gain


def limits_of(
    K: np.ndarray,
    reach: tuple[np.ndarray, np.ndarray],
    inputs: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """The limits of states and inputs as rows G of G y <= 1, shape (2 n + 2 d, n)."""
    unit = np.eye(K.shape[1])
    return np.concatenate(
        [
            unit / reach[1][:, None],
            -unit / reach[0][:, None],
            K / inputs[1][:, None],
            -K / inputs[0][:, None],
        ]
    )


def _regulator(A: np.ndarray, B: np.ndarray, Q: np.ndarray, R: np.ndarray) -> np.ndarray | None:
    """The regulator's gain, in the float32 numbers of a claim."""
    try:
        P = solve_discrete_are(A, B, np.diag(Q), np.diag(R))
    except (LinAlgError, ValueError):
        return None
    K = -np.linalg.solve(np.diag(R) + B.T @ P @ B, B.T @ P @ A)
    K = K.astype(np.float32).astype(np.float64)
    return K if np.abs(np.linalg.eigvals(A + B @ K)).max() < 1 else None
