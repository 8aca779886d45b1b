"""A system given by a model and a polytope that is to be invariant."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import SetDimensionError
from ..certificates import Block, Certificate
from ..models import Model, Remainder, require_affine
from ..sets import Box, Polytope, Triangulation, Zonotope
from ._action_set import SafeActionSet
from ._product_anchor import ProductAnchor, ProductSampler

# Resets lie in (1 - RESET_SHRINK) S, so that the rounding of a sampled state cannot put it outside
# S.
RESET_SHRINK = 1e-4


@dataclasses.dataclass(frozen=True, eq=False)
class ModelSystem:
    """A system given by a model that is affine in action and disturbance, or near it, and a
    polytope that is to be invariant.

    The safe action set is exact (Walter et al. 2025, arXiv 2506.01665, with the support function of
    W): for the facet H_i x <= h_i and f = c + B a + E w it has the row H_i B a <= h_i - eps_i - H_i
    c - max_w H_i E w. With a remainder,
    |f - (c + B a + E w)| <= r, the row's right-hand side is smaller by |H_i| r.

    Args:
        model: The one-step model f.
        safe_state_set: S, a polytope {H x <= 1} around the origin (rescaled to h = 1 if it is not).
        disturbance_set: W, shape (k,).
        constraint_set: X, the state constraints; infinite bounds are allowed.
        state: Reads x from the environment's state.
        eps: Rounding allowance per facet, shape (m,), in the scale h = 1.
        certificate: The proof's data, or None: then the guarantee is tested, not proved.
        remainder: r >= 0 of a model that is not affine, for all x in S, actions and w in W: shape
            (n,), or a function x -> (n,). With it nothing is proved; to prove a set for such a
            model, see `models.enclosed`.
        zonotope: S in generator form, if it has one.
        blocks: The groups of states and actions that share out S, if it is a product; then anchors
            and initial states come block by block.

    Raises:
        SetDimensionError: If the sets or the remainder do not fit the model or the origin is not
            inside S.
        ModelError: If the model is not affine in action and disturbance, as its jaxpr says, and
            there is neither a remainder nor a certificate.
    """

    model: Model
    safe_state_set: Polytope
    disturbance_set: Box
    constraint_set: Box | Polytope
    state: Callable[[Any], jax.Array]
    eps: np.ndarray | float = 2e-5
    certificate: Certificate | None = None
    remainder: Remainder | None = None
    zonotope: Zonotope | None = None
    blocks: tuple[Block, ...] = ()
    _initial: Triangulation | ProductSampler = dataclasses.field(init=False, repr=False)
    _anchor: ProductAnchor | None = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        n, k = self.model.state_size, self.model.disturbance_size
        for name, found, needed in (
            ("safe_state_set", self.safe_state_set.dim, n),
            ("constraint_set", self.constraint_set.dim, n),
            ("disturbance_set", self.disturbance_set.dim, k),
        ):
            if found != needed:
                raise SetDimensionError(
                    f"`{name}` must have dimension {needed} for the model "
                    f"{self.model.name!r}, but it has {found}."
                )
        if self.remainder is None and self.certificate is None:
            require_affine(self.model)
        if self.remainder is not None and not callable(self.remainder):
            r = np.asarray(self.remainder, np.float32)
            if r.shape != (n,) or not np.all(r >= 0) or not np.all(np.isfinite(r)):
                raise SetDimensionError(
                    f"`remainder` must hold {n} finite half-widths, none of them negative, for the "
                    f"model {self.model.name!r}, but it is {r}."
                )
            object.__setattr__(self, "remainder", r)
        H, h = self.safe_state_set.halfspaces()
        if not np.all(np.asarray(h) == 1):
            object.__setattr__(self, "safe_state_set", self.safe_state_set.normalised())
        H, h = (np.asarray(value, np.float32) for value in self.safe_state_set.halfspaces())
        object.__setattr__(self, "safe_state_set", Polytope(H, h))
        object.__setattr__(self, "eps", np.broadcast_to(np.asarray(self.eps, np.float32), h.shape))
        inner = self.safe_state_set.scaled(1 - RESET_SHRINK)
        object.__setattr__(
            self,
            "_initial",
            ProductSampler(self.blocks, inner) if self.blocks else inner.triangulate(),
        )
        object.__setattr__(self, "_anchor", ProductAnchor(self.blocks, H) if self.blocks else None)

    @classmethod
    def from_certificate(
        cls, certificate: Certificate, model: Model, state: Callable[[Any], jax.Array]
    ) -> "ModelSystem":
        """The system that a certificate speaks about.

        Raises:
            CertificateError: If the certificate is about another model.
        """
        certificate.check(model)
        return cls(
            model=model,
            safe_state_set=certificate.safe_state_set,
            disturbance_set=certificate.disturbance_set,
            constraint_set=certificate.constraint_set,
            state=state,
            eps=certificate.eps,
            certificate=certificate,
            zonotope=certificate.zonotope,
            blocks=certificate.blocks,
        )

    @property
    def guarantee(self) -> str:
        """What stands behind the safe action sets, in one line.

        Whether an environment steps the model is another question.
        """
        if self.certificate is None or self.remainder is not None:
            return (
                "tested, not proved: no certificate speaks about the rows of the model "
                f"{self.model.name!r}"
            )
        return (
            f"certified for the model {self.model.name!r} by {self.certificate.name!r}, which "
            "`safe_wrappers.certificates.prove` proves or refutes"
        )

    @property
    def action_size(self) -> int:
        return self.model.action_size

    @property
    def neutral_action(self) -> jax.Array:
        return jnp.zeros(self.model.action_size, jnp.float32)

    def safe_action_set(self, x: jax.Array) -> SafeActionSet:
        """Rows (m, d) and (m,) of the safe action set at x, shape (n,), and its anchor.

        Differentiable in x.
        """
        c, B, E = self.model.affine(x)
        H, h = self.safe_state_set.halfspaces()
        # Elementwise sums instead of matrix products: accelerators may round products to 10 bits
        # (TF32), which would void eps; on a CPU the sums fuse into one loop.
        A = jnp.sum(H[:, :, None] * B, axis=1)
        HE = jnp.sum(H[:, :, None] * E, axis=1)
        center, radius = self.disturbance_set.center, self.disturbance_set.radius
        worst = jnp.sum(HE * center + jnp.abs(HE) * radius, axis=1)
        b = jnp.asarray(h - self.eps) - jnp.sum(H * c, axis=1) - worst
        if self.remainder is not None:
            r = (
                self.remainder(x)
                if callable(self.remainder)
                else jnp.asarray(self.remainder, x.dtype)
            )
            b = b - jnp.sum(jnp.abs(H) * r, axis=1)
        return (
            SafeActionSet(A, b, self._anchor(A, b))
            if self._anchor
            else SafeActionSet.from_rows(A, b)
        )

    def fallback(self, x: jax.Array) -> jax.Array:
        """The action of largest margin at x, shape (d,)."""
        return self.safe_action_set(x).anchor

    def margin(self, x: jax.Array) -> jax.Array:
        """min_i (1 - H_i x), shape ()."""
        return self.safe_state_set.margin(x)

    def violation(self, x: jax.Array) -> jax.Array:
        """1 if x lies outside X, else 0, float32, shape ()."""
        return 1.0 - self.constraint_set.contains(x).astype(jnp.float32)

    def sample_initial(self, key: jax.Array) -> jax.Array:
        """A state uniform by volume in (1 - 1e-4) S, shape (n,)."""
        return self._initial.sample(key)

    def sample_generators(self, key: jax.Array) -> jax.Array:
        """A state c + G beta with beta uniform in the cube, shape (n,); needs a zonotope.

        Raises:
            SetDimensionError: If S has no generator form.
        """
        if self.zonotope is None:
            raise SetDimensionError(
                "Sampling in generator space needs a zonotope, but this safe "
                "set has none; use initial_states='uniform'."
            )
        return (1 - RESET_SHRINK) * self.zonotope.sample(key)
