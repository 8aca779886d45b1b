"""Synthesis of large robust control invariant polytopes, from dynamics to float32 facets."""

import dataclasses
import math
import time
from typing import Any

import numpy as np

from .._errors import SafeWrappersError, SetDimensionError
from ..models import Model
from ..sets import Box, Polytope
from ._check import boundary_points, sampled_margins
from ._geometry import Template, Vertices, upper_half
from ._grow import grow, without_idle_rows
from ._problem import Iterate, Problem
from ._progress import Progress
from ._slp import Schedule, optimise
from ._start import lqr_ellipsoid, lqr_start
from ._system import ScaledSystem
from ._volume import volume_and_gradient

_INWARD = 1e-6  # relative: room for float32 rounding, and for a prover that inflates the set
_GROWTH = 1e-4  # a new facet must add this fraction of volume
_REPAIRS = 4
_CHECKS = (20_000, 500)  # boundary points for one input, and for several, where each point takes a linear program


class SynthesisError(SafeWrappersError, RuntimeError):
    """No invariant set was found."""


@dataclasses.dataclass(frozen=True)
class SynthesisResult:
    """A candidate for a robust control invariant set. Nothing is proved about it yet.

    Attributes:
        safe_state_set: {x : H x <= 1}, float32, inside the constraint set.
        volume: Its volume in the units of x.
        margin: The smallest value of max_a min_{i, w} (1 - H_i f(x, a, w)) found at random boundary points x in float64.
        iterations: Number of quadratic programs solved.
        seconds: Wall-clock time.
        settings: The keyword arguments of `synthesise` that reproduce it.
    """

    safe_state_set: Polytope
    volume: float
    margin: float
    iterations: int
    seconds: float
    settings: dict[str, Any]


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
    progress: bool = True,
) -> SynthesisResult:
    """Searches for a large polytope S in the constraint set from which an action keeps every next state in S.

    The facet normals are optimised for volume by sequential quadratic programming, with the invariance condition at the
    vertices, on the edges and in the facets (vertex SLP). It starts from polytopes around an LQR ellipsoid, one for each seed,
    takes the best, and adds facets one pair at a time where they help most. This is a local heuristic that checks sample
    points only: prove the result before relying on it, and pass a counterexample back with the same settings.

    Args:
        model: x' = f(x, a, w), affine in (a, w), with an equilibrium at the origin.
        constraint_set: S must lie in it, dimension n, with the origin inside. Infinite bounds are allowed.
        disturbance_set: All w, dimension k.
        facets: Most facets of S.
        start_facets: Facets before growth, by default at most 4 n. Starting with many facets gives smaller sets.
        seeds: Number of random starts. Their results differ much when n > 2.
        disturbance_scale: The search sees the disturbance box enlarged by this factor, which covers what happens between the sample points.
        margin: Asked of H_i x' <= 1 - margin at the sample points; half of it is kept. By default 1e-3 in the plane, else 2e-3.
        symmetric: S = -S, for models with f(-x, -a, -w) = -f(x, a, w): half of the unknowns.
        warm_start: Start from this set instead of from seeds, for example to widen the constraint set or to add facets.
        counterexamples: States, shape (r, n), through whose rays the boundary is sampled as well.
        scale: Typical size of each state component, shape (n,); by default the constraint set's bound, or the LQR ellipsoid's.
        iterations: Most quadratic programs of one start; a growth step takes at most a quarter.
        progress: Whether to show a progress bar.

    Raises:
        ImportError: Without clarabel.
        ModelError: If the model is not affine, not symmetric though `symmetric` is set, or cannot be stabilised at the origin.
        SetDimensionError: If sizes do not fit or the origin is not inside the constraint set.
        SynthesisError: If no start led to an invariant set.
    """
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
    _require_clarabel()
    _require_sizes(model, constraint_set, disturbance_set, facets, symmetric)
    problem = _problem(model, constraint_set, disturbance_set, settings)
    with Progress(model.name, float(problem.system.scale.prod()), enabled=progress) as bar:
        search = _Search(problem, Schedule(iterations=iterations), bar)
        if warm_start is None:
            search.from_seeds(seeds, min(facets, start_facets or 4 * model.state_size))
        else:
            search.from_set(warm_start)
        search.grow(facets)
        F, smallest = search.checked()
    volume, _ = volume_and_gradient(F, _vertices(F), Template.of(len(F), symmetric=False))
    safe_state_set = Polytope(F, np.ones(len(F), np.float32))
    return SynthesisResult(safe_state_set, volume, smallest, search.count, time.perf_counter() - began, settings)


class _Search:
    """The stages of `synthesise`: seeds or a warm start, growth, checks with counterexamples. `best` is the result so far."""

    def __init__(self, problem: Problem, schedule: Schedule, bar: Progress):
        self.problem, self.schedule, self.bar = problem, schedule, bar
        self.best: Iterate | None = None
        self.count = 0
        self.sides = 2 if problem.symmetric else 1
        # Growth and repair start next to a good set: fewer steps and a smaller trust region.
        self.touch_up = dataclasses.replace(schedule, iterations=math.ceil(schedule.iterations / 4), radius=0.05)

    def _run(self, H: np.ndarray, schedule: Schedule) -> None:
        run = optimise(self.problem, H, schedule, self.bar.report)
        self.count += run.iterations
        if run.best is not None and (self.best is None or run.best.volume > self.best.volume):
            self.best = run.best

    def from_seeds(self, seeds: int, facets: int) -> None:
        """One run from a polytope around an LQR ellipsoid for each seed."""
        problem = self.problem
        y_max = np.minimum(-problem.lower, problem.upper)
        for seed in range(seeds):
            self.bar.stage(f"seed {seed + 1}/{seeds}")
            rng = np.random.default_rng(seed)
            self._run(lqr_start(problem.system, y_max, facets // self.sides, rng, symmetric=problem.symmetric), self.schedule)

    def from_set(self, warm_start: Polytope) -> None:
        """One run from the rows of a known set."""
        self.bar.stage("warm start")
        F = np.asarray(warm_start.normalised().H, np.float64) * self.problem.system.scale
        self._run(half_of(F) if self.problem.symmetric else F, self.schedule)

    def grow(self, facets: int) -> None:
        """Adds rows while there may be more and they help."""
        while self.best is not None and self.sides * (len(self.best.H) + 1) <= facets:
            self.bar.stage(f"{self.sides * (len(self.best.H) + 1)} facets")
            run = grow(self.problem, self.best, self.touch_up, self.bar.report)
            self.count += run.iterations
            if run.best is None or run.best.volume <= self.best.volume * (1 + _GROWTH):
                return
            self.best = run.best

    def checked(self) -> tuple[np.ndarray, float]:
        """Facets (m, n) in the units of x, float32, and the smallest margin at random boundary points.

        Where the margin is too small, the set is optimised again with that point's ray among the samples.
        """
        self.bar.stage("check")
        system = self.problem.system
        for _ in range(_REPAIRS):
            if self.best is None:
                break
            F = rounded_facets(self.best)
            scaled = F * system.scale
            points = boundary_points(_vertices(scaled), _CHECKS[system.model.action_size > 1], np.random.default_rng(0))
            margins = sampled_margins(system, scaled, points)
            if margins.min() >= self.problem.margin / 2:
                return F, float(margins.min())
            worst = points[np.argmin(margins)]
            self.problem = dataclasses.replace(self.problem, rays=np.concatenate([self.problem.rays, worst[None]]))
            H, self.best = self.best.H, None
            self._run(H, self.touch_up)
        raise SynthesisError(
            f"No set with an invariance margin of {self.problem.margin / 2:.2g} was found for `{system.model.name}` after {self.count} iterations."
            " Try more `seeds` or `facets`, a smaller disturbance set, stronger actions, or a larger `disturbance_scale` if the search found sets that failed the check."
        )


def half_of(F: np.ndarray) -> np.ndarray:
    """One row out of every pair (F_i, -F_i)."""
    return F[upper_half(F)]


def rounded_facets(iterate: Iterate) -> np.ndarray:
    """F of the set in the units of x, float32, shrunk where it sticks out of the constraint set, and by 1e-6 for the rounding."""
    problem, H = iterate.problem, without_idle_rows(iterate)
    points = iterate.vertices.points
    reach = max((points / problem.upper).max(), (points / problem.lower).max(), 1.0)
    H = (H * reach * (1 + _INWARD) / problem.system.scale).astype(np.float32)
    return Template.of(len(H), symmetric=problem.symmetric).facets(H).astype(np.float32)


def _vertices(F: np.ndarray) -> Vertices:
    vertices = Vertices.of(np.asarray(F, np.float64))
    assert vertices is not None  # F is the rounding of a bounded polytope around the origin
    return vertices


def _problem(model: Model, constraint_set: Box, disturbance_set: Box, settings: dict[str, Any]) -> Problem:
    n = model.state_size
    lower, upper = np.asarray(constraint_set.lower, np.float64), np.asarray(constraint_set.upper, np.float64)
    system = ScaledSystem(model, disturbance_set, np.ones(n))
    bound = np.maximum(-lower, upper)
    if settings["scale"] is not None:
        scale = np.broadcast_to(np.asarray(settings["scale"], np.float64), n)
    elif np.isinf(bound).any():
        scale = np.where(np.isinf(bound), np.sqrt(np.diag(np.linalg.inv(lqr_ellipsoid(system, np.minimum(-lower, upper))))), bound)
    else:
        scale = bound
    system = system.rescaled(scale)
    system.require_affine()
    if settings["symmetric"]:
        system.require_symmetric()
    counterexamples = settings["counterexamples"]
    return Problem(
        system=system,
        lower=lower / scale,
        upper=upper / scale,
        enlargement=settings["disturbance_scale"],
        margin=settings["margin"] or (1e-3 if n == 2 else 2e-3),
        per_edge=7 if n == 2 else 1,
        rays=np.zeros((0, n)) if counterexamples is None else np.asarray(counterexamples, np.float64).reshape(-1, n) / scale,
        symmetric=settings["symmetric"],
    )


def _require_clarabel() -> None:
    try:
        import clarabel  # noqa: F401
    except ImportError as error:
        raise ImportError(
            '`synthesise` solves quadratic programs with clarabel, which is not installed. Run `pip install "safe-wrappers[certificates]"`.'
        ) from error


def _require_sizes(model: Model, constraint_set: Box, disturbance_set: Box, facets: int, symmetric: bool) -> None:
    n = model.state_size
    for name, box, size in (("constraint_set", constraint_set, n), ("disturbance_set", disturbance_set, model.disturbance_size)):
        if box.dim != size:
            raise SetDimensionError(f"`{name}` must have dimension {size} for the model `{model.name}`, but its dimension is {box.dim}.")
    if n < 2:
        raise SetDimensionError(f"`model` must have at least 2 states, but `{model.name}` has {n}: an interval needs no search.")
    lower, upper = np.asarray(constraint_set.lower), np.asarray(constraint_set.upper)
    if not ((lower < 0) & (upper > 0)).all():
        raise SetDimensionError(f"The origin must lie inside `constraint_set`, but its bounds are {lower} and {upper}; shift the coordinates.")
    least = 2 * n if symmetric else n + 1
    if facets < least or (symmetric and facets % 2):
        raise SetDimensionError(f"`facets` must be {'even and ' if symmetric else ''}at least {least} for a bounded set, but it is {facets}.")
