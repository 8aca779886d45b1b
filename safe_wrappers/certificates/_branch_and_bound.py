"""Simplicial branch and bound: the decision whether a polytope that is covered by simplices is
invariant.

S = {x : F x <= h} has a centre strictly inside. States and next states are measured from it,
y = x - center, so that a set far from the origin is cut as finely as one around it: f stands for
f(center + y, u, w) - center, and S is {y : F y <= room} with room = h - F center.

On a simplex with corners y_j and inputs u_j take the input u(y) = sum_j l_j u_j for
y = sum_j l_j y_j, and write z = (y, u). Taylor's theorem, the inequality
of Cauchy and Schwarz and Popoviciu's inequality bound how far F_i f(z) lies above its interpolation
from the corners:

    F_i f(y, u(y)) <= sum_j l_j F_i f(z_j) + 1/8 sum_ab max |d2 (F_i f) / dz_a dz_b| R_a R_b,

with R_a the range of z_a over the corners and the maximum over their bounding box. The simplex is
proved when for every i

    max_j F_i f(z_j) + that gap + max_w F_i E(y) w <= room_i - sigma,

and bisected otherwise. Where f bends or jumps in the simplex, the corners' values are those of a
smooth function that differs from it by at most the jumps that are added to the gap (`_branches`).
A second bound holds for every f: the upper end of F_i f over the box of the corners. The smaller of
the two counts; the second one decides where the first is infinite.

All numbers in these inequalities are bounded by outward-rounded intervals and midpoints of edges
are exact. How the inputs are chosen proves nothing and needs no care.
"""

import numpy as np

from ..models import Model
from ._coverage import Cover, pulled_inside
from ._enclosure import Bend
from ._goal import Goal
from ._inputs import best_inputs, steady_inputs
from ._intervals import Interval, round_up
from ._result import Proof, inconclusive
from ._rows import RowBounds, sum_up

# Cells are bounded in blocks of this many, so that intermediate arrays stay in the cache.
_BLOCK = 2048
# Weight of an edge's length against how much it curves the bound; some is needed to keep simplices
# from degenerating.
_LENGTH = 0.2
# An input near a jump serves the states on both sides of it within this part of the set's extent.
_REACH = 0.02
# Levels of bisection in search of a state without any safe action, once one without an action of
# margin sigma is known.
_SEARCHED = 10


def without_action(
    claim: Goal, bounds: RowBounds, x: np.ndarray, cells: int, depth: int
) -> Proof | None:
    """A counterexample if no action has a margin above sigma at the state x of S."""
    limit = bounds.largest_margin(x)
    if not limit <= claim.sigma:
        return None
    reason = (
        f"At x = {x}, in S, every action has a margin of at most {limit:.3g}, which must exceed "
        f"sigma = {claim.sigma:.3g}."
    )
    return Proof("counterexample", cells, depth, limit, 0.0, x, reason)


class Search:
    """The branch and bound, one level of bisections at a time: all simplices of a level are bounded
    together.
    """

    def __init__(self, claim: Goal, model: Model, candidate: Cover):
        self.claim = claim
        self.bounds = RowBounds(model, claim.safe_state_set, claim.disturbance_set, claim.center)
        self.n, self.d = model.state_size, model.action_size
        self.scale = 1.0 / np.abs(candidate.points).max(axis=0)
        # Corners z = (y, u), upper bounds of F f at them, and the midpoints that are known already,
        # by their edge.
        self.z = np.zeros((self.n + self.d, 0))
        self.phi = np.zeros((len(self.bounds.F), 0))
        self.midpoints: dict[tuple[int, int], int] = {}
        # The corner whose best input has the smallest margin.
        self.worst, self.worst_margin = np.zeros(self.n), np.inf
        # Whether a jump was met.
        self.jumps = False
        # The centre, which is the apex of all simplices, and the vertices.
        self.add(np.vstack([np.zeros((1, self.n)), candidate.points]).T, None)
        self.cells = np.column_stack(
            [np.zeros(len(candidate.simplices), int), candidate.simplices + 1]
        )

    def run(self, max_cells: int, max_depth: int) -> Proof:
        """Bisects until every simplex is proved, a corner has no safe action, or a limit is
        reached.

        A corner whose best margin lies between 0 and sigma refutes the claim as well, but the
        search goes on for one without any safe action, which is easier to believe.
        """
        cells, proved, margin, depth, refuted_for = self.cells, 0, np.inf, 0, 0
        while not self.worst_margin < 0:
            blocks = [self.bound(cells[s : s + _BLOCK]) for s in range(0, len(cells), _BLOCK)]
            excess, edges = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
            done = excess <= -self.claim.sigma
            proved += int(done.sum())
            margin = min(margin, float(-excess[done].max(initial=-np.inf)))
            if done.all():
                reason = f"S is invariant with margin {margin:.3g} and lies in X."
                return Proof("proved", proved, depth, margin, 0.0, None, reason)
            cells, edges = cells[~done], edges[~done]
            if proved + 2 * len(cells) > max_cells:
                return self.stopped(
                    f"More than {max_cells} simplices are needed; raise "
                    "`max_cells` or use a set with more margin.",
                    proved,
                    depth,
                )
            refuted_for += self.worst_margin <= self.claim.sigma
            if depth == max_depth or refuted_for > _SEARCHED:
                return self.stopped(
                    f"{len(cells)} simplices are still open after {depth} "
                    "bisections; use a set with more margin.",
                    proved,
                    depth,
                )
            middles = self.bisect(edges, np.ptp(self.z[: self.n, cells], axis=2))
            if middles is None:
                return self.stopped(
                    "Edges became too short to be halved exactly; use a set with more margin.",
                    proved,
                    depth,
                )
            halves = [np.where(cells == edges[:, [end]], middles[:, None], cells) for end in (0, 1)]
            cells, depth = np.concatenate(halves), depth + 1
        return self.counterexample(proved, depth)

    def stopped(self, reason: str, cells: int, depth: int) -> Proof:
        """The answer at a limit: the weakest corner if it refutes the claim, else nothing."""
        return (
            self.counterexample(cells, depth)
            if self.worst_margin <= self.claim.sigma
            else inconclusive(reason, cells, depth)
        )

    def bound(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upper bounds of max_i (F_i f - room_i) over simplices, shape (cells,), and the edge to
        bisect, shape (cells, 2).
        """
        corners = self.z[:, cells]
        z = Interval(corners.min(axis=2), corners.max(axis=2))
        bend = self.bounds.enclosure.bend(z)
        ranges = z.width[list(bend.curved)]
        curvature = self.bounds.project(bend.hessian).magnitude
        gap = 0.125 * sum_up(round_up(curvature * round_up(ranges[:, None] * ranges[None, :])))
        values = self.phi[:, cells].max(axis=2)
        jumps = self.bounds.project(bend.jumps).magnitude
        rough = bend.branches.rough(len(cells))
        self.jumps |= bend.branches.jumps
        if rough.any():
            smooth = self.bounds.enclosure.without_jumps(bend, corners[:, rough], rough)
            values[:, rough] = self.bounds.project(smooth).hi.max(axis=2)
            gap = round_up(gap + sum_up(jumps))
        disturbed = self.bounds.disturbed(z[: self.n])
        bounds = round_up(values + round_up(gap + disturbed))
        unbounded = ~np.isfinite(bounds).all(axis=0)
        plainly = rough | unbounded
        if plainly.any():
            value = self.bounds.enclosure.value(z[: self.n, plainly], z[self.n :, plainly])
            plain = round_up(self.bounds.project(value).hi + disturbed[:, plainly])
            # Each bound holds by itself; one that is NaN says nothing.
            bounds[:, plainly] = np.fmin(bounds[:, plainly], plain)
        excess = round_up(bounds - self.bounds.room.lo[:, None])
        worst = np.where(np.isnan(excess), np.inf, excess).argmax(axis=0)
        which = np.arange(len(cells))
        weight = self.weight(corners, bend, curvature[worst, ..., which], jumps[worst, :, which].T)
        return excess.max(axis=0), self.longest_edge(cells, corners, weight)

    def weight(
        self, corners: np.ndarray, bend: Bend, curvature: np.ndarray, jumps: np.ndarray
    ) -> np.ndarray:
        """How fast the worst facet's bound falls with the range of each state, shape (n, cells).

        Args:
            corners: Shape (n + d, cells, n + 1).
            bend: How the function bends over the cells.
            curvature: Bounds of the facet's second derivatives, shape (cells, c, c).
            jumps: What each open choice may add to it, shape (choices, cells).
        """
        weight = np.zeros((self.n, corners.shape[1]))
        ranges = np.ptp(corners, axis=2)
        for row, a in enumerate(bend.curved):
            if a < self.n:
                weight[a] = np.einsum("cb,bc->c", curvature[:, row], ranges[list(bend.curved)])
        # The range of a choice's operand is about the sum of its slopes times the ranges.
        for slopes, jump in zip(bend.branches.slopes, jumps, strict=True):
            slopes = {a: slope for a, slope in slopes.items() if a < len(ranges)}
            reach = sum(slope * ranges[a] for a, slope in slopes.items())
            for a, slope in slopes.items():
                if a < self.n:
                    weight[a] += jump * slope / np.maximum(reach, 1e-300)
        return weight

    def longest_edge(
        self, cells: np.ndarray, corners: np.ndarray, weight: np.ndarray
    ) -> np.ndarray:
        """The edge along which the worst facet's bound falls most, else the longest one in the
        set's scale.
        """
        first, second = np.triu_indices(cells.shape[1], 1)
        edge = np.abs(corners[: self.n, :, first] - corners[: self.n, :, second])
        length = np.sum(edge * self.scale[:, None, None], axis=0)
        gain = np.sum(edge * weight[:, :, None], axis=0)
        score = np.where(np.isfinite(gain), gain, 0.0)
        score = score / np.maximum(
            score.max(axis=1, keepdims=True), 1e-300
        ) + _LENGTH * length / length.max(axis=1, keepdims=True)
        chosen = score.argmax(axis=1)
        pairs = np.stack(
            [cells[np.arange(len(cells)), ends[chosen]] for ends in (first, second)], axis=1
        )
        return np.sort(pairs, axis=1)

    def bisect(self, edges: np.ndarray, extents: np.ndarray) -> np.ndarray | None:
        """Indices of the edges' midpoints, made where they are new; None if one is not a float64
        number.

        Args:
            edges: Pairs of corners, one of each simplex, shape (cells, 2).
            extents: The ranges of the simplices, shape (n, cells).
        """
        new = [
            edge
            for edge in map(tuple, np.unique(edges, axis=0).tolist())
            if edge not in self.midpoints
        ]
        if new:
            first, second = self.z[:, [i for i, _ in new]], self.z[:, [j for _, j in new]]
            total = first[: self.n] + second[: self.n]
            # The rounding error of the sum (Knuth's TwoSum): halves of a simplex cover it only if
            # midpoints are exact.
            back = total - first[: self.n]
            if np.any((first[: self.n] - (total - back)) + (second[: self.n] - back)):
                return None
            self.midpoints.update(
                zip(new, range(self.z.shape[1], self.z.shape[1] + len(new)), strict=True)
            )
            reach = None
            if self.jumps:
                reach = self.widest(np.array(new), edges, extents)
            self.add(0.5 * total, 0.5 * (first[self.n :] + second[self.n :]), reach)
        return np.array([self.midpoints[edge] for edge in map(tuple, edges.tolist())])

    def widest(self, new: np.ndarray, edges: np.ndarray, extents: np.ndarray) -> np.ndarray:
        """The largest ranges of the simplices at each of the new edges, shape (n, new)."""
        _, owners = np.unique(np.concatenate([new, edges]), axis=0, return_inverse=True)
        owners = owners.ravel()
        largest = np.zeros((owners.max() + 1, self.n))
        np.maximum.at(largest, owners[len(new) :], extents.T)
        return np.minimum(largest[owners[: len(new)]].T, _REACH / self.scale[:, None])

    def worst_rows(self, y: np.ndarray, reach: np.ndarray, b: np.ndarray) -> np.ndarray:
        """b at corners, shape (m, corners); the smallest one within reach where f jumps there."""
        around = Interval(y - reach, y + reach)
        ones = np.ones((self.d, y.shape[1]))
        z = Interval(*(np.concatenate(ends) for ends in ((around.lo, -ones), (around.hi, ones))))
        rough = self.bounds.enclosure.bend(z).branches.rough(y.shape[1])
        return np.where(rough, self.bounds.rows(around)[1].lo, b)

    def add(
        self, y: np.ndarray, preferred: np.ndarray | None, reach: np.ndarray | None = None
    ) -> None:
        """Adds corners with inputs near the preferred ones, and remembers the weakest of all.

        Args:
            y: States measured from the centre, shape (n, corners).
            preferred: Shape (d, corners); by default the inputs are the best ones.
            reach: For a function that jumps, the distances within which an input should serve the
                states on both sides, shape (n, corners).
        """
        A, b = self.bounds.rows(Interval.point(y))
        if preferred is None:
            u, margin = best_inputs(A.middle, b.middle)
        elif reach is None:
            u, margin = steady_inputs(A.middle, b.middle, preferred)
        else:
            worst = self.worst_rows(y, reach, b.middle)
            u, _ = steady_inputs(A.middle, worst, preferred)
            margin = best_inputs(A.middle, b.middle)[1]
        self.z = np.concatenate([self.z, np.concatenate([y, u])], axis=1)
        self.phi = np.concatenate(
            [
                self.phi,
                self.bounds.project(
                    self.bounds.enclosure.value(Interval.point(y), Interval.point(u))
                ).hi,
            ],
            axis=1,
        )
        weakest = int(np.argmin(margin))
        if margin[weakest] < self.worst_margin:
            self.worst, self.worst_margin = y[:, weakest], float(margin[weakest])

    def counterexample(self, cells: int, depth: int) -> Proof:
        """The weakest corner, moved into S and verified to have no action of margin above sigma."""
        x = pulled_inside(self.worst, self.claim.safe_state_set, self.claim.center)
        answer = without_action(self.claim, self.bounds, x, cells, depth)
        return answer or inconclusive(
            f"The best margin at {x} is sigma to within rounding; use a set with more margin.",
            cells,
            depth,
        )
