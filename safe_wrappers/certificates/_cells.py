"""Boxes of states, cut in two."""

import numpy as np


def halved(lower: np.ndarray, upper: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The halves of boxes, all first ones before all second ones.

    Args:
        lower: Lower ends, shape (n, cells).
        upper: Upper ends, shape (n, cells).
        side: The axis along which each box is cut in the middle, shape (cells,).

    Returns:
        Lower and upper ends, shape (n, 2 cells).
    """
    cells = np.arange(len(side))
    middle = (lower[side, cells] + upper[side, cells]) / 2
    first_upper, second_lower = upper.copy(), lower.copy()
    first_upper[side, cells] = second_lower[side, cells] = middle
    return np.hstack([lower, second_lower]), np.hstack([first_upper, upper])
