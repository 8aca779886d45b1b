"""Synthesis of large robust control invariant polytopes, from dynamics to float32 facets."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .._errors import ModelError, SetDimensionError
from .._gate import as_flag, as_integer, as_numbers, instance_of
from .._one_line import count, one_line, rows_by_columns
from .._status_line import StatusLine
from ..models import Model, require_affine, require_known_operations
from ..sets import Box, Polytope
from ._failure import in_words
from ._limits import Limits, extent, require_inside
from ._problem import Problem
from ._progress import Progress
from ._scaled_model import ScaledSystem
from ._search import Search, volume_of
from ._slp import Schedule
from ._start import lqr_ellipsoid

_MARGIN_IN_THE_PLANE = 1e-3
_MARGIN = 2e-3


@dataclasses.dataclass(frozen=True, repr=False)
class SynthesisResult:
    """A candidate for a robust control invariant set. Nothing is proved about it yet.

    Attributes:
        safe_state_set: {x : H (x - center) <= 1}, inside the constraint set; H is float32.
        center: The point around which the set was built, strictly inside it, shape (n,).
        volume: Its volume in the units of x.
        margin: The smallest value of max_a min_{i, w} (1 - H_i (f(x, a, w) - center)) found at
            random boundary points x in float64.
        iterations: Number of quadratic programs solved.
        seconds: Wall-clock time.
        settings: The keyword arguments of `synthesise` that reproduce it; JSON, unless there was a
            warm start or a counterexample.
    """

    safe_state_set: Polytope
    center: np.ndarray
    volume: float
    margin: float
    iterations: int
    seconds: float
    settings: dict[str, Any]

    def __repr__(self) -> str:
        facets = rows_by_columns(self.safe_state_set.H, "facet", "dimension")
        return one_line(
            f"SynthesisResult({facets}, volume {self.volume:.4g}, margin {self.margin:.3g}, "
            f"{count(self.iterations, 'iteration')}; not proved)"
        )


def synthesise(
    model: Model,
    constraint_set: Box | Polytope,
    disturbance_set: Box,
    *,
    facets: int,
    center: np.ndarray | None = None,
    start_facets: int | None = None,
    seeds: int = 4,
    disturbance_scale: float = 1.5,
    margin: float | None = None,
    symmetric: bool | None = None,
    warm_start: Polytope | None = None,
    counterexamples: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    iterations: int = 400,
    gain: float = 1e-4,
    provable: bool = True,
    progress: bool | Callable[[str], None] = True,
) -> SynthesisResult:
    """Searches for a large polytope S in the constraint set from which an action keeps every next
    state in S.

    The facet normals are optimised for volume by sequential quadratic programming, with the
    invariance condition at the vertices, on the edges and in the facets (vertex SLP). It starts
    from polytopes around an LQR ellipsoid, one for each seed, takes the best, and adds facets one
    pair at a time where they help most. This is a local heuristic that checks sample points only:
    prove the result before relying on it, and pass a counterexample back with the same settings.

    Args:
        model: x' = f(x, a, w), affine in (a, w).
        constraint_set: S must lie in it, dimension n. It need not be bounded.
        disturbance_set: All w, dimension k.
        facets: Most facets of S.
        center: A state strictly inside the constraint set around which S is built, shape (n,). Best
            is one that an action can hold, deep inside. Default: the origin.
        start_facets: Facets before growth, by default at most 4 n. Starting with many facets gives
            smaller sets.
        seeds: Number of random starts. Their results differ much when n > 2.
        disturbance_scale: The search sees the disturbance box enlarged by this factor, which covers
            what happens between the sample points. It costs volume: where the disturbance is
            nearly as strong as the actions, most of it.
        margin: The search asks for H_i (x' - center) <= 1 - margin at its sample points, and keeps
            half of this margin in the result. Default: 1e-3 with two states, else 2e-3.
        symmetric: Whether S is its own mirror image about `center`, which halves the unknowns.
            Default: whether constraints, disturbances and model are symmetric about it.
        warm_start: Start from this set instead of from seeds, for example to widen the constraint
            set or to add facets. It contains `center`.
        counterexamples: States, shape (r, n), through whose rays from `center` the boundary is
            sampled as well.
        scale: Typical size of each state component, shape (n,); by default how far the constraint
            set reaches from `center`, or the LQR ellipsoid.
        iterations: Most quadratic programs of one start; a growth step takes at most a quarter.
        gain: The share by which a further facet, or pair of facets, must enlarge the volume.
        provable: Whether the model must be one that a proof can follow, which is found out before
            the search: see `models.require_known_operations`. Without it, a set can be found
            and *tested* for any model that is affine in action and disturbance.
        progress: Whether the terminal shows what is being done, or a function that is called with
            a line of text whenever that changes.

    Raises:
        TypeError: If an argument has a wrong type.
        ModelError: If the model is not affine, has an operation that no proof can follow, or is not
            symmetric though `symmetric` is set.
        SetDimensionError: If sizes do not fit, `center` is not inside the constraint set, or a set
            is not symmetric though `symmetric` is set.
        SynthesisError: If no start led to an invariant set, with the reason if it is known.
    """
    if margin is None:
        margin = _MARGIN_IN_THE_PLANE if model.state_size == 2 else _MARGIN
    settings = {
        "facets": facets,
        "center": center,
        "start_facets": start_facets,
        "seeds": seeds,
        "disturbance_scale": disturbance_scale,
        "margin": margin,
        "symmetric": symmetric,
        "warm_start": warm_start,
        "counterexamples": counterexamples,
        "scale": scale,
        "iterations": iterations,
    }
    began = time.perf_counter()
    center = _center(model, constraint_set, disturbance_set, center)
    require_affine(model)
    if as_flag("provable", provable):
        require_known_operations(model)
    problem = _problem(model, constraint_set, disturbance_set, center, settings)
    settings["symmetric"] = problem.symmetric
    _require_facets(facets, model.state_size, problem.symmetric)
    unit = float(problem.system.scale.prod())
    with StatusLine(progress is True) as line:
        show = progress if callable(progress) else lambda text: line.show(f"{model.name}: {text}")
        search = Search(problem, Schedule(iterations=iterations), Progress(show, unit), gain)
        if warm_start is None:
            search.from_seeds(seeds, min(facets, start_facets or 4 * model.state_size))
        else:
            search.from_set(warm_start, facets)
        search.grow(facets)
        safe_state_set, smallest = search.checked()
    volume, seconds = volume_of(np.asarray(safe_state_set.H)), time.perf_counter() - began
    return SynthesisResult(
        safe_state_set, center, volume, smallest, search.count, seconds, settings
    )


def _problem(
    model: Model,
    constraint_set: Box | Polytope,
    disturbance_set: Box,
    center: np.ndarray,
    settings: dict[str, Any],
) -> Problem:
    n = model.state_size
    system = ScaledSystem(model, disturbance_set, center, np.ones(n))
    bound = extent(constraint_set, center)
    if settings["scale"] is not None:
        scale = np.broadcast_to(np.asarray(settings["scale"], np.float64), n)
    elif np.isinf(bound).any():
        P = lqr_ellipsoid(system, Limits.of(constraint_set, center, np.ones(n)))
        scale = np.where(np.isinf(bound), np.sqrt(np.diag(np.linalg.inv(P))), bound)
    else:
        scale = bound
    system, limits = system.rescaled(scale), Limits.of(constraint_set, center, scale)
    counterexamples = settings["counterexamples"]
    return Problem(
        system=system,
        limits=limits,
        enlargement=settings["disturbance_scale"],
        margin=settings["margin"],
        per_edge=7 if n == 2 else 1,
        rays=np.zeros((0, n))
        if counterexamples is None
        else (np.asarray(counterexamples, np.float64).reshape(-1, n) - center) / scale,
        symmetric=_symmetric(system, limits, settings["symmetric"]),
    )


def mirror_symmetric(
    model: Model, constraint_set: Box | Polytope, disturbance_set: Box, center: np.ndarray
) -> bool:
    """Whether constraints, disturbances and model are their own mirror images about a point, so
    that the search may take the safe set to be.

    Args:
        model: x' = f(x, a, w).
        constraint_set: X, dimension n.
        disturbance_set: W.
        center: The point, shape (n,).
    """
    center = np.asarray(center, np.float32).astype(np.float64)
    bound = extent(constraint_set, center)
    scale = np.where(np.isfinite(bound), bound, 1.0)
    system = ScaledSystem(model, disturbance_set, center, scale)
    return _symmetric(system, Limits.of(constraint_set, center, scale), None)


def _symmetric(system: ScaledSystem, limits: Limits, wanted: bool | None) -> bool:
    """Whether a mirror-symmetric set is to be searched.

    Raises:
        ModelError: If it is wanted, but the model is not symmetric.
        SetDimensionError: If it is wanted, but the constraints or disturbances are not.
    """
    if wanted is False:
        return False
    lopsided, disturbances = limits.lopsided(), system.w_center.any()
    if wanted is None:
        return not (lopsided or disturbances or system.asymmetry())
    remedy = "Pass `symmetric=False`, or leave it out, and it is decided from the problem."
    if lopsided:
        row, low, high = lopsided
        main = np.abs(row).argmax()
        unit = system.scale[main] / row[main]  # of the formula, in which `main` has the factor 1
        ends = sorted((low * unit, high * unit))
        raise SetDimensionError(
            "The constraints must be symmetric about `center` for a symmetric set, but "
            f"{in_words(system, row)} may go from {ends[0]:.4g} to {ends[1]:.4g} about it, of "
            f"which a symmetric set can use {min(np.abs(ends)):.4g} to each side. {remedy}"
        )
    if disturbances:
        low, high = (system.w_center + sign * system.w_radius for sign in (-1, 1))
        raise SetDimensionError(
            "The disturbances must be symmetric for a symmetric set, but their bounds are "
            f"{low} and {high}. {remedy}"
        )
    found = system.asymmetry()
    if found:
        raise ModelError(
            f"`model` must be symmetric about `center` for a symmetric set: {found}. {remedy}"
        )
    return True


def _center(
    model: Model,
    constraint_set: Box | Polytope,
    disturbance_set: Box,
    center: np.ndarray | None,
) -> np.ndarray:
    """The centre in float64, once everything is known to be of its kind and size."""
    n = model.state_size
    box = "write `Box(lower, upper)`, or `Box.symmetric([...])`"
    instance_of("constraint_set", constraint_set, Box, Polytope, hint=box)
    instance_of("disturbance_set", disturbance_set, Box, hint=box)
    for name, value, size in (
        ("constraint_set", constraint_set, n),
        ("disturbance_set", disturbance_set, model.disturbance_size),
    ):
        if value.dim != size:
            raise SetDimensionError(
                f"`{name}` must have dimension {size} for the model "
                f"`{model.name}`, but its dimension is {value.dim}."
            )
    if n < 2:
        raise SetDimensionError(
            f"`model` must have at least 2 states, but `{model.name}` has {n}: "
            "`safe_wrappers.certify` finds an interval."
        )
    if center is None:
        center = np.zeros(n)
    # A claim keeps its centre in float32.
    center = np.asarray(as_numbers("center", center)).astype(np.float32).astype(np.float64)
    if center.shape != (n,) or not np.isfinite(center).all():
        raise SetDimensionError(
            f"`center` must hold {n} finite numbers, one for each state, but it is {center}."
        )
    require_inside(constraint_set, center)
    return center


def _require_facets(facets: int, n: int, symmetric: bool) -> None:
    least = 2 * n if symmetric else n + 1
    as_integer("facets", facets, 0)
    if facets < least or (symmetric and facets % 2):
        raise SetDimensionError(
            f"`facets` must be {'even and ' if symmetric else ''}at least "
            f"{least} for a bounded set, but it is {facets}."
        )
