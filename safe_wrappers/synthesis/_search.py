"""The stages of the synthesis, from first guesses to checked float32 facets."""

import dataclasses
import math

import numpy as np

from .._errors import SetDimensionError
from ..sets import Polytope
from ._check import boundary_points, sampled_margins
from ._failure import SynthesisError, reasons
from ._geometry import Template, Vertices, upper_half
from ._grow import grow, rows_in_use
from ._problem import Iterate, Problem
from ._progress import Progress
from ._slp import Schedule, optimise
from ._start import lqr_start
from ._volume import volume_and_gradient

_INWARD = 1e-6  # relative: room for float32 rounding, and for a prover that inflates the set
_REPAIRS = 4  # rounds of checking and optimising again
# boundary points for one input, and for several, where each point takes a linear program
_CHECKS = (20_000, 500)


class Search:
    """The stages of the synthesis: seeds or a warm start, growth, checks with counterexamples.

    `best` is the result so far.
    """

    def __init__(self, problem: Problem, schedule: Schedule, bar: Progress, gain: float):
        self.problem, self.schedule, self.bar, self.gain = problem, schedule, bar, gain
        self.best: Iterate | None = None
        self.count = 0
        self.sides = 2 if problem.symmetric else 1
        # Growth and repair start next to a good set: fewer steps and a smaller trust region.
        self.touch_up = dataclasses.replace(
            schedule, iterations=math.ceil(schedule.iterations / 4), radius=0.05
        )

    def _run(self, normals: np.ndarray, schedule: Schedule) -> None:
        run = optimise(self.problem, normals, schedule, self.bar.report)
        self.count += run.iterations
        if run.best is not None and (self.best is None or run.best.volume > self.best.volume):
            self.best = run.best

    def from_seeds(self, seeds: int, facets: int) -> None:
        """One run from a polytope around an LQR ellipsoid for each seed."""
        problem = self.problem
        for seed in range(seeds):
            self.bar.stage(f"seed {seed + 1} of {seeds}")
            rng = np.random.default_rng(seed)
            self._run(
                lqr_start(
                    problem.system,
                    problem.limits,
                    facets // self.sides,
                    rng,
                    symmetric=problem.symmetric,
                ),
                self.schedule,
            )

    def from_set(self, warm_start: Polytope, facets: int) -> None:
        """One run from the rows of a known set.

        Raises:
            SetDimensionError: If it has another dimension, more facets than allowed, or is not
                symmetric though it has to be.
        """
        self.bar.stage("widening")
        center, scale = self.problem.system.center, self.problem.system.scale
        if warm_start.dim != len(scale) or len(warm_start.H) > facets:
            raise SetDimensionError(
                f"`warm_start` must have dimension {len(scale)} and at most {facets} facets, but "
                f"its dimension is {warm_start.dim}"
                f" and it has {len(warm_start.H)} facets."
            )
        H = np.asarray(warm_start.normalised(center).H, np.float64) * scale
        if not self.problem.symmetric:
            self._run(H, self.schedule)
            return
        half = H[upper_half(H)]
        if 2 * len(half) != len(H) or not all(
            np.isclose(H, -row, atol=1e-6).all(axis=1).any() for row in half
        ):
            raise SetDimensionError(
                "`warm_start` must hold every facet with both signs, but some "
                "row has no negative. Pass `symmetric=False`."
            )
        self._run(half, self.schedule)

    def grow(self, facets: int) -> None:
        """Adds rows while there may be more and they help."""
        while self.best is not None and self.sides * (len(rows_in_use(self.best)) + 1) <= facets:
            self.bar.stage(f"{self.sides * (len(rows_in_use(self.best)) + 1)} facets")
            run = grow(self.problem, self.best, self.touch_up, self.gain, self.bar.report)
            self.count += run.iterations
            if run.best is None:
                return
            self.best = run.best

    def checked(self) -> tuple[Polytope, float]:
        """The set {x : H (x - center) <= 1}, H float32, and the smallest margin at random boundary
        points.

        Where the margin is too small, the set is optimised again with that point's ray among the
        samples.

        Raises:
            SynthesisError: If there is no set with half of the margin.
        """
        self.bar.stage("check")
        problem, system = self.problem, self.problem.system
        for _ in range(_REPAIRS):
            if self.best is None:
                break
            H = rounded_facets(self.best)
            points = boundary_points(
                bounded_vertices(H * system.scale),
                _CHECKS[system.model.action_size > 1],
                np.random.default_rng(0),
            )
            margins = sampled_margins(system, H * system.scale, points)
            if margins.min() >= problem.margin / 2:
                return polytope_around(system.center, H), float(margins.min())
            self.problem = dataclasses.replace(
                self.problem, rays=np.concatenate([self.problem.rays, points[[np.argmin(margins)]]])
            )
            normals, self.best = self.best.normals, None
            self._run(normals, self.touch_up)
        raise SynthesisError(self._nothing_found())

    def _nothing_found(self) -> str:
        """What was looked for, why there may be nothing, and what helps."""
        problem, system = self.problem, self.problem.system
        why = reasons(system, system.rest())
        enlarged = problem.enlargement != 1
        against = f" against disturbances enlarged {problem.enlargement:g} times" * enlarged
        remedies = [
            *([f"a `disturbance_scale` nearer 1 than {problem.enlargement:g}"] * enlarged),
            "more `seeds`",
            "more `facets`",
            "another `center`",
            "stronger actions or a smaller disturbance set",
        ]
        advice = f"Try, in this order: {', '.join(remedies)}."
        return " ".join(
            [
                f"No safe set was found for `{system.model.name}` in {self.count} quadratic "
                f"programs: none whose boundary keeps a margin of {problem.margin / 2:.2g} at the "
                f"sample points{against}.",
                *(reason.text for reason in why),
                *([advice] * (not any(reason.decisive for reason in why))),
            ]
        )


def polytope_around(center: np.ndarray, H: np.ndarray) -> Polytope:
    """{x : H (x - center) <= 1}."""
    if not center.any():
        return Polytope(H, np.ones(len(H), np.float32))
    return Polytope(H, 1.0 + np.asarray(H, np.float64) @ center)


def rounded_facets(iterate: Iterate) -> np.ndarray:
    """H of the set {x : H (x - center) <= 1}, float32, shrunk where it sticks out of the
    constraint set, and by 1e-6 for the rounding.
    """
    problem = iterate.problem
    reach = problem.limits.reach(iterate.vertices.points)
    normals = (rows_in_use(iterate) * reach * (1 + _INWARD) / problem.system.scale).astype(
        np.float32
    )
    return Template.of(len(normals), symmetric=problem.symmetric).facets(normals).astype(np.float32)


def bounded_vertices(H: np.ndarray) -> Vertices:
    """The vertices of {y : H y <= 1}, known to be bounded."""
    vertices = Vertices.of(np.asarray(H, np.float64))
    if vertices is None:
        raise SynthesisError(
            "The set must be bounded, but rounding its facets to float32 opened "
            "it; use fewer facets."
        )
    return vertices


def volume_of(H: np.ndarray) -> float:
    """The volume of {x : H x <= 1} in float64."""
    H = np.asarray(H, np.float64)
    return volume_and_gradient(H, bounded_vertices(H), Template.of(len(H), symmetric=False))[0]
