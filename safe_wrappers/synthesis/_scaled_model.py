"""The model in the coordinates of the synthesis: around a point, every component divided by its
scale.
"""

import copy
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import lsq_linear

from ..models import Model
from ..sets import Box

_PROBES = 64
# The model is as good as symmetric if it deviates by less, relative to the size of the state.
_SYMMETRIC = 1e-9


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


class Rest(NamedTuple):
    """The motion near the origin: y' - residual = A y + B (a - action) + E (w - w_center).

    Shapes: action (d,), in [-1, 1]; residual (n,), 0 if the origin is an equilibrium; A (n, n),
    B (n, d), E (n, k).
    """

    action: np.ndarray
    residual: np.ndarray
    A: np.ndarray
    B: np.ndarray
    E: np.ndarray


class ScaledSystem:
    """The model in coordinates y = (x - center) / scale, with its disturbance box.

    Numbers in and out are float64 NumPy.

    Args:
        model: x' = f(x, a, w), affine in (a, w).
        disturbance_set: Box of dimension k.
        center: Shape (n,).
        scale: Positive, shape (n,).
    """

    def __init__(self, model: Model, disturbance_set: Box, center: np.ndarray, scale: np.ndarray):
        self.model, self.center, self.scale = model, center, scale
        lower, upper = (
            np.asarray(disturbance_set.lower, np.float64),
            np.asarray(disturbance_set.upper, np.float64),
        )
        self.w_center, self.w_radius = (lower + upper) / 2, (upper - lower) / 2
        self._linearise = _linearised(model)

    def rescaled(self, scale: np.ndarray) -> "ScaledSystem":
        """The same system in other units."""
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
            parts = self._linearise(*map(jnp.asarray, (padded, self.center, self.scale)))
        return Linearisation(*(np.asarray(part)[:count] for part in parts))

    def spread(self, H: np.ndarray, E: np.ndarray, enlargement: float) -> np.ndarray:
        """max {H_i E_q w : w in W enlarged about its centre}, shape (Q, m), for rows H (m, n) and E
        (Q, n, k).
        """
        HE = np.einsum("mn,qnk->qmk", H, E)
        return HE @ self.w_center + enlargement * np.abs(HE) @ self.w_radius

    def rest(self) -> Rest:
        """The motion near the origin under the action that holds it best at the middle of W."""
        local = self.linearise(np.zeros((1, len(self.scale))))
        B, E = local.B[0], local.E[0]
        drift = local.c[0] + E @ self.w_center
        action = np.zeros(B.shape[1])
        if np.abs(drift).max() > 1e-12:
            action = lsq_linear(B, -drift, (-1.0, 1.0)).x
        return Rest(action, drift + B @ action, local.jacobian(action[None])[0], B, E)

    def asymmetry(self) -> str | None:
        """Where f(c - x, -a, -w) - c = -(f(c + x, a, w) - c) fails for c = `center`, at random
        points of |y| <= 1, in words; None if it holds at all of them.
        """
        rng = np.random.default_rng(0)
        sizes = (self.scale, np.ones(self.model.action_size), np.abs(self.w_center) + self.w_radius)
        x, a, w = (rng.uniform(-1, 1, (_PROBES, len(size))) * size for size in sizes)
        with jax.enable_x64():
            step = jax.vmap(self.model.unit_step)
            there, mirrored = (
                np.asarray(step(*map(jnp.asarray, (self.center + sign * x, sign * a, sign * w))))
                - self.center
                for sign in (1.0, -1.0)
            )
        gap = np.abs(there + mirrored).max(axis=1) / (1 + np.abs(there).max(axis=1))
        worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
        if gap[worst] <= _SYMMETRIC:
            return None
        return (
            f"f(c - x, -a, -w) - c = -(f(c + x, a, w) - c) for c = `center` = {self.center}, but "
            f"`{self.model.name}` deviates by {gap[worst]:.3g} (relative) at x = {x[worst]}, "
            f"a = {a[worst]}, w = {w[worst]}"
        )


@functools.lru_cache(maxsize=8)
def _linearised(model: Model):
    """The compiled affine form and its derivative, for many states: searches of one model share
    it.
    """

    def affine(y, center, scale):
        c, B, E = model.affine(center + y * scale)
        return (c - center) / scale, B / scale[:, None], E / scale[:, None]

    def linearise(y, center, scale):
        slopes = jax.jacfwd(lambda z: affine(z, center, scale)[:2])(y)
        return (*affine(y, center, scale), *slopes)

    return jax.jit(jax.vmap(linearise, in_axes=(0, None, None)))
