"""What a system claims about one step, and how a step that was taken compares with it."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy.typing import ArrayLike

from .._errors import CertificateError
from .._gate import as_bound, shown
from .._read_only import ReadOnly
from ..models import EnclosedModel, Model
from ..sets import Box
from ._model_system import ModelSystem
from ._protocol import System
from ._zonotope_system import ZonotopeSystem


class Explanation(NamedTuple):
    """A step as the model sees it: x' = c(x) + B(x) a + E(x) w + r.

    Attributes:
        disturbance: w, by least squares in the scale of the safe set; beyond the disturbance that
            the simulator drew, if that is known. Shape (k,).
        unexplained: r, what no disturbance of any size explains. Shape (n,).
        excess: What the disturbance in W nearest to that of the step leaves unexplained, in units
            of the allowance: the step is covered if it is at most 1. NaN if the step is not finite.
            Shape ().
        least_excess: The same with a disturbance of any size. Above 1, no disturbance set covers
            the step. Shape ().
    """

    disturbance: Float[jax.Array, " k"]
    unexplained: Float[jax.Array, " n"]
    excess: Float[jax.Array, ""]
    least_excess: Float[jax.Array, ""]

    @property
    def modelled(self) -> Bool[jax.Array, ""]:
        """Whether W covers the step; not if it is not finite. Shape (), bool."""
        return self.excess <= 1


@dataclasses.dataclass(frozen=True, eq=False)
class StepCheck(ReadOnly):
    """The claim x' in c(x) + B(x) a + E(x) W + R, where R = {r : N r <= allowance} has room for
    rounding, and for a remainder if there is one.

    It is what invariance rests on. Of S = {x : N (x - c_s) <= 1} the safe action set keeps N_i (c +
    B a + E w - c_s) <= 1 - eps_i for all w in W; a step with x' = c + B a + E w + r, w in W and N_i
    r <= eps_i therefore ends in S, in exact arithmetic. A model that is not affine has rows that
    are tighter by |N_i| remainder(x), and R is as much larger.

    Args:
        model: f = c + B a + E w, n states, d actions, k disturbances.
        disturbance_set: W, shape (k,).
        facets: N, float64, shape (m, n), such that R is bounded.
        allowance: Positive, shape (m,).
        remainder: x (n,) -> half-widths (n,) of what the model leaves over that is not affine.
    """

    model: Model
    disturbance_set: Box
    facets: Float64[np.ndarray, "m n"]
    allowance: Float64[np.ndarray, " m"]
    remainder: Callable[[Float[jax.Array, " n"]], Float[jax.Array, " n"]] | None = None
    _metric: Float64[np.ndarray, "n n"] = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        if not np.all(self.allowance > 0):
            raise CertificateError(
                "Rounding needs some room, but the system's `eps` is not "
                "positive; give eps > 0, of the order of 1e-5."
            )
        # |metric v| is the root mean square of N v, at the cost of n rows instead of m.
        object.__setattr__(
            self, "_metric", np.linalg.cholesky(self.facets.T @ self.facets / len(self.facets)).T
        )

    @property
    def metric(self) -> Float64[np.ndarray, "n n"]:
        """The scale in which the disturbance of a step is found by least squares, shape (n, n):
        |metric v| is the root mean square of N v.
        """
        return self._metric

    @classmethod
    def of(cls, system: System, share: float = 1.0) -> "StepCheck":
        """The claim of a system with a model, a disturbance set and a polytope or zonotope of safe
        states.

        Args:
            system: A `ModelSystem` or `ZonotopeSystem`.
            share: Which part of the system's eps is allowed for.

        Raises:
            CertificateError: If it has no model or no allowance for rounding.
        """
        if not isinstance(system, ModelSystem | ZonotopeSystem):
            raise CertificateError(
                "A step is compared with a model, a disturbance set and a safe set, but "
                f"`{type(system).__name__}` does not have them; "
                "use a `ModelSystem` or a `ZonotopeSystem`."
            )
        H, h = (np.asarray(value, np.float64) for value in system.safe_state_set.halfspaces())
        facets = H / (h - H @ system.center.astype(np.float64))[:, None]
        allowance = share * np.broadcast_to(np.asarray(system.eps, np.float64), len(facets))
        model, W = system.model, system.disturbance_set
        if isinstance(model, EnclosedModel):
            W = model.inner_disturbances(W)
            return cls(model.inner, W, facets, allowance, model.half_widths)
        return cls(model, W, facets, allowance)

    @classmethod
    def per_state(cls, model: Model, disturbance_set: Box, allowance: ArrayLike) -> "StepCheck":
        """The claim with an allowance for each state, shape (n,) or (), in its unit: for systems
        without a polytope of safe states.

        Raises:
            SetDimensionError: If the shape is another one, or a number is negative or not finite.
            CertificateError: If an allowance is 0.
        """
        n = model.state_size
        bound = as_bound("allowance", allowance, (n,))
        if not np.all(bound > 0):
            raise CertificateError(
                f"`allowance` is {shown(allowance)}, but rounding needs some room: give more than "
                "0 for each state."
            )
        eye = np.eye(n)
        return cls(
            model,
            disturbance_set,
            np.concatenate([eye, -eye]),
            np.tile(bound.astype(np.float64), 2),
        )

    def explain(
        self,
        x: Float[jax.Array, " n"],
        action: Float[jax.Array, " d"],
        next_x: Float[jax.Array, " n"],
        drawn: Float[jax.Array, " k"] | None = None,
    ) -> Explanation:
        """Compares one step with the claim. Unbatched, jit-able, in the dtype of x.

        Without `drawn` the whole difference from the undisturbed model must fit into W. With it the
        simulator has used W up by itself: then `drawn` must lie in W and explain the step up to the
        allowance, and `disturbance` is the model's error.

        Args:
            x: State before the step, shape (n,).
            action: The executed action, shape (d,).
            next_x: State after it, shape (n,).
            drawn: The disturbance that the simulator reports to have drawn, shape (k,).
        """
        with jax.default_matmul_precision("highest"):
            c, B, E = self.model.affine(x)
            residual = next_x - c - B @ action.astype(x.dtype)
            rest = residual if drawn is None else residual - E @ drawn
            metric = jnp.asarray(self._metric, x.dtype)
            disturbance = _least_squares(metric @ E, metric @ rest)
            unexplained = rest - E @ disturbance
            lower, upper = (
                jnp.asarray(bound, x.dtype)
                for bound in (self.disturbance_set.lower, self.disturbance_set.upper)
            )
            nearest = jnp.clip(disturbance if drawn is None else drawn, lower, upper)
            return Explanation(
                disturbance,
                unexplained,
                self._excess(x, residual - E @ nearest),
                self._excess(x, unexplained),
            )

    def monitor(
        self,
        x: Float[jax.Array, " n"],
        action: Float[jax.Array, " d"],
        next_x: Float[jax.Array, " n"],
    ) -> Explanation:
        """`explain` as a constant for derivatives: what wrappers report of a step."""
        return self.explain(*jax.lax.stop_gradient((x, action, next_x)))

    def nothing(self) -> Explanation:
        """What wrappers report before the first step: no disturbance, nothing unexplained."""
        zero = jnp.zeros(())
        return Explanation(
            jnp.zeros(self.model.disturbance_size), jnp.zeros(self.model.state_size), zero, zero
        )

    def _excess(
        self, x: Float[jax.Array, " n"], rest: Float[jax.Array, " n"]
    ) -> Float[jax.Array, ""]:
        facets, allowance = (
            jnp.asarray(self.facets, rest.dtype),
            jnp.asarray(self.allowance, rest.dtype),
        )
        if self.remainder is not None:
            allowance = allowance + jnp.abs(facets) @ self.remainder(x).astype(rest.dtype)
        return jnp.max(facets @ rest / allowance)


def _least_squares(A: Float[jax.Array, "n k"], b: Float[jax.Array, " n"]) -> Float[jax.Array, " k"]:
    """The shortest minimiser of |A w - b|, in units in which the columns of A (n, k) have length 1.

    Shape (k,).
    """
    length = jnp.sqrt(jnp.sum(A * A, axis=0))
    unit = jnp.where(length > 0, length, 1.0)
    if A.shape[1] == 1:  # the common case, without a decomposition
        return (A[:, 0] / unit) @ b / unit
    return jnp.linalg.pinv(A / unit[None]) @ b / unit
