"""What decides whether a step was safe, independently of the safeguard under trial."""

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._batches import in_batches
from ..certificates import Claim
from ..envs import ModelEnv
from ..models import Model
from ..safe_actions import ModelSystem

_FEW = 6  # disturbances, of which all vertices are tried
_BATCH = 8192  # states whose margins are computed at once
_UNIT = 2.0**-24  # of float32: half the distance of 1 to the next number


class Judge(abc.ABC):
    """The model, W and the safe states that are meant.

    Attributes:
        model: The one-step model.
        lower: Of W, shape (k,), float32.
        upper: Of W, shape (k,), float32.
        threshold: A state with a greater float32 margin has a positive margin in exact arithmetic.
        directions: Directions in which states may be pushed out, shape (m, n).
        digest: That of the claim, or None.
    """

    model: Model
    lower: np.ndarray
    upper: np.ndarray
    threshold: float
    directions: np.ndarray
    digest: str | None

    @abc.abstractmethod
    def margin(self, x: jax.Array) -> jax.Array:
        """The margin of a state, shape (n,), in float32 and inside jit. Shape ()."""

    @abc.abstractmethod
    def exact(self, x: np.ndarray) -> np.ndarray:
        """Margins of states of shape (N, n), in float64; -inf for a state that is not finite."""

    @abc.abstractmethod
    def candidates(self, x: jax.Array, action: jax.Array) -> jax.Array:
        """Disturbances in W, of which one is the worst for this action in [-1, 1]^d.

        Shape (V, k).
        """

    @abc.abstractmethod
    def sample(self, key: jax.Array) -> jax.Array:
        """A state that the guarantee covers, shape (n,)."""

    @abc.abstractmethod
    def covers(self, x: np.ndarray) -> np.ndarray:
        """Whether the guarantee covers episodes from the states, shape (N, n). Shape (N,), bool."""


class ClaimJudge(Judge):
    """S = {x : H x <= h}, W and the model of a claim; exact margins are computed by NumPy.

    In float32 a margin h_i - H_i x is computed from the stored numbers with n products and sums,
    so its error is at most g (|h_i| + sum_j |H_ij x_j|) with g = (n + 1) u / (1 - (n + 1) u) and
    u = 2^-24, in any order of summation. Let M be the largest of these sums over S. A state outside
    S is c + s (y - c) with the centre c, some y on a facet i of S, and s > 1; its exact margin
    there is at most -(s - 1) / 2, since margins count 1 from the centre up to rounding, and |x_j|
    is at most (2 s - 1) times what it is at most in S. So its float32 margin is at most
    g M - (s - 1) (1 / 2 - 2 g M), which is at most g M if 2 g M < 1 / 2. The threshold is 2 g M.
    """

    def __init__(self, claim: Claim, system: ModelSystem):
        S, W = claim.safe_state_set, claim.disturbance_set
        self.model, self.digest = system.model, claim.digest
        self.lower, self.upper = _bounds(W)
        self._H, self._h = (np.asarray(part) for part in S.halfspaces())
        self._H64, self._h64 = self._H.astype(np.float64), self._h.astype(np.float64)
        self.directions = self._H
        self._sample = system.sample_initial
        n = self.model.state_size
        reach = np.array([max(abs(S.support(e)), abs(S.support(-e))) for e in np.eye(n)])
        error = (n + 1) * _UNIT / (1 - (n + 1) * _UNIT)
        bound = 2 * error * float((np.abs(self._h64) + np.abs(self._H64) @ reach).max())
        self.threshold = bound if bound < 0.5 else np.inf
        few = self.model.disturbance_size <= _FEW
        self._vertices = W.vertices().astype(np.float32) if few else None

    def margin(self, x: jax.Array) -> jax.Array:
        # Elementwise sums: accelerators may round matrix products to 10 bits.
        return jnp.min(jnp.asarray(self._h) - jnp.sum(jnp.asarray(self._H) * x, axis=-1))

    def exact(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):
            margins = (self._h64 - np.asarray(x, np.float64) @ self._H64.T).min(axis=-1)
        return np.where(np.isfinite(margins), margins, -np.inf)

    def candidates(self, x: jax.Array, action: jax.Array) -> jax.Array:
        if self._vertices is not None:
            return jnp.asarray(self._vertices)
        # Too many vertices: for each facet the one that moves the state farthest towards it.
        E = self.model.affine(x).E
        pushes = jnp.sum(jnp.asarray(self._H)[:, :, None] * E, axis=1)
        return jnp.where(pushes > 0, jnp.asarray(self.upper), jnp.asarray(self.lower))

    def sample(self, key: jax.Array) -> jax.Array:
        return self._sample(key)

    def covers(self, x: np.ndarray) -> np.ndarray:
        return self.exact(x) >= 0


class MarginJudge(Judge):
    """The safe states of a system without a claim, by its margin in float64, and the environment's
    own W, model and starts.

    No error bound of the float32 margin is known, so that every state is judged in float64.
    """

    def __init__(self, env: ModelEnv):
        self.model, self.digest, self.threshold = env.model, None, np.inf
        self.lower, self.upper = _bounds(env.disturbance_set)
        n = self.model.state_size
        self.directions = np.concatenate([np.eye(n), -np.eye(n)]).astype(np.float32)
        self._env = env
        self._margins = in_batches(env.system.margin, _BATCH)
        self._admissible = in_batches(env.admissible, _BATCH)

    def margin(self, x: jax.Array) -> jax.Array:
        return self._env.system.margin(x)

    def exact(self, x: np.ndarray) -> np.ndarray:
        with jax.enable_x64():
            margins = self._margins(np.asarray(x, np.float64))
        finite = np.isfinite(margins) & np.isfinite(x).all(axis=-1)
        return np.where(finite, margins, -np.inf)

    def candidates(self, x: jax.Array, action: jax.Array) -> jax.Array:
        return self._env.adversaries(x, action)

    def sample(self, key: jax.Array) -> jax.Array:
        return self._env.sample_initial(key)

    def covers(self, x: np.ndarray) -> np.ndarray:
        return self._admissible(np.asarray(x, np.float32)) & (self.exact(x) >= 0)


def _bounds(box: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(box.lower, np.float32), np.asarray(box.upper, np.float32)
