"""Natural units of actions: the map of [-1, 1]^d, which safeguards and proofs speak, onto a box in
volts, newtons or whatever the step takes.

The map is a part of the program that is proved and run. Its numbers are chosen so that no action of
[-1, 1]^d leaves the box, in float32 and without clipping: what is executed is the very number with
which the proof reckons, and the rounding of the map is in the allowance eps like that of every
other operation of the step.
"""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from .._gate import instance_of, shown
from ..sets import Box

# By how much of its half-width an action may be rounded at most. The margins that are proved are a
# few times larger; a box that is coarser could hardly have any.
_COARSEST = 1e-4
# Smaller numbers may be taken for 0 at run time.
_TINY = float(np.finfo(np.float32).tiny)


class ActionUnits:
    """The affine map of [-1, 1]^d into a box of actions, in the dtype of what is mapped.

    The box [-1, 1]^d itself is mapped by no operation at all.

    Args:
        box: Shape (d,): bounded, `lower` < `upper`.

    Attributes:
        box: The box with float32 bounds.
        plain: Whether it is [-1, 1]^d.

    Raises:
        TypeError: If it is no `Box`.
        ModelError: If it is unbounded or flat, or so narrow for its distance from 0 that float32
            has too few numbers in it.
    """

    def __init__(self, box: Box):
        instance_of("action_box", box, Box, hint="for 12 V to both sides, `Box([-12.0], [12.0])`")
        lower, upper = (np.asarray(bound, np.float32) for bound in (box.lower, box.upper))
        self.box = Box(lower, upper)
        low, high = lower.astype(np.float64), upper.astype(np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and np.all(low < high)):
            raise ModelError(
                "`action_box` must be bounded, with `lower` < `upper` for every action, but "
                f"lower = {shown(lower.tolist())} and upper = {shown(upper.tolist())}. Give the "
                "limits of the actuators, and leave out what cannot move."
            )
        self.plain = bool(np.all(lower == -1) and np.all(upper == 1))
        self.center = (low / 2 + high / 2).astype(np.float32)
        self.half_width = np.array(
            [_half_width(*ends) for ends in zip(lower, self.center, upper, strict=True)], np.float32
        )
        self._require_fine()

    def natural(self, unit: jax.Array) -> jax.Array:
        """The action of the box for one of [-1, 1]^d, shape (d,)."""
        if self.plain:
            return unit
        scaled = jnp.asarray(self.half_width, unit.dtype) * unit
        return scaled + jnp.asarray(self.center, unit.dtype) if self.center.any() else scaled

    def unit(self, natural: jax.Array) -> jax.Array:
        """The action in [-1, 1]^d for one of the box, shape (d,), off by at most two roundings; one
        beyond the box lies beyond [-1, 1]^d.
        """
        if self.plain:
            return natural
        moved = natural - jnp.asarray(self.center, natural.dtype) if self.center.any() else natural
        return moved / jnp.asarray(self.half_width, natural.dtype)

    def contains(self, natural: jax.Array) -> jax.Array:
        """Whether an action lies in the box, by comparisons only; false for NaN. Shape ()."""
        low, high = (jnp.asarray(end, natural.dtype) for end in (self.box.lower, self.box.upper))
        return jnp.all((natural >= low) & (natural <= high))

    def _require_fine(self) -> None:
        largest = np.maximum(np.abs(self.box.lower), np.abs(self.box.upper))
        rounding = np.maximum(np.spacing(largest.astype(np.float32)) / 2, _TINY)
        with np.errstate(divide="ignore"):
            share = rounding.astype(np.float64) / self.half_width
        if not share.max() <= _COARSEST:
            i = int(np.argmax(share))
            raise ModelError(
                f"`action_box` must be wide enough for float32, but action {i} from "
                f"{self.box.lower[i]} to {self.box.upper[i]} would be rounded by up to "
                f"{share[i]:.2g} of its half-width, and at most {_COARSEST:g} are taken. Give the "
                "action as the difference from an operating point, which `step` adds, or in units "
                "in which numbers are moderate."
            )


def _half_width(lower: np.float32, center: np.float32, upper: np.float32) -> np.float32:
    """The largest float32 number by which one can go from the centre to both sides."""
    low, middle, high = (Fraction(float(value)) for value in (lower, center, upper))
    exact = min(high - middle, middle - low)
    width = np.float32(float(exact))
    while Fraction(float(width)) > exact:
        width = np.nextafter(width, np.float32(0))
    return width
