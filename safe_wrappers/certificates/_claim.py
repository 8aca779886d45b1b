"""The claim: all that a promise of safety consists of, in one frozen object."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .._errors import CertificateError, ModelError, SetDimensionError
from .._gate import as_bound, as_integer, as_number
from .._margins import tau
from .._one_line import count, one_line
from .._read_only import ReadOnly
from ..models import EnclosedModel, Model, program_digest, require_affine
from ..sets import Box, Polytope, Zonotope
from ._block import Block, require_product
from ._center import as_center, offset_in_words, placed
from ._encoding import SET_FIELDS, encode_set
from ._room import seen_from
from ._rounding import rounding_bound
from ._virtual_blocks import VirtualBlocks, as_virtual_blocks, encode_virtual
from ._virtual_rounding import virtual_rounding_bound

SIGMA = 2e-4
# The entry of a file that only claims in virtual inputs have.
VIRTUAL = "virtual_inputs"
# The least allowance per facet. A tenth of it covers the residual of Brax's generalized pipeline
# and of MJX (at most 4e-7 of the set per step); more would move the boundary of the safe action set
# where an action has little authority.
MIN_EPS = 5e-6
# What is left of sigma beyond the rounding margins, so that a certified state has a float32 action
# with room to spare.
RESERVE = 1e-5
# The largest margin that rounding may ask for where the margin of a facet follows from it.
_MOST = 0.1
# How much larger than their sum the terms of a facet may be before a user is told.
_CANCELS = 20.0


@dataclasses.dataclass(frozen=True, eq=False)
class Claim(ReadOnly):
    """The claim that S is robust control invariant for a model, with a margin, and lies in X.

    For every x in S = {x : H x <= h} there is an action a in [-1, 1]^d with
    H f(x, a, w) <= h - sigma for all w in W; S lies in X; the float32 arithmetic of a safeguarded
    step is off by at most eps_i along the facet H_i; and the generators, if there are any, span a
    set inside S. A claim need not be true: `prove` decides that, and derives every field anew.
    Systems and environments take S, X, W and eps from a claim and from nowhere else.

    S may lie anywhere in the user's own coordinates. A point strictly inside it, its centre, gives
    margins their scale: they count 1 from the centre to each facet.

    The arrays are read-only copies in float32: the numbers that are proved are those that run.

    Args:
        model: The one-step model f with n states, d actions and k disturbances, affine in action
            and disturbance.
        safe_state_set: S, bounded and with an interior. Its rows are scaled such that
            h_i - H_i center = 1, then H, shape (m, n), is rounded to float32, and h = 1 + H center
            to the float32 number below. S = {x : H x <= h} with these stored numbers.
        constraint_set: X, dimension n. Infinite bounds of a box are allowed.
        disturbance_set: W, dimension k, bounded; it is rounded to float32.
        center: A point strictly inside S, shape (n,), rounded to float32. Default: the origin if it
            lies well inside, at least a tenth of the way across S from every facet, else the centre
            of volume. With the origin, S = {x : H x <= 1}.
        sigma: The margin to be proved, in the scale in which the centre has margin 1. With virtual
            inputs it is the least one: a facet whose rounding needs more gets more (`margins`).
        blocks: The groups of states and actions that share out S, if it is a product; then it is
            proved block by block, and anchors and initial states come block by block.
        generators: A zonotope whose copy, shrunk by the factor 1 - 1e-4 about `center`, lies in
            S; then initial states can be sampled in its generator space.
        virtual: The box V of virtual inputs and the linear form of each block, for a set that is
            proved in virtual inputs; then `blocks` share out these instead of the actions, and X is
            a bounded box.
        eps: Allowance for run-time rounding per facet, shape (m,). Default: the bound that is
            computed from the model's own operations, at least 5e-6. Give it only for a model whose
            operations have no rounding rule, or to read it from a file; `prove` refuses an
            allowance below the bound.
        gain: Bound of the Euclidean length of H_i B(x) over S, shape (m,). Default: computed with
            eps, or 0 if eps is given alone.

    Raises:
        SetDimensionError: If a set does not fit the model.
        ModelError: If the model is not affine in action and disturbance, or if its rounding cannot
            be bounded and `eps` is not given.
        CertificateError: If the parts do not fit together, `center` is not strictly inside S, S
            lies too far from the origin for float32, or sigma leaves no room for rounding.
    """

    model: Model
    _: dataclasses.KW_ONLY
    safe_state_set: Polytope
    constraint_set: Box | Polytope
    disturbance_set: Box
    center: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    sigma: float = SIGMA
    blocks: tuple[Block, ...] = ()
    generators: Zonotope | None = None
    virtual: VirtualBlocks | None = None
    eps: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    gain: np.ndarray = None  # pyright: ignore[reportAssignmentType]

    if TYPE_CHECKING:  # what the constructor takes is more than what the fields then hold

        def __init__(
            self,
            model: Model,
            *,
            safe_state_set: Polytope,
            constraint_set: Box | Polytope,
            disturbance_set: Box,
            center: ArrayLike | None = None,
            sigma: float = SIGMA,
            blocks: Sequence[Block] = (),
            generators: Zonotope | None = None,
            virtual: VirtualBlocks | None = None,
            eps: ArrayLike | None = None,
            gain: ArrayLike | None = None,
        ): ...

    def __post_init__(self):
        if not isinstance(self.model, Model):
            raise ModelError(
                f"`model` must be a `Model`, but it is a `{type(self.model).__name__}`. Write "
                "`sw.Model(name, step, ...)` around a step function."
            )
        n, k = self.model.state_size, self.model.disturbance_size
        for name, kinds, size in (
            ("safe_state_set", Polytope, n),
            ("constraint_set", (Box, Polytope), n),
            ("disturbance_set", Box, k),
            ("generators", (Zonotope, type(None)), n),
        ):
            _require_set(name, getattr(self, name), kinds, size, self.model.name)
        # A Brax step inside an enclosed model takes minutes to interpret, and could not change
        # the form c + B a + E w that stands around it.
        if not (isinstance(self.model, EnclosedModel) and self.model.affine_by_construction):
            require_affine(self.model)
        self._set("constraint_set", _plain(self.constraint_set))
        self._set("generators", None if self.generators is None else _plain(self.generators))
        self._set("disturbance_set", _bounded(self.disturbance_set))
        self._set("sigma", as_number("sigma", self.sigma, above=0.0))
        self._set("blocks", tuple(_block(block, self.model) for block in self.blocks))
        if self.blocks:
            require_product(self.blocks, self.safe_state_set, self.model.action_size)
        center = self.center
        if self.virtual is not None:
            size = self.model.action_size
            virtual = as_virtual_blocks(self.virtual, self.blocks, self.constraint_set, size)
            self._set("virtual", virtual)
            # The default centre needs vertices, of which these sets have too many.
            center = np.zeros(n) if center is None else center
        self._set("center", as_center(center, self.safe_state_set, self.blocks))
        self._set("safe_state_set", placed(self.safe_state_set, self.center))
        eps, gain = self._allowances()
        self._set("eps", eps)
        self._set("gain", gain)
        self._require_room()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _allowances(self) -> tuple[np.ndarray, np.ndarray]:
        facets = len(self.safe_state_set.H)
        if self.eps is not None:
            gain = np.zeros(facets) if self.gain is None else self.gain
            return _allowance("eps", self.eps, facets), _allowance("gain", gain, facets)
        try:
            eps, gain = self.rounding()
        except ModelError as error:
            raise ModelError(
                f"The rounding of the model {self.model.name!r} cannot be bounded: {error} "
                "Or give `eps`, of the order of 1e-5 for each facet; the guarantee is then tested, "
                "not proved."
            ) from error
        if not (np.isfinite(eps).all() and np.isfinite(gain).all()):
            raise ModelError(
                f"The rounding of the model {self.model.name!r} must have a bound over S, but some "
                "number in `step` may exceed 3.4e38, the largest one of float32, be divided by a "
                "number near 0, or be one for which a function is not defined. Use units in which "
                "numbers are moderate, or a smaller S."
            )
        # Rounded up: the float32 number that is used at run time must still be a bound.
        up = np.float32(np.inf)
        eps = np.nextafter(np.maximum(eps, MIN_EPS).astype(np.float32), up)
        gain = np.nextafter(gain.astype(np.float32), up)
        return _allowance("eps", eps, facets), _allowance("gain", gain, facets)

    def rounding(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the float32 errors and of the actions' effect along each facet, shapes (m,),
        computed anew.

        Raises:
            ModelError: Naming the primitive, if the model uses one without a rule.
        """
        if self.virtual is not None:
            return virtual_rounding_bound(
                self.model,
                self.virtual.inputs,
                self.blocks,
                self.centered_set,
                self.constraint_set,  # pyright: ignore[reportArgumentType]
                self.disturbance_set,
                self.center,
            )
        return rounding_bound(self.model, self.centered_set, self.disturbance_set, self.center)

    @functools.cached_property
    def margins(self) -> np.ndarray:
        """The margin to be proved at each facet, shape (m,), float64: sigma, or what rounding needs
        if a set in virtual inputs needs more.
        """
        if self.virtual is None:
            return np.full(len(self.eps), self.sigma)
        return np.maximum(self.sigma, self._needed())

    def _needed(self) -> np.ndarray:
        test = tau(self.model.action_size, np.float32) * self.gain.astype(np.float64)
        return 2.0 * self.eps.astype(np.float64) + 2.0 * test + RESERVE

    def _require_room(self) -> None:
        """With err_i <= eps_i the error of a row as computed, a certified state leaves the float32
        rows a slack of sigma - eps_i - err_i, less 2^-23 if the room had to be rounded down, of
        which the safeguards use 2 tau |H_i B|.
        """
        needed = self._needed()
        facet = int(needed.argmax())
        if self.virtual is not None:
            if not needed[facet] <= _MOST:
                raise CertificateError(
                    f"The rounding of the model {self.model.name!r} needs a margin of "
                    f"{needed[facet]:.3g} at facet {facet} of S, which is too much of a set whose "
                    "centre has margin 1. Give `Mechanical` the `armature` of its motors, use "
                    "units in which numbers are moderate, or a longer time step."
                )
            return
        if not self.sigma >= needed[facet]:
            raise CertificateError(
                f"`sigma` is {self.sigma:.3g}, but the rounding of the model {self.model.name!r} "
                f"needs at least 2 eps_i + 2 tau |H_i B| + {RESERVE:g} = {needed[facet]:.3g} at "
                f"facet {facet} of S; "
                + (offset_in_words(self.centered_set, self.center) or self._against_rounding(facet))
            )

    def _against_rounding(self, facet: int) -> str:
        """What makes float32 lose less at a facet."""
        row = self.safe_state_set.H[facet].astype(np.float64)
        reach = [max(map(self.safe_state_set.support, (e, -e))) for e in np.eye(len(row))]
        terms = float(np.abs(row) @ reach)
        if not _CANCELS < terms < np.inf:
            return "raise sigma, or scale the model's units so that float32 loses less."
        largest = np.flatnonzero(np.abs(row) * reach > terms / _CANCELS).tolist()
        return (
            f"there H_i x is a small difference of large numbers, of {terms:.3g} times its size, "
            f"in the states {largest}: make that difference a state of its own, such as the gap "
            "between two positions instead of the positions, or raise sigma."
        )

    @functools.cached_property
    def centered_set(self) -> Polytope:
        """S seen from its centre: {y : H y <= room}, with room = h - H center, rounded down where
        float32 does not hold it. What is computed from states at run time is computed from
        y = x - center.
        """
        return seen_from(self.safe_state_set, self.center, np.float32)

    @functools.cached_property
    def program(self) -> str:
        """SHA-256 of the program that runs: the float32 jaxprs of the model and their constants."""
        return program_digest(self.model)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of all numbers of the claim; `program` is that of its model."""
        canonical = json.dumps(self.numbers(), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    def numbers(self) -> dict[str, Any]:
        """All of the claim but the model, as JSON."""
        generators = None if self.generators is None else encode_set(self.generators)
        # Only where it says something: claims about sets around the origin keep their digests.
        center = {"center": [float(str(value)) for value in self.center]}
        return {
            **(center if np.any(self.center) else {}),
            "action_size": self.model.action_size,
            "safe_state_set": encode_set(self.safe_state_set),
            "constraint_set": encode_set(self.constraint_set),
            "disturbance_set": encode_set(self.disturbance_set),
            "sigma": self.sigma,
            "blocks": [{key: list(v) for key, v in b._asdict().items()} for b in self.blocks],
            "generators": generators,
            **({} if self.virtual is None else {VIRTUAL: encode_virtual(self.virtual)}),
            "eps": [float(str(value)) for value in self.eps],
            "gain": [float(str(value)) for value in self.gain],
        }

    def describe(self) -> str:
        """What is claimed, in a few lines: the size of S, X, W, sigma and eps."""
        S, X, W = self.safe_state_set, self.constraint_set, self.disturbance_set
        axes = np.eye(S.dim)
        reach = [(-S.support(-axis), S.support(axis)) for axis in axes]
        middle = ", ".join(f"{value:.4g}" for value in self.center)
        center = f", centre ({middle})" if np.any(self.center) else ""
        return "\n".join(
            [
                f"S     {len(S.H)} facets, x in {_ranges(reach)}{center}",
                f"X     {_bounds(X)}",
                f"W     {_bounds(W)}",
                f"sigma {self.sigma:.3g}, eps {self.eps.min():.3g} to {self.eps.max():.3g}",
                *([] if self.virtual is None else [f"V     {_bounds(self.virtual.inputs)}"]),
            ]
        )

    def __repr__(self) -> str:
        n, d, k = self.model.state_size, self.model.action_size, self.model.disturbance_size
        sizes = f"{count(n, 'state')}, {count(d, 'action')}, {count(k, 'disturbance')}"
        facets = count(len(self.safe_state_set.H), "facet")
        return one_line(f"Claim({self.model.name!r}, {sizes}, {facets}, sigma={self.sigma:g})")


def _require_set(name: str, value: Any, kinds: Any, size: int, model: str) -> None:
    if not isinstance(value, kinds):
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        names = " or a ".join(f"`{k.__name__}`" for k in kinds if k is not type(None))
        raise SetDimensionError(
            f"`{name}` must be a {names}, but it is a `{type(value).__name__}`."
        )
    if value is not None and value.dim != size:
        raise SetDimensionError(
            f"`{name}` must have dimension {size} for the model {model!r}, but it has {value.dim}."
        )


def _plain(value: Any) -> Any:
    """The set of the same numbers, read-only copies, of the library's own class: a subclass may
    answer for itself.
    """
    for kind, fields in SET_FIELDS.items():
        if isinstance(value, kind):
            return kind(*(np.asarray(getattr(value, field)) for field in fields))
    raise TypeError(f"A set must be a box, a polytope or a zonotope, but it is {value!r}.")


def _block(block: Any, model: Model) -> Block:
    """The block with indices that are integers: True and 1.0 are none, though they equal one."""
    sizes = model.state_size, model.action_size
    states, actions = (
        tuple(as_integer("blocks", index, 0, size) for index in indices)
        for indices, size in zip(block, sizes, strict=True)
    )
    return Block(states, actions)


def _bounded(disturbance_set: Box) -> Box:
    lower, upper = (
        np.asarray(bound, np.float32) for bound in (disturbance_set.lower, disturbance_set.upper)
    )
    if not np.isfinite([lower, upper]).all():
        raise CertificateError(
            f"`disturbance_set` must be bounded, but it is from {lower} to {upper}: no action "
            "withstands a disturbance without bounds. Give finite bounds."
        )
    return Box(lower, upper)


def _allowance(name: str, value: Any, facets: int) -> np.ndarray:
    """One number >= 0 per facet, float32: read-only, with a flag that cannot be set back."""
    return np.frombuffer(as_bound(name, value, (facets,)).tobytes(), np.float32)


def _bounds(value: Box | Polytope) -> str:
    if isinstance(value, Polytope):
        return f"{len(value.H)} facets"
    return _ranges(zip(np.asarray(value.lower), np.asarray(value.upper), strict=True))


def _ranges(pairs: Any) -> str:
    return " x ".join(f"[{low:.4g}, {high:.4g}]" for low, high in pairs) or "none"
