"""States and requests at which a simulator is likely to differ most from its model."""

from collections.abc import Callable

import numpy as np

IsSafe = Callable[[np.ndarray], np.ndarray]

_FAR = 64.0  # times the distance of two safe states: outside
_BISECTIONS = 30
_ELITES = 16  # for each objective


def boundary_states(is_safe: IsSafe, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """States just inside the boundary of the safe set, shape (N, n): where the rays from the safe
    states x towards one another leave it.
    """
    way = x[rng.permutation(len(x))] - x
    inside, outside = np.zeros(len(x)), np.full(len(x), _FAR)
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        safe = is_safe(x + middle[:, None] * way)
        inside, outside = np.where(safe, middle, inside), np.where(safe, outside, middle)
    return x + inside[:, None] * way


def bang_bang(shape: tuple[int, ...], rng: np.random.Generator, hold: float = 1.0) -> np.ndarray:
    """Vertices of the action box, shape (T, N, d), each kept for `hold` steps on average."""
    switch = rng.random(shape) < 1 / hold
    return np.where(np.cumsum(switch, axis=0) % 2, 1.0, -1.0) * rng.choice([-1.0, 1.0], shape[1:])


def extreme(disturbance: np.ndarray, least_excess: np.ndarray) -> np.ndarray:
    """Indices of the steps with the largest disturbances of either sign in each component, and with
    the largest unexplained parts.
    """
    objectives = np.concatenate([disturbance.T, -disturbance.T, least_excess[None]])
    return np.argsort(-np.nan_to_num(objectives, nan=np.inf, posinf=np.inf), axis=1)[
        :, :_ELITES
    ].ravel()


def neighbours(
    is_safe: IsSafe,
    x: np.ndarray,
    action: np.ndarray,
    *,
    count: int,
    width: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Random states and requests around the given ones, shapes (count, n) and (count, d); a state
    that would not be safe is its parent instead.

    Args:
        is_safe: States (N, n) -> whether they lie in the safe set (N,).
        x: Shape (e, n).
        action: Shape (e, d).
        count: Number of steps.
        width: Standard deviations, shape (n + d,).
        rng: Draws them.
    """
    parents = rng.integers(len(x), size=count)
    noise = width * rng.standard_normal((count, len(width)))
    moved = x[parents] + noise[:, : x.shape[1]]
    moved = np.where(is_safe(moved)[:, None], moved, x[parents])
    return moved, np.clip(action[parents] + noise[:, x.shape[1] :], -1.0, 1.0)
