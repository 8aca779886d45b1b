"""The input of largest margin at each sample point."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_matrix


def best_inputs(offset: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """argmin over |a| <= 1 of max_i (offset_qi + slope_qi a) for every sample point q.

    Args:
        offset: Shape (Q, m).
        slope: Shape (Q, m, d).

    Returns:
        Actions, shape (Q, d).
    """
    if slope.shape[-1] == 1:
        return _bisect(offset, slope[..., 0])[:, None]
    return _linear_program(offset, slope)


def _bisect(offset: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """One input: bisection on the sign of the slope of the active row, for all points at once."""
    index = np.arange(len(offset))
    low, high = -np.ones(len(offset)), np.ones(len(offset))
    for _ in range(54):
        middle = (low + high) / 2
        active = np.argmax(offset + slope * middle[:, None], axis=1)
        rising = slope[index, active] > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return (low + high) / 2


def _linear_program(offset: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Several inputs: the programs min t subject to offset + slope a <= t are independent, and
    solved as one sparse program.
    """
    count, rows, size = slope.shape
    blocks = [csr_matrix(np.column_stack([slope[q], -np.ones(rows)])) for q in range(count)]
    cost = np.tile(np.append(np.zeros(size), 1.0), count)
    bounds = ([(-1.0, 1.0)] * size + [(None, None)]) * count
    result = linprog(
        cost, A_ub=block_diag(blocks, format="csr"), b_ub=-offset.ravel(), bounds=bounds
    )
    return result.x.reshape(count, size + 1)[:, :size]
