"""One iterate of the synthesis: the set of some normals, judged at its sample points."""

import dataclasses
from functools import cached_property

import numpy as np

from ._best_inputs import best_inputs
from ._geometry import Template, Vertices, sample_weights, upper_half
from ._limits import Limits
from ._scaled_model import ScaledSystem
from ._volume import volume_and_gradient


@dataclasses.dataclass(frozen=True)
class Problem:
    """What does not change during the iterations, in scaled coordinates.

    Attributes:
        system: Dynamics and disturbance box.
        limits: The constraint set.
        enlargement: Factor of the disturbance box. It covers what happens between the sample
            points.
        margin: mu, the margin that is asked for at the sample points; half of it has to be kept.
        per_edge: Inner sample points of every edge.
        rays: Directions (r, n) whose boundary points are sampled too: former counterexamples.
        symmetric: Whether H = [normals; -normals].
        penalty: Weight of violations against log volume. Weights below 100 let the iteration drift
            into infeasible sets.
    """

    system: ScaledSystem
    limits: Limits
    enlargement: float
    margin: float
    per_edge: int
    rays: np.ndarray
    symmetric: bool
    penalty: float = 500.0

    def iterate(self, normals: np.ndarray) -> "Iterate | None":
        """The iterate of the normals, or None if {y : H y <= 1} is unbounded or flat."""
        template = Template.of(len(normals), symmetric=self.symmetric)
        H = template.facets(normals)
        vertices = Vertices.of(H)
        return None if vertices is None else Iterate(self, normals, template, H, vertices)


class Iterate:
    """The set {y : H y <= 1}: geometry, sample points y (Q, n), their best inputs and
    violations.
    """

    def __init__(
        self,
        problem: Problem,
        normals: np.ndarray,
        template: Template,
        H: np.ndarray,
        vertices: Vertices,
    ):
        self.problem, self.normals, self.template, self.H, self.vertices = (
            problem,
            normals,
            template,
            H,
            vertices,
        )
        weights = sample_weights(vertices, per_edge=problem.per_edge)
        if problem.symmetric:
            weights = weights[upper_half(weights @ vertices.points)]
        level = problem.rays @ H.T
        self.ray_rows = np.argmax(level, axis=1) if len(level) else np.zeros(0, int)
        self.weights = weights
        self.samples = np.concatenate(
            [weights @ vertices.points, problem.rays / level.max(axis=1, initial=0, keepdims=True)]
        )
        self.local = problem.system.linearise(self.samples)
        self.spread = problem.system.spread(H, self.local.E, problem.enlargement)
        self.inputs = best_inputs(
            self.local.c @ H.T + self.spread, np.einsum("mn,qnd->qmd", H, self.local.B)
        )
        self.excess = self.local.drift(self.inputs) @ H.T + self.spread + problem.margin - 1.0
        """H_i f(y_q, a_q, w) + margin - 1 for the worst w, shape (Q, m): not positive where the
        step stays inside.
        """
        self.volume, self.volume_gradient = volume_and_gradient(H, vertices, template)

    @property
    def violation(self) -> float:
        """Largest excess over all sample points and facets."""
        return float(self.excess.max())

    @property
    def limit_violation(self) -> float:
        """How far the vertices stick out of the constraint set, 0 if they do not."""
        return self.problem.limits.excess(self.vertices.points)

    @property
    def merit(self) -> float:
        """log volume less the penalty for violations beyond half of the margin."""
        problem = self.problem
        return np.log(self.volume) - problem.penalty * (
            max(0.0, self.violation - problem.margin / 2) + self.limit_violation
        )

    @property
    def acceptable(self) -> bool:
        """Whether half of the margin is kept at every sample point, and the constraint set up to a
        shrinking by 1e-3.
        """
        return self.violation <= self.problem.margin / 2 and self.limit_violation <= 1e-3

    @cached_property
    def vertex_sensitivity(self) -> np.ndarray:
        """d vertices / d normals, shape (v, n, p * n)."""
        count, n = self.vertices.points.shape
        return self.vertices.sensitivity(self.H, self.template).reshape(count, n, -1)

    @cached_property
    def sample_sensitivity(self) -> np.ndarray:
        """d samples / d normals, shape (Q, n, p * n)."""
        from_vertices = np.tensordot(self.weights, self.vertex_sensitivity, axes=1)
        points = self.samples[len(self.weights) :]
        along_rays = np.zeros((len(points), points.shape[1], *self.normals.shape))
        # A ray's boundary point y with H_i y = 1 moves along itself: dy = -y (dH_i y).
        signed = points * self.template.sign[self.ray_rows][:, None]
        along_rays[np.arange(len(points)), :, self.template.row[self.ray_rows], :] = -np.einsum(
            "qn,qj->qnj", points, signed
        )
        return np.concatenate(
            [from_vertices, along_rays.reshape(len(points), points.shape[1], self.normals.size)]
        )
