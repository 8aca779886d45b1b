"""The box of actions of a Gymnasium environment, and the system's [-1, 1]^d mapped onto it."""

from typing import Any

import numpy as np
from gymnasium import spaces

from ._errors import CertificateError
from ._margins import tau

# How far the nearest float32 number is from a number of [-1, 1] at most: a requested action is
# rounded to it before it is verified.
_REQUEST = 2.0**-25


class ActionBox:
    """Maps -1 to `low` and 1 to `high`, exactly, and what lies between to numbers of the space.

    What is verified is an action of [-1, 1]^d, what is executed is a number of the space: the two
    differ by rounding, up to `rounding`. The accept test leaves tau / 4 as a distance in [-1, 1]^d,
    which covers the rounding of every space of float32 around 0. A coarser space (float16, bounds
    far from 0, denormal bounds) is taken only if the system's certificate has room to tighten its
    rows by the rounding; otherwise safe actions would be rounded to unsafe ones.

    Args:
        space: An action space.
        action_size: The system's number of actions d.
        room: By how much the system's rows may be tightened, a Euclidean distance in [-1, 1]^d.
        proved_map: Centre and half-width of the system's own map onto these bounds, float32, shapes
            (d,) and (d,), if it has natural units: then what is proved speaks of that map, and what
            this one differs from it counts as rounding.

    Attributes:
        rounding: The largest distance between a verified and an executed action, component by
            component, in units of [-1, 1]^d. Shape (d,), float64.
        coarse: Whether the rows must be tightened by `rounding`.

    Raises:
        CertificateError: If the space is not a bounded box of d floating-point numbers, each with
            room between its bounds, or if it is too coarse.
    """

    def __init__(
        self,
        space: spaces.Space[Any],
        action_size: int,
        room: float = 0.0,
        proved_map: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        if (
            not isinstance(space, spaces.Box)
            or not space.is_bounded()
            or space.shape != (action_size,)
        ):
            raise CertificateError(
                f"The action space is {space}, but it must be a bounded box of the system's "
                f"{action_size} action(s). Give the environment a `spaces.Box` with finite bounds, "
                "for example by a wrapper of its own."
            )
        if not np.issubdtype(space.dtype, np.floating) or not np.all(space.low < space.high):
            raise CertificateError(
                f"The action space is {space}, but it must be of floating-point numbers with `low` "
                "< `high`, or safe actions would be rounded to unsafe ones. Write "
                "`spaces.Box(low, high, dtype=np.float32)`."
            )
        self.shape = space.shape
        self.dtype = space.dtype
        self._low = space.low
        self._high = space.high
        low, high = np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
        with np.errstate(over="ignore"):
            width = high - low
        if not np.isfinite(width).all():
            raise CertificateError(
                "The bounds of the action space must differ by a finite number, but it is "
                f"{space}; give narrower bounds."
            )
        self._center = low + width / 2
        self._radius = width / 2
        self.rounding = np.maximum(_spacing(space) / 2 / self._radius, _REQUEST)
        if proved_map is not None:
            center, half_width = (np.asarray(part, np.float64) for part in proved_map)
            apart = np.abs(center - self._center) + np.abs(half_width - self._radius)
            self.rounding = self.rounding + apart / self._radius
        distance = float(np.linalg.norm(self.rounding))
        covered = tau(action_size, np.float32) / 4
        self.coarse = distance > covered
        if distance > max(covered, room):
            raise CertificateError(
                f"The action space is {space}, whose numbers are so far apart that a verified "
                f"action of [-1, 1] would be rounded by up to {distance:.2g}, but the system has "
                f"room for {max(covered, room):.2g} only. Give the environment an action space of "
                "float64 or one around 0, for example by a wrapper of its own."
            )

    def unit(self, action: np.ndarray) -> np.ndarray:
        """An action of the space in units of [-1, 1]^d, float64; what is oversized or not finite
        stays so.
        """
        return (np.asarray(action, np.float64) - self._center) / self._radius

    def physical(self, unit: np.ndarray) -> np.ndarray:
        """The number of the space nearest to an action of [-1, 1]^d."""
        return self.clip(self._center + self._radius * np.asarray(unit, np.float64))

    def clip(self, action: np.ndarray) -> np.ndarray:
        """An action in the space: within its bounds, and of its type."""
        with np.errstate(over="ignore"):  # what the type cannot hold is clipped to the bound
            return np.clip(np.asarray(action, self.dtype), self._low, self._high)


def _spacing(space: spaces.Box) -> np.ndarray:
    """The largest distance of neighbouring numbers of the space, or of float64, in which the map
    is computed, if that is larger. Shape (d,).
    """
    largest = np.maximum(np.abs(space.low), np.abs(space.high))
    own = np.spacing(largest).astype(np.float64)
    return np.maximum(own, np.spacing(largest.astype(np.float64)))
