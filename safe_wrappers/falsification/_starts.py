"""Where trajectories begin: anywhere in the safe set, on its boundary, and near the worst states
that were found.
"""

import numpy as np

from ._judge import Judge

_FAR = 64.0  # times the distance of two safe states: outside
_BISECTIONS = 32


def on_boundary(judge: Judge, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 states just inside the boundary, shape (N, n): where the rays from the covered states
    x towards one another end. A state from which there is no such ray is left as it is.
    """
    way = x[rng.permutation(len(x))] - x
    inside, outside = np.zeros(len(x), np.float32), np.full(len(x), _FAR, np.float32)
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        covered = judge.covers(_along(x, middle, way))
        inside, outside = np.where(covered, middle, inside), np.where(covered, outside, middle)
    return _along(x, inside, way)


def near(
    judge: Judge, x: np.ndarray, count: int, spread: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """float32 states around the given ones, from next to nothing to a tenth of the spread away,
    shape (count, n); one that would not be covered is its parent instead.
    """
    parents = x[rng.integers(len(x), size=count)]
    widths = 10.0 ** rng.uniform(-7, -1, (count, 1))
    moved = parents + (widths * spread * rng.standard_normal(parents.shape)).astype(np.float32)
    moved = np.where(judge.covers(moved)[:, None], moved, parents)
    return np.where(rng.random((count, 1)) < 0.2, parents, moved)


def _along(x: np.ndarray, far: np.ndarray, way: np.ndarray) -> np.ndarray:
    return (x + far[:, None] * way).astype(np.float32)
