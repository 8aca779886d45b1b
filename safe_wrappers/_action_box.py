"""The box of actions of a Gymnasium environment, and the system's [-1, 1]^d mapped onto it."""

from typing import Any

import numpy as np
from gymnasium import spaces

from ._errors import CertificateError


class ActionBox:
    """Maps -1 to `low` and 1 to `high`, exactly.

    Args:
        space: An action space.
        action_size: The system's number of actions d.

    Raises:
        CertificateError: If the space is not a bounded box of d floating-point numbers, each with
            room between its bounds.
    """

    def __init__(self, space: spaces.Space[Any], action_size: int):
        if (
            not isinstance(space, spaces.Box)
            or not space.is_bounded()
            or space.shape != (action_size,)
        ):
            raise CertificateError(
                "The action space must be a bounded box of the system's "
                f"{action_size} action(s), but it is {space}."
            )
        if not np.issubdtype(space.dtype, np.floating) or not np.all(space.low < space.high):
            raise CertificateError(
                "The action space must be of floating-point numbers with `low` < `high`, or safe "
                f"actions would be rounded to unsafe ones, but it is {space}."
            )
        self.shape, self.dtype, self._low, self._high = (
            space.shape,
            space.dtype,
            space.low,
            space.high,
        )
        low, high = np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
        self._center, self._radius = (low + high) / 2, (high - low) / 2

    def unit(self, action: np.ndarray) -> np.ndarray:
        """An action of the space in units of [-1, 1]^d, float64; what is oversized or not finite
        stays so.
        """
        return (np.asarray(action, np.float64) - self._center) / self._radius

    def physical(self, unit: np.ndarray) -> np.ndarray:
        """An action of [-1, 1]^d in the space."""
        return self.clip(self._center + self._radius * unit)

    def clip(self, action: np.ndarray) -> np.ndarray:
        """An action in the space: within its bounds, and of its type."""
        return np.clip(np.asarray(action, self.dtype), self._low, self._high)
