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

    Shapes: c (Q, n), B (Q, n, d), E (Q, n, k), dc (Q, n, n), dB (Q, n, d, n); the last axis of dc and dB is y.
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
    """The model in coordinates y = x / scale, with its disturbance box. Numbers in and out are float64 NumPy.

    Args:
        model: x' = f(x, a, w), affine in (a, w).
        disturbance_set: Box of dimension k.
        scale: Positive, shape (n,).
    """

    def __init__(self, model: Model, disturbance_set: Box, scale: np.ndarray):
        self.model, self.scale = model, scale
        lower, upper = np.asarray(disturbance_set.lower, np.float64), np.asarray(disturbance_set.upper, np.float64)
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
        # The number of sample points changes with the polytope: padding to powers of two keeps the compilations few.
        count = len(y)
        padded = np.zeros((1 << max(6, (count - 1).bit_length()), y.shape[1]))
        padded[:count] = y
        with jax.enable_x64():
            parts = self._linearise(jnp.asarray(padded), jnp.asarray(self.scale))
        return Linearisation(*(np.asarray(part)[:count] for part in parts))

    def step(self, x: np.ndarray, action: np.ndarray, disturbance: np.ndarray) -> np.ndarray:
        """f in its own coordinates, float64, for one state."""
        with jax.enable_x64():
            return np.asarray(self.model(*(jnp.asarray(part, jnp.float64) for part in (x, action, disturbance))))

    def spread(self, F: np.ndarray, E: np.ndarray, enlargement: float) -> np.ndarray:
        """max {F_i E_q w : w in W enlarged about its centre}, shape (Q, m), for rows F (m, n) and E (Q, n, k)."""
        FE = np.einsum("mn,qnk->qmk", F, E)
        return FE @ self.w_center + enlargement * np.abs(FE) @ self.w_radius

    def require_symmetric(self) -> None:
        """Raises ModelError if f(-x, -a, -w) = -f(x, a, w) fails at a random point of |y| <= 1."""
        rng = np.random.default_rng(0)
        w_max = np.abs(self.w_center) + self.w_radius
        for _ in range(_PROBES):
            x, a, w = (rng.uniform(-1, 1, size) for size in (len(self.scale), self.model.action_size, len(w_max)))
            x, w = x * self.scale, w * w_max
            there, mirrored = self.step(x, a, w), self.step(-x, -a, -w)
            gap = np.abs(there + mirrored).max()
            if not gap <= 1e-9 * (1 + np.abs(there).max()):
                raise ModelError(
                    f"`model` must be symmetric about the origin, f(-x, -a, -w) = -f(x, a, w), but `{self.model.name}` deviates by {gap:.3g}"
                    f" at x = {x}, a = {a}, w = {w}. Shift the coordinates so that the equilibrium is the origin, or pass `symmetric=False`."
                )
