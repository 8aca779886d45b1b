"""Synthesis of large robust control invariant polytopes, from dynamics to float32 facets."""

import dataclasses
import time
from typing import Any

import numpy as np

from .._errors import SetDimensionError
from .._gate import as_flag, instance_of
from .._one_line import count, one_line, rows_by_columns
from ..models import Model, require_affine, require_known_operations
from ..sets import Box, Polytope
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
        safe_state_set: {x : H x <= 1}, float32, inside the constraint set.
        volume: Its volume in the units of x.
        margin: The smallest value of max_a min_{i, w} (1 - H_i f(x, a, w)) found at random boundary
            points x in float64.
        iterations: Number of quadratic programs solved.
        seconds: Wall-clock time.
        settings: The keyword arguments of `synthesise` that reproduce it; JSON, unless there was a
            warm start or a counterexample.
    """

    safe_state_set: Polytope
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
    constraint_set: Box,
    disturbance_set: Box,
    *,
    facets: int,
    start_facets: int | None = None,
    seeds: int = 4,
    disturbance_scale: float = 1.5,
    margin: float | None = None,
    symmetric: bool = True,
    warm_start: Polytope | None = None,
    counterexamples: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    iterations: int = 400,
    provable: bool = True,
    progress: bool = True,
) -> SynthesisResult:
    """Searches for a large polytope S in the constraint set from which an action keeps every next
    state in S.

    The facet normals are optimised for volume by sequential quadratic programming, with the
    invariance condition at the vertices, on the edges and in the facets (vertex SLP). It starts
    from polytopes around an LQR ellipsoid, one for each seed, takes the best, and adds facets one
    pair at a time where they help most. This is a local heuristic that checks sample points only:
    prove the result before relying on it, and pass a counterexample back with the same settings.

    Args:
        model: x' = f(x, a, w), affine in (a, w), with an equilibrium at the origin.
        constraint_set: S must lie in it, dimension n, with the origin inside. Infinite bounds are
            allowed.
        disturbance_set: All w, dimension k.
        facets: Most facets of S.
        start_facets: Facets before growth, by default at most 4 n. Starting with many facets gives
            smaller sets.
        seeds: Number of random starts. Their results differ much when n > 2.
        disturbance_scale: The search sees the disturbance box enlarged by this factor, which covers
            what happens between the sample points.
        margin: Asked of H_i x' <= 1 - margin at the sample points; half of it is kept. By default
            1e-3 in the plane, else 2e-3.
        symmetric: S = -S, for models with f(-x, -a, -w) = -f(x, a, w): half of the unknowns.
        warm_start: Start from this set instead of from seeds, for example to widen the constraint
            set or to add facets.
        counterexamples: States, shape (r, n), through whose rays the boundary is sampled as well.
        scale: Typical size of each state component, shape (n,); by default the constraint set's
            bound, or the LQR ellipsoid's.
        iterations: Most quadratic programs of one start; a growth step takes at most a quarter.
        provable: Whether the model must be one that a proof can follow, which is found out before
            the search: see `models.require_known_operations`. Without it, a set can be found
            and *tested* for any model that is affine in action and disturbance.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: If the model is no `Model`, or a set no `Box`.
        ModelError: If the model is not affine, has an operation that no proof can follow, is not
            symmetric though `symmetric` is set, or cannot be stabilised at the origin.
        SetDimensionError: If sizes do not fit or the origin is not inside the constraint set.
        SynthesisError: If no start led to an invariant set.
    """
    instance_of("model", model, Model)
    box = "write `Box(lower, upper)`, or `Box.symmetric([...])`"
    instance_of("constraint_set", constraint_set, Box, hint=box)
    instance_of("disturbance_set", disturbance_set, Box, hint=box)
    if margin is None:
        margin = _MARGIN_IN_THE_PLANE if model.state_size == 2 else _MARGIN
    settings = {
        "facets": facets,
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
    _require_sizes(model, constraint_set, disturbance_set, facets, symmetric)
    require_affine(model)
    if as_flag("provable", provable):
        require_known_operations(model)
    problem = _problem(model, constraint_set, disturbance_set, settings)
    with Progress(model.name, float(problem.system.scale.prod()), enabled=progress) as bar:
        search = Search(problem, Schedule(iterations=iterations), bar)
        if warm_start is None:
            search.from_seeds(seeds, min(facets, start_facets or 4 * model.state_size))
        else:
            search.from_set(warm_start, facets)
        search.grow(facets)
        safe_state_set, smallest = search.checked()
    volume = volume_of(safe_state_set)
    return SynthesisResult(
        safe_state_set, volume, smallest, search.count, time.perf_counter() - began, settings
    )


def _problem(
    model: Model, constraint_set: Box, disturbance_set: Box, settings: dict[str, Any]
) -> Problem:
    n = model.state_size
    lower, upper = (
        np.asarray(constraint_set.lower, np.float64),
        np.asarray(constraint_set.upper, np.float64),
    )
    system = ScaledSystem(model, disturbance_set, np.ones(n))
    bound = np.maximum(-lower, upper)
    if settings["scale"] is not None:
        scale = np.broadcast_to(np.asarray(settings["scale"], np.float64), n)
    elif np.isinf(bound).any():
        scale = np.where(
            np.isinf(bound),
            np.sqrt(np.diag(np.linalg.inv(lqr_ellipsoid(system, np.minimum(-lower, upper))))),
            bound,
        )
    else:
        scale = bound
    system = system.rescaled(scale)
    if settings["symmetric"]:
        system.require_symmetric()
    counterexamples = settings["counterexamples"]
    return Problem(
        system=system,
        lower=lower / scale,
        upper=upper / scale,
        enlargement=settings["disturbance_scale"],
        margin=settings["margin"],
        per_edge=7 if n == 2 else 1,
        rays=np.zeros((0, n))
        if counterexamples is None
        else np.asarray(counterexamples, np.float64).reshape(-1, n) / scale,
        symmetric=settings["symmetric"],
    )


def _require_sizes(
    model: Model, constraint_set: Box, disturbance_set: Box, facets: int, symmetric: bool
) -> None:
    n = model.state_size
    for name, box, size in (
        ("constraint_set", constraint_set, n),
        ("disturbance_set", disturbance_set, model.disturbance_size),
    ):
        if box.dim != size:
            raise SetDimensionError(
                f"`{name}` must have dimension {size} for the model "
                f"`{model.name}`, but its dimension is {box.dim}."
            )
    if n < 2:
        raise SetDimensionError(
            f"`model` must have at least 2 states, but `{model.name}` has {n}: "
            "an interval needs no search."
        )
    lower, upper = np.asarray(constraint_set.lower), np.asarray(constraint_set.upper)
    if not ((lower < 0) & (upper > 0)).all():
        raise SetDimensionError(
            "The origin must lie inside `constraint_set`, but its bounds are "
            f"{lower} and {upper}; shift the coordinates."
        )
    if symmetric and not np.array_equal(
        np.asarray(disturbance_set.lower), -np.asarray(disturbance_set.upper)
    ):
        raise SetDimensionError(
            "`disturbance_set` must be symmetric for a symmetric set, but its bounds are "
            f"{disturbance_set.lower} and {disturbance_set.upper}."
            " Move its centre into the model, or pass `symmetric=False`."
        )
    least = 2 * n if symmetric else n + 1
    if facets < least or (symmetric and facets % 2):
        raise SetDimensionError(
            f"`facets` must be {'even and ' if symmetric else ''}at least "
            f"{least} for a bounded set, but it is {facets}."
        )
