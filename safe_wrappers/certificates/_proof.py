"""The proof that a safe state set is robust control invariant: simplicial branch and bound.

S is covered by simplices (`_coverage`). On a simplex with corners x_j and inputs u_j take the input u(x) = sum_j l_j u_j
for x = sum_j l_j x_j, and write z = (x, u). Taylor's theorem, the inequality of Cauchy and Schwarz and Popoviciu's inequality
bound how far F_i f(z) lies above its interpolation from the corners:

    F_i f(x, u(x)) <= sum_j l_j F_i f(z_j) + 1/8 sum_ab max |d2 (F_i f) / dz_a dz_b| R_a R_b,

with R_a the range of z_a over the corners and the maximum over their bounding box. The simplex is proved when for every i

    max_j F_i f(z_j) + that gap + max_w F_i E(x) w <= 1 - sigma,

and bisected otherwise. All numbers in this inequality are bounded by outward-rounded intervals, midpoints of edges are
exact, and the cover is checked in rationals: "proved" is a statement about real numbers. How the inputs are chosen proves
nothing and needs no care.
"""

import dataclasses
import time

import numpy as np
from scipy.optimize import linprog

from ..models import Model, require_affine
from ..sets import Polytope
from ._coverage import Cover, cover, pulled_inside, uncovered, vertex_outside
from ._enclosure import ModelEnclosure
from ._file import Certificate
from ._inputs import best_inputs, steady_inputs
from ._intervals import Interval, as_interval, round_down, round_up

# Cells are bounded in blocks of this many, so that intermediate arrays stay in the cache.
_BLOCK = 2048
# Weight of an edge's length against how much it curves the bound; some is needed to keep simplices from degenerating.
_LENGTH = 0.2
# Levels of bisection in search of a state without any safe action, once one without an action of margin sigma is known.
_SEARCHED = 10


@dataclasses.dataclass(frozen=True)
class ProofResult:
    """The outcome of a proof.

    Args:
        status: "proved", "counterexample", or "inconclusive", which is never a success.
        cells: Number of proved simplices.
        depth: Number of bisections of the most divided simplex.
        margin: If proved, what every simplex keeps of the scale h = 1, at least sigma; for a counterexample a bound of the
            largest margin that any action has there, at most sigma, or how far it lies in X (negative); else NaN.
        seconds: Time taken.
        counterexample: A state in S without a safe action or outside X, shape (n,), or None.
        message: What was found, in a sentence.
    """

    status: str
    cells: int
    depth: int
    margin: float
    seconds: float
    counterexample: np.ndarray | None
    message: str

    @property
    def proved(self) -> bool:
        """Whether the claim is proved."""
        return self.status == "proved"


def prove(certificate: Certificate, model: Model, *, max_cells: int = 1_000_000, max_depth: int = 200) -> ProofResult:
    """Decides whether S lies in X and is robust control invariant with margin sigma, from nothing but the sets and the model.

    Args:
        certificate: The claim.
        model: The model that it is about.
        max_cells: Largest number of simplices, proved and open together, before giving up.
        max_depth: Largest number of bisections of one simplex before giving up.

    Raises:
        CertificateError: If the certificate is about another model.
        ModelError: If the model is not affine in action and disturbance, or uses an operation that the proof does not know.
    """
    start = time.perf_counter()
    certificate.check(model)
    require_affine(model)
    with np.errstate(all="ignore"):
        result = _prove(certificate, model, max_cells, max_depth)
    return dataclasses.replace(result, seconds=time.perf_counter() - start)


def _prove(certificate: Certificate, model: Model, max_cells: int, max_depth: int) -> ProofResult:
    S = certificate.safe_state_set
    candidate = cover(S)
    reason = uncovered(candidate, S)
    if reason is not None:
        return _inconclusive(f"The cover of S by simplices could not be verified: {reason}. The set may have facets that nearly coincide.")
    outside = vertex_outside(candidate, certificate.constraint_set)
    if outside is not None:
        return _outside(certificate, candidate, outside)
    return _Search(certificate, model, candidate).run(max_cells, max_depth)


def _outside(certificate: Certificate, candidate: Cover, index: int) -> ProofResult:
    """A vertex of the outer approximation lies outside X (or the origin, the index after the last): does S leave X?"""
    n = certificate.safe_state_set.dim
    corner = candidate.points[index] if index < len(candidate.points) else np.zeros(n)
    x = pulled_inside(corner, certificate.safe_state_set)
    G, g = (np.asarray(value, np.float64) for value in certificate.constraint_set.halfspaces())
    margin = float(np.min(g - G @ x))
    if margin < -1e-12 * np.max(np.abs(g)):
        return ProofResult("counterexample", 0, 0, margin, 0.0, x, f"S must lie in X, but the vertex {x} of S lies outside X by {-margin:.3g}.")
    return _inconclusive(f"S touches the boundary of X at {x} to within rounding: shrink S by a factor 1 - 1e-6 or widen X.")


def _inconclusive(message: str, cells: int = 0, depth: int = 0) -> ProofResult:
    return ProofResult("inconclusive", cells, depth, float("nan"), 0.0, None, message)


class _Search:
    """The branch and bound, one level of bisections at a time: all simplices of a level are bounded together."""

    def __init__(self, certificate: Certificate, model: Model, candidate: Cover):
        self.safe_state_set: Polytope = certificate.safe_state_set
        self.sigma = certificate.sigma
        self.F = np.asarray(self.safe_state_set.H, np.float64)
        lower, upper = (np.asarray(b, np.float64) for b in (certificate.disturbance_set.lower, certificate.disturbance_set.upper))
        self.w_center = 0.5 * (lower + upper)
        self.w_radius = round_up(np.maximum(upper - self.w_center, self.w_center - lower))
        self.enclosure = ModelEnclosure(model, self.w_center)
        self.n, self.d = model.state_size, model.action_size
        self.scale = 1.0 / np.abs(candidate.points).max(axis=0)
        # Corners z = (x, u), upper bounds of F f at them, and the midpoints that are known already, by their edge.
        self.z = np.zeros((self.n + self.d, 0))
        self.phi = np.zeros((len(self.F), 0))
        self.midpoints: dict[tuple[int, int], int] = {}
        # The corner whose best input has the smallest margin.
        self.worst, self.worst_margin = np.zeros(self.n), np.inf
        self.add(np.vstack([np.zeros((1, self.n)), candidate.points]).T, None)
        self.cells = np.column_stack([np.zeros(len(candidate.simplices), int), candidate.simplices + 1])

    def run(self, max_cells: int, max_depth: int) -> ProofResult:
        """Bisects until every simplex is proved, a corner has no safe action, or a limit is reached.

        A corner whose best margin lies between 0 and sigma refutes the claim as well, but the search goes on for one
        without any safe action, which is easier to believe.
        """
        cells, proved, margin, depth, refuted_for = self.cells, 0, np.inf, 0, 0
        while not self.worst_margin < 0:
            blocks = [self.bound(cells[s : s + _BLOCK]) for s in range(0, len(cells), _BLOCK)]
            bounds, edges = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
            done = bounds <= round_down(1.0 - self.sigma)
            proved += int(done.sum())
            margin = min(margin, float(round_down(1.0 - bounds[done].max(initial=-np.inf))))
            if done.all():
                message = f"S is invariant with margin {margin:.3g} and lies in X."
                return ProofResult("proved", proved, depth, margin, 0.0, None, message)
            cells, edges = cells[~done], edges[~done]
            if proved + 2 * len(cells) > max_cells:
                return self.stopped(f"More than {max_cells} simplices are needed; raise `max_cells` or use a set with more margin.", proved, depth)
            refuted_for += self.worst_margin <= self.sigma
            if depth == max_depth or refuted_for > _SEARCHED:
                return self.stopped(f"{len(cells)} simplices are still open after {depth} bisections; use a set with more margin.", proved, depth)
            middles = self.bisect(edges)
            if middles is None:
                return self.stopped("Edges became too short to be halved exactly; use a set with more margin.", proved, depth)
            halves = [np.where(cells == edges[:, [end]], middles[:, None], cells) for end in (0, 1)]
            cells, depth = np.concatenate(halves), depth + 1
        return self.counterexample(proved, depth)

    def stopped(self, message: str, cells: int, depth: int) -> ProofResult:
        """The answer at a limit: the weakest corner if it refutes the claim, else nothing."""
        return self.counterexample(cells, depth) if self.worst_margin <= self.sigma else _inconclusive(message, cells, depth)

    def bound(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max_i F_i f over simplices, shape (cells,), and the edge to bisect, shape (cells, 2)."""
        corners = self.z[:, cells]
        z = Interval(corners.min(axis=2), corners.max(axis=2))
        curved, hessian = self.enclosure.hessian(z)
        curved = list(curved)
        ranges = z.width[curved]
        bend = self.project(hessian).magnitude
        gap = 0.125 * _sum_up(round_up(bend * round_up(ranges[:, None] * ranges[None, :])))
        values = self.phi[:, cells].max(axis=2)
        bounds = round_up(values + round_up(gap + self.disturbed(z[: self.n])))
        worst = np.where(np.isnan(bounds), np.inf, bounds).argmax(axis=0)
        return bounds.max(axis=0), self.longest_edge(cells, corners, curved, bend[worst, ..., np.arange(len(cells))])

    def longest_edge(self, cells: np.ndarray, corners: np.ndarray, curved: list[int], bend: np.ndarray) -> np.ndarray:
        """The edge along which the worst facet's bound curves most, else the longest one in the set's scale."""
        first, second = np.triu_indices(cells.shape[1], 1)
        edge = np.abs(corners[: self.n, :, first] - corners[: self.n, :, second])
        ranges = np.ptp(corners[curved], axis=2)
        # How fast the gap falls with the range of each state.
        weight = np.zeros(edge.shape[:2])
        states = [(row, a) for row, a in enumerate(curved) if a < self.n]
        for row, a in states:
            weight[a] = np.einsum("cb,bc->c", bend[:, row], ranges)
        length = np.sum(edge * self.scale[:, None, None], axis=0)
        curvature = np.sum(edge * weight[:, :, None], axis=0)
        score = np.where(np.isfinite(curvature), curvature, 0.0)
        score = score / np.maximum(score.max(axis=1, keepdims=True), 1e-300) + _LENGTH * length / length.max(axis=1, keepdims=True)
        chosen = score.argmax(axis=1)
        pairs = np.stack([cells[np.arange(len(cells)), ends[chosen]] for ends in (first, second)], axis=1)
        return np.sort(pairs, axis=1)

    def bisect(self, edges: np.ndarray) -> np.ndarray | None:
        """Indices of the edges' midpoints, made where they are new; None if one is not a float64 number."""
        new = [edge for edge in map(tuple, np.unique(edges, axis=0).tolist()) if edge not in self.midpoints]
        if new:
            first, second = self.z[:, [i for i, _ in new]], self.z[:, [j for _, j in new]]
            total = first[: self.n] + second[: self.n]
            # The rounding error of the sum (Knuth's TwoSum): halves of a simplex cover it only if midpoints are exact.
            back = total - first[: self.n]
            if np.any((first[: self.n] - (total - back)) + (second[: self.n] - back)):
                return None
            self.midpoints.update(zip(new, range(self.z.shape[1], self.z.shape[1] + len(new)), strict=True))
            self.add(0.5 * total, 0.5 * (first[self.n :] + second[self.n :]))
        return np.array([self.midpoints[edge] for edge in map(tuple, edges.tolist())])

    def add(self, x: np.ndarray, preferred: np.ndarray | None) -> None:
        """Adds corners x, shape (n, corners), with inputs near the preferred ones, and remembers the weakest of all."""
        A, b = self.rows(Interval.point(x))
        u, margin = best_inputs(A.middle, b.middle) if preferred is None else steady_inputs(A.middle, b.middle, preferred)
        self.z = np.concatenate([self.z, np.concatenate([x, u])], axis=1)
        self.phi = np.concatenate([self.phi, self.project(self.enclosure.value(Interval.point(x), Interval.point(u))).hi], axis=1)
        weakest = int(np.argmin(margin))
        if margin[weakest] < self.worst_margin:
            self.worst, self.worst_margin = x[:, weakest], float(margin[weakest])

    def rows(self, x: Interval) -> tuple[Interval, Interval]:
        """The safe action set A u <= b at states of shape (n, cells): shapes (m, d, cells) and (m, cells)."""
        c, B = self.enclosure.affine_in_action(x)
        return self.project(B), 1.0 - (self.project(c) + self.disturbed(x))

    def disturbed(self, x: Interval) -> np.ndarray:
        """max_w |F_i E(x) (w - w_c)| over boxes of shape (n, cells), rounded up, shape (m, cells)."""
        push = self.project(self.enclosure.disturbance_matrix(x)).magnitude
        return _sum_up(round_up(push * self.w_radius[:, None]))

    def project(self, values: Interval) -> Interval:
        """F times values of shape (n, ...), by midpoints and radii: matrix products with an a-priori bound of their rounding."""
        middle = values.middle.reshape(self.n, -1)
        radius = round_up(np.maximum(values.hi.reshape(middle.shape) - middle, middle - values.lo.reshape(middle.shape)))
        # A product of n terms, in any order, is off by at most n units of rounding of the product of the magnitudes.
        slack = (self.n + 4) * 2.0**-51 * (np.abs(middle) + radius)
        total, spread = self.F @ middle, np.abs(self.F) @ round_up(radius + slack)
        shape = (len(self.F), *values.lo.shape[1:])
        return Interval(round_down(total - spread).reshape(shape), round_up(total + spread).reshape(shape))

    def counterexample(self, cells: int, depth: int) -> ProofResult:
        """Verifies that the weakest corner, moved into S, has no action of margin above sigma, by a linear program's multipliers."""
        x = pulled_inside(self.worst, self.safe_state_set)
        A, b = (part[..., 0] for part in self.rows(Interval.point(x[:, None])))
        m = len(self.F)
        program = linprog(
            [*[0.0] * self.d, -1.0],
            A_ub=np.column_stack([A.middle, np.ones(m)]),
            b_ub=b.middle,
            bounds=[(-1.0, 1.0)] * self.d + [(None, None)],
        )
        if program.status != 0:
            return _inconclusive(f"The state {x} seems to have no safe action, but the linear program failed: {program.message}", cells, depth)
        # For y >= 0 with sum 1 every margin is at most y . (b - A u) <= y . b + |y A|, whatever y is.
        weights = np.maximum(-program.ineqlin.marginals, 0.0)
        y = Interval.point(weights)
        pull, level, mass = A * y[:, None], b * y, y
        bound = as_interval(0.0)
        for j in range(self.d):
            bound = bound + Interval.point(_accumulate(pull[:, j]).magnitude)
        limit = float(((bound + _accumulate(level)) / _accumulate(mass)).hi)
        if not limit <= self.sigma:
            return _inconclusive(f"The best margin at {x} is sigma to within rounding; use a set with more margin.", cells, depth)
        message = f"At x = {x}, in S, every action has a margin of at most {limit:.3g}, which must exceed sigma = {self.sigma:.3g}."
        return ProofResult("counterexample", cells, depth, limit, 0.0, x, message)


def _sum_up(terms: np.ndarray) -> np.ndarray:
    """Sums of non-negative terms over all axes but the first and the last, rounded up."""
    flat = terms.reshape(len(terms), -1, terms.shape[-1])
    # A sum of k terms in any order is off by at most (k - 1) units of rounding, relative to a sum of positive terms.
    return round_up(flat.sum(axis=1) * (1.0 + flat.shape[1] * 2.0**-51))


def _accumulate(parts: Interval) -> Interval:
    """The sum over the first axis."""
    total = parts[0]
    for i in range(1, len(parts.lo)):
        total = total + parts[i]
    return total
