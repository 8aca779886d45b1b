"""The system of a claim: rows and anchor of the safe action set at a state."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from numpy.typing import ArrayLike

from .._errors import CertificateError, SetDimensionError
from .._gate import as_state, function, one_of
from .._margins import tau
from .._one_line import count, one_line
from .._own import own
from .._products import dot, reduced
from ..certificates import (
    RESERVE,
    RESET_SHRINK,
    Block,
    Certificate,
    Claim,
    Guarantee,
    Guaranteed,
    guarantee_of,
)
from ..models import Commanded, Model
from ..sets import Box, Polytope, Triangulation, Zonotope
from ._action_set import SafeActionSet
from ._common import SystemOfModel
from ._product_anchor import ProductAnchor, ProductSampler
from ._stepped import StepTest
from ._virtual_rows import VirtualRows

Commands = Literal["actions", "virtual"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ModelSystem(SystemOfModel, Guaranteed):
    """The system of a claim: a model that is affine in action and disturbance, and a polytope that
    is to be invariant.

    The safe action set is exact (Walter et al. 2025, arXiv 2506.01665, with the support function of
    W): for the facet H_i x <= h_i and f = c + B a + E w it has the row
    H_i B a <= h_i - eps_i - H_i c - max_w H_i E w. Rows, margins and initial states are computed
    from states as seen from the claim's centre, so that float32 loses little where S lies far from
    the origin. For a model that is not affine give the claim
    about `models.enclosed(model, remainder)`.

    Args:
        promise: A `Claim`, or a `Certificate`, whose claim and record are taken. S, X, W, eps and
            the model are the claim's; nothing beside it decides safety.
        state: Reads x, shape (n,), from the environment's state.
        commands: "actions", or "virtual" for a claim in virtual inputs whose blocks have one input
            each: then the actions of this system are the virtual inputs v, from V, its model is
            `models.Commanded`, and its safe action sets are boxes, which need no solver. The same
            claim promises it: eps allows for the float32 action of v (`certificates.
            _virtual_rounding`).

    Attributes:
        claim: The claim.
        certificate: The certificate, if one was given, else None.
        model: The one-step model f of the claim, or the same plant commanded by virtual inputs.

    Raises:
        TypeError: If `promise` is something else, or `state` is no function.
        ValueError: If `commands` is unknown.
        CertificateError: If `commands="virtual"` and the claim is about a plant without virtual
            inputs, or a block has several of them.
    """

    promise: dataclasses.InitVar[Claim | Certificate]
    _: dataclasses.KW_ONLY
    state: Callable[[Any], Float[Any, " n"]]
    commands: Commands = "actions"
    claim: Claim = dataclasses.field(init=False)
    model: Model = dataclasses.field(init=False)
    certificate: Certificate | None = dataclasses.field(init=False)
    _initial: Triangulation | ProductSampler = dataclasses.field(init=False, repr=False)
    _generators: Zonotope | None = dataclasses.field(init=False, repr=False)
    _anchor: ProductAnchor | None = dataclasses.field(init=False, repr=False)
    _rows: VirtualRows | None = dataclasses.field(init=False, repr=False)
    _stays: StepTest = dataclasses.field(init=False, repr=False)

    def __post_init__(self, promise: Claim | Certificate):
        certificate = promise if isinstance(promise, Certificate) else None
        claim = promise.claim if isinstance(promise, Certificate) else promise
        if not isinstance(claim, Claim):
            raise TypeError(
                "The promise of a system must be a `Claim` or a `Certificate`, but it is a "
                f"`{type(promise).__name__}`. Write `ModelSystem(certificate, state=...)`."
            )
        object.__setattr__(self, "claim", claim)
        object.__setattr__(self, "certificate", certificate)
        one_of("commands", self.commands, get_args(Commands))
        object.__setattr__(self, "model", _commanded(claim, self.commands))
        function("state", self.state, "(environment's state) -> x, shape (n,)")
        inner = claim.centered_set.scaled(1 - RESET_SHRINK)
        blocks, rows = self.blocks, None
        if claim.virtual is not None:
            rows = VirtualRows(claim)
            initial = ProductSampler(blocks, inner, _seen_from(claim.constraint_set, claim.center))
        else:
            initial = ProductSampler(blocks, inner) if blocks else inner.triangulate()
        plain = bool(blocks) and rows is None
        anchor = ProductAnchor(blocks, np.asarray(self.safe_state_set.H)) if plain else None
        object.__setattr__(self, "_rows", rows)
        H, room = (np.asarray(part) for part in claim.centered_set.halfspaces())
        W, eps = claim.disturbance_set, claim.eps
        stays = StepTest(self.model, W, claim.center, H, room, eps, blocks)
        object.__setattr__(self, "_stays", stays)
        object.__setattr__(self, "_initial", initial)
        object.__setattr__(self, "_generators", _around(claim.center, claim.generators))
        object.__setattr__(self, "_anchor", anchor)

    def __repr__(self) -> str:
        found = f", certificate {self.certificate.name!r}" if self.certificate else ""
        sizes = f"{count(self.model.state_size, 'state')}, {count(self.action_size, 'action')}"
        facets = count(len(self.safe_state_set.H), "facet")
        return one_line(f"{type(self).__name__}({self.model.name!r}, {sizes}, {facets}{found})")

    @property
    def safe_state_set(self) -> Polytope:
        """S = {x : H x <= h} of the claim."""
        return self.claim.safe_state_set

    @property
    def center(self) -> Float[np.ndarray, " {self.model.state_size}"]:
        """The centre of S, where the margin is 1, shape (n,), read-only."""
        return self.claim.center

    @property
    def constraint_set(self) -> Box | Polytope:
        """X of the claim."""
        return self.claim.constraint_set

    @property
    def disturbance_set(self) -> Box:
        """W of the claim."""
        return self.claim.disturbance_set

    @property
    def eps(self) -> Float[np.ndarray, " m"]:
        """The claim's rounding allowance per facet, shape (m,), read-only."""
        return self.claim.eps

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The groups of states and actions that share out S, empty if it is no product."""
        return self.claim.blocks

    @property
    def generators(self) -> Zonotope | None:
        """The generators from which initial states can be drawn, or None."""
        return self.claim.generators

    @own
    @property
    def guarantee(self) -> Guarantee:
        """What stands behind the safe action sets. Whether an environment steps the model is
        another question.
        """
        if type(self) is not ModelSystem:
            by = f"`{type(self).__name__}` may change what `ModelSystem` computes from its claim"
            return Guarantee("tested", by)
        return guarantee_of(self.claim, self.certificate)

    @property
    def action_room(self) -> float:
        """By how much the rows may be tightened, in units of the action box, such that the claim
        still leaves a safe action at every state of S: 0 if the claim's gain is not known.
        """
        claim = self.claim
        if self.commands == "virtual":
            return 0.0  # the claim's gain is that of the actuators' actions
        slack = claim.margins - 2.0 * claim.eps.astype(np.float64) - RESERVE
        gain = claim.gain.astype(np.float64)
        room = np.where(gain > 0, slack / np.where(gain > 0, gain, 1.0), 0.0)
        return max(0.0, float(room.min()) - 2.0 * tau(self.action_size, np.float32))

    def safe_action_set(self, x: ArrayLike) -> SafeActionSet:
        """Rows (m, d) and (m,) of the safe action set at x, shape (n,), and its anchor. A set in
        virtual inputs has two rows for each of these (`_virtual_rows`), not one for each facet;
        commanded by them it is a box.

        Differentiable in x.
        """
        x = as_state("x", x, self.model.state_size)
        if self._rows is not None:
            virtual = self.commands == "virtual"
            return self._rows.box(x, self.action_units) if virtual else self._rows(x)
        A, b = self.facet_rows(x)
        if self._anchor is None:
            return SafeActionSet.from_rows(A, b)
        return SafeActionSet(A, b, self._anchor(A, b))

    @property
    def facets(self) -> int:
        """The number of facets of S if a safe action set has one row for each, else 0."""
        # A subclass may add rows of its own.
        plain = type(self).safe_action_set is ModelSystem.safe_action_set
        return len(self.safe_state_set.H) if plain and self._rows is None else 0

    def facet_rows(
        self,
        x: Float[jax.Array, " n"],
        facets: Int32[jax.Array, " r"] | Int[np.ndarray, " r"] | None = None,
    ) -> tuple[Float[jax.Array, "r d"], Float[jax.Array, " r"]]:
        """The rows of some facets at x, shapes (r, d) and (r,), of a system with `facets`.

        Args:
            x: State, shape (n,).
            facets: Which ones, shape (r,), also a NumPy array. Default: all in their order.
        """
        c, B, E = self.model.affine(x)
        H, room = self.claim.centered_set.halfspaces()
        offsets = room - self.eps
        if isinstance(facets, np.ndarray):  # constants stay constants
            H, offsets = np.asarray(H)[facets], np.asarray(offsets)[facets]
        H, offsets = jnp.asarray(H, c.dtype), jnp.asarray(offsets, c.dtype)
        if isinstance(facets, jax.Array):
            H, offsets = H[facets], offsets[facets]
        # By `_products`, one column after the other: rounded factors would void eps. The ends of an
        # interval, of one action, are found in many short loops over the rows.
        product = reduced if self.action_size == 1 else dot
        A = jnp.stack([product(H, column) for column in B.T], axis=1)
        middle, radius = (
            jnp.asarray(part, c.dtype)
            for part in (self.disturbance_set.center, self.disturbance_set.radius)
        )
        HE = [product(H, column) for column in E.T]
        worst = sum(
            (f * m + jnp.abs(f) * r for f, m, r in zip(HE, middle, radius, strict=True)),
            jnp.zeros_like(offsets),
        )
        return A, offsets - product(H, c - jnp.asarray(self.center, c.dtype)) - worst

    def stays(
        self, x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]
    ) -> Bool[jax.Array, ""]:
        """Whether the model's step with an action in [-1, 1]^d ends in S for every disturbance,
        by a second route beside the rows (`_stepped`). Shape ().

        Args:
            x: State, shape (n,).
            action: Shape (d,).
        """
        return self._stays(x, action)

    def margin(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """min_i (h_i - H_i x), shape (): 1 at the centre, 0 on the boundary."""
        x = as_state("x", x, self.model.state_size)
        return self.claim.centered_set.margin(x - jnp.asarray(self.center, x.dtype))

    def sample_initial(self, key: jax.Array) -> Float[jax.Array, " {self.model.state_size}"]:
        """A state uniform by volume in S shrunk by the factor 1 - 1e-4 about its centre, shape
        (n,).
        """
        return jnp.asarray(self.center) + self._initial.sample(key)

    def sample_generators(self, key: jax.Array) -> Float[jax.Array, " {self.model.state_size}"]:
        """A state c + G beta with beta uniform in the cube, moved towards the centre of S by the
        factor 1 - 1e-4, shape (n,).

        Raises:
            SetDimensionError: If the claim has no generators.
        """
        if self._generators is None:
            raise SetDimensionError(
                "The safe set has no generators to draw initial states from; use "
                "initial_states='uniform'."
            )
        return jnp.asarray(self.center) + (1 - RESET_SHRINK) * self._generators.sample(key)


def _commanded(claim: Claim, commands: Commands) -> Model:
    """The model whose actions are given."""
    if commands == "actions":
        return claim.model
    several = [block for block in claim.blocks if len(block.actions) > 1]
    if claim.virtual is None or claim.model.virtual is None or several:
        why = (
            f"the block of the states {list(several[0].states)} has "
            f"{count(len(several[0].actions), 'input')}, whose safe values are no box"
            if several and claim.model.virtual is not None
            else f"{claim.model.name!r} has none: its inputs are its actions"
        )
        raise CertificateError(
            "`commands='virtual'` needs a set that is kept in virtual inputs, with one input for "
            f"each block, but {why}. Write commands='actions'."
        )
    return Commanded(claim.model, claim.virtual.inputs)


def _seen_from(box: Box | Polytope, center: Float[np.ndarray, " n"]) -> Box:
    """A box of states as seen from a point, in float64."""
    assert isinstance(box, Box)
    return Box(
        *(np.asarray(end, np.float64) - center.astype(np.float64) for end in (box.lower, box.upper))
    )


def _around(center: Float[np.ndarray, " n"], generators: Zonotope | None) -> Zonotope | None:
    """The generators seen from the centre, in their dtype."""
    if generators is None or not np.any(center):
        return generators
    middle = np.asarray(generators.center, np.float64) - center
    return Zonotope(middle.astype(generators.center.dtype), generators.generators)
