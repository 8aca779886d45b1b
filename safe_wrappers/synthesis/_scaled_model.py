"""The model in the coordinates of the synthesis: every state component divided by its scale."""

import copy
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from ..models import Model
from ..sets import Box

_PROBES = 64


class Linearisation(NamedTuple):
    """y' = c + B a + E w at Q states y, and how c and B change with y; float64.

    Shapes: c (Q, n), B (Q, n, d), E (Q, n, k), dc (Q, n, n), dB (Q, n, d, n); the last axis of dc
    and dB is y.
    """

    c: np.ndarray
    B: np.ndarray
    E: np.ndarray
    dc: np.ndarray
    dB: np.ndarray

    def drift(self, action: np.ndarray) -> np.ndarray:
        """y' without disturbance for actions of shape (Q, d): (Q, n)."""
        return self.c + np.einsum("qnd,qd->qn", self.B, action)

    def jacobian(self, action: np.ndarray) -> np.ndarray:
        """d y' / d y at the actions, shape (Q, n, n)."""
        return self.dc + np.einsum("qndj,qd->qnj", self.dB, action)


class ScaledSystem:
    """The model in coordinates y = x / scale, with its disturbance box.

    Numbers in and out are float64 NumPy.

    Args:
        model: x' = f(x, a, w), affine in (a, w).
        disturbance_set: Box of dimension k.
        scale: Positive, shape (n,).
    """

    def __init__(self, model: Model, disturbance_set: Box, scale: np.ndarray):
        self.model, self.scale = model, scale
        lower, upper = (
            np.asarray(disturbance_set.lower, np.float64),
            np.asarray(disturbance_set.upper, np.float64),
        )
        self.w_center, self.w_radius = (lower + upper) / 2, (upper - lower) / 2

        def affine(y, scale):
            c, B, E = model.affine(y * scale)
            return c / scale, B / scale[:, None], E / scale[:, None]

        def linearise(y, scale):
            return (*affine(y, scale), *jax.jacfwd(lambda z: affine(z, scale)[:2])(y))

        self._linearise = jax.jit(jax.vmap(linearise, in_axes=(0, None)))

    def rescaled(self, scale: np.ndarray) -> "ScaledSystem":
        """The same system in other units; compiled functions are shared."""
        other = copy.copy(self)
        other.scale = scale
        return other

    def linearise(self, y: np.ndarray) -> Linearisation:
        """The affine form and its derivative at the states y, shape (Q, n)."""
        # The number of sample points changes with the polytope: padding to powers of two keeps the
        # compilations few.
        count = len(y)
        padded = np.zeros((1 << max(6, (count - 1).bit_length()), y.shape[1]))
        padded[:count] = y
        with jax.enable_x64():
            parts = self._linearise(jnp.asarray(padded), jnp.asarray(self.scale))
        return Linearisation(*(np.asarray(part)[:count] for part in parts))

    def spread(self, H: np.ndarray, E: np.ndarray, enlargement: float) -> np.ndarray:
        """max {H_i E_q w : w in W enlarged about its centre}, shape (Q, m), for rows H (m, n) and E
        (Q, n, k).
        """
        HE = np.einsum("mn,qnk->qmk", H, E)
        return HE @ self.w_center + enlargement * np.abs(HE) @ self.w_radius

    def require_symmetric(self) -> None:
        """Raises ModelError if f(-x, -a, -w) = -f(x, a, w) fails at a random point of |y| <= 1."""
        rng = np.random.default_rng(0)
        sizes = (self.scale, np.ones(self.model.action_size), np.abs(self.w_center) + self.w_radius)
        x, a, w = (rng.uniform(-1, 1, (_PROBES, len(size))) * size for size in sizes)
        with jax.enable_x64():
            step = jax.vmap(self.model.unit_step)
            there, mirrored = (
                np.asarray(step(*(sign * jnp.asarray(part) for part in (x, a, w))))
                for sign in (1.0, -1.0)
            )
        gap = np.abs(there + mirrored).max(axis=1) / (1 + np.abs(there).max(axis=1))
        worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
        if not gap[worst] <= 1e-9:
            raise ModelError(
                "`model` must be symmetric about the origin, f(-x, -a, -w) = -f(x, a, w), but "
                f"`{self.model.name}` deviates by {gap[worst]:.3g} (relative)"
                f" at x = {x[worst]}, a = {a[worst]}, w = {w[worst]}. Shift the coordinates so "
                "that the equilibrium is the origin, or pass `symmetric=False`."
            )
