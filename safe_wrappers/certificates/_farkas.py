"""Blocks that a gain keeps in S, proved in exact rationals by multipliers (Farkas' lemma).

Let S_b = {y : F y <= r} and y' = A y + B (v - v0) + k + E omega with |omega_j| <= 1. With
v = v0 + K y the next state is (A + B K) y + k + E omega, and facet i keeps its margin if for some
q >= 0

    q F = F_i (A + B K)   and   q r + F_i k + sum_j |F_i e_j| <= r_i - sigma_i,

since then F_i y' <= q F y + ... <= q r + .... In the same way S_b lies in X_b, and v in V. A linear
program finds q in floating point; what it misses is put right in rationals on n rows of F, and the
inequalities are then checked in rationals: numbers of the claim are taken as the rationals that
they are. A program that fails, or a q that cannot be put right, proves nothing.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog

from ._coupling import Coupling
from ._exact import Row, dot, product, solved

# What the program misses is put right on rows that may be nearly dependent, which enlarges it.
_EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Side(NamedTuple):
    """An inequality goal . y <= bound that is to hold on S_b.

    Attributes:
        goal: n_b rationals.
        bound: A rational.
        name: What it says, in words.
        margin: Whether it is the margin of a facet.
    """

    goal: Row
    bound: Fraction
    name: str
    margin: bool


class Answer(NamedTuple):
    """Whether all inequalities hold.

    Attributes:
        slack: The least slack of a facet's margin; negative if one failed.
        failed: The inequality that could not be proved, in words, or None.
        inequalities: How many there were.
    """

    slack: float
    failed: str | None
    inequalities: int


def sides_of_gain(
    F: Sequence[Row],
    room: Row,
    margins: Row,
    form: Coupling,
    K: Sequence[Row],
    limits: tuple[Row, Row],
    bounds: tuple[Row, Row],
) -> list[Side]:
    """The inequalities of a block.

    Args:
        F: Its facets, m rows.
        room: r, m numbers.
        margins: sigma, m numbers.
        form: Its exact form.
        K: The gain, d_b rows.
        limits: How far v may go below and above v0, d_b numbers each.
        bounds: How far y may go below and above 0, n_b numbers each.
    """
    closed = _sum(form.A, product(form.B, K))
    sides = []
    for i, (row, r, sigma) in enumerate(zip(F, room, margins, strict=True)):
        (goal,) = product([row], closed)
        bound = r - sigma - dot(row, form.k) - form.push(row)
        sides.append(Side(goal, bound, f"facet {i} keeps its margin", True))
    for j, row in enumerate(K):
        for sign, limit in zip((-1, 1), (limits[0][j], limits[1][j]), strict=True):
            sides.append(Side([sign * v for v in row], limit, f"input {j} stays in V", False))
    return sides + sides_of_limits(bounds)


def sides_of_limits(bounds: tuple[Row, Row]) -> list[Side]:
    """That S_b lies in X_b.

    Args:
        bounds: How far y may go below and above 0, n_b numbers each.
    """
    sides, n = [], len(bounds[0])
    for j in range(n):
        unit = [Fraction(int(i == j)) for i in range(n)]
        for sign, limit in zip((-1, 1), (bounds[0][j], bounds[1][j]), strict=True):
            sides.append(Side([sign * v for v in unit], limit, f"state {j} stays in X", False))
    return sides


def prove_sides(F: Sequence[Row], room: Row, sides: Sequence[Side]) -> Answer:
    """Whether each inequality holds on {y : F y <= room}, room > 0.

    Of two that are mirror images of one another in a set that is its own, one is proved.
    """
    prover = _Prover(F, room)
    least = None
    for side in _once(F, room, sides):
        slack = prover.slack(side)
        if slack is None or slack < 0:
            return Answer(float("nan") if slack is None else float(slack), side.name, len(sides))
        if side.margin:
            least = slack if least is None else min(least, slack)
    return Answer(0.0 if least is None else float(least), None, len(sides))


class _Prover:
    """Multipliers for one set.

    Args:
        F: Facets, m rows of n rationals.
        room: m positive rationals.
    """

    def __init__(self, F: Sequence[Row], room: Row):
        self.F, self.room = F, room
        self.rows = np.array([[float(v) for v in row] for row in F])
        self.radius = np.array([float(v) for v in room])
        # Units in which the set is as wide as 1 along each axis, roughly.
        self.scale = 1.0 / np.maximum(np.abs(self.rows / self.radius[:, None]).max(axis=0), 1e-300)
        self.normal = (self.rows * self.scale).T
        self.mirrors = _mirrors(F, room)

    def slack(self, side: Side) -> Fraction | None:
        """bound - q room for the best multipliers found; None if there are none."""
        if not any(side.goal):
            return side.bound
        found = self._parallel(side)
        return found if found is not None and found >= 0 else self._by_program(side)

    def _parallel(self, side: Side) -> Fraction | None:
        """By a facet that is a multiple of the goal: limits often are facets themselves, and a
        program would miss those by its last digit.
        """
        k = next(i for i, value in enumerate(side.goal) if value)
        for row, room in zip(self.F, self.room, strict=True):
            if row[k] and side.goal[k] / row[k] > 0:
                factor = side.goal[k] / row[k]
                if all(g == factor * f for g, f in zip(side.goal, row, strict=True)):
                    return side.bound - factor * room
        return None

    def _by_program(self, side: Side) -> Fraction | None:
        goal = np.array([float(v) for v in side.goal]) * self.scale
        program = linprog(
            self.radius,
            A_eq=self.normal,
            b_eq=goal,
            bounds=(0, None),
            method="highs-ds",
            options=_EXACT,
        )
        if program.status != 0:
            return None
        q = {i: Fraction(float(v)) for i, v in enumerate(program.x) if v > 1e-12}
        n = len(side.goal)
        wrong = [
            side.goal[j] - sum((v * self.F[i][j] for i, v in q.items()), Fraction(0))
            for j in range(n)
        ]
        if any(wrong):
            base = self._base(program.x)
            correction = None if base is None else _solve([self.F[i] for i in base], wrong)
            if base is None or correction is None:
                return None
            for i, value in zip(base, correction, strict=True):
                q[i] = q.get(i, Fraction(0)) + value
        total = Fraction(0)
        for i, value in q.items():
            if value >= 0:
                total += value * self.room[i]
            else:
                mirror = self.mirrors[i]
                if mirror is None:
                    return None
                total -= value * self.room[mirror]  # minus a facet is its mirror image
        return side.bound - total

    def _base(self, q: np.ndarray) -> list[int] | None:
        """n independent facets, those with large multipliers first."""
        n, chosen = self.rows.shape[1], []
        basis = np.zeros((0, n))
        for i in np.argsort(-q, kind="stable"):
            row = self.normal[:, i] / np.linalg.norm(self.normal[:, i])
            rest = row - basis.T @ (basis @ row)
            if np.linalg.norm(rest) > 1e-3:
                chosen.append(int(i))
                basis = np.vstack([basis, rest / np.linalg.norm(rest)])
            if len(chosen) == n:
                return chosen
        return None


def _once(F: Sequence[Row], room: Row, sides: Sequence[Side]) -> list[Side]:
    """Without those whose mirror image is there with the same bound, if the set is its own."""
    if None in _mirrors(F, room):
        return list(sides)
    kept: dict[tuple[Fraction, ...], Side] = {}
    for side in sides:
        mirror, goal = tuple(-v for v in side.goal), tuple(side.goal)
        known = kept.get(mirror)
        if known is not None and known.bound <= side.bound and known.margin == side.margin:
            continue
        kept[goal] = side if goal not in kept else min(side, kept[goal], key=lambda s: s.bound)
    return list(kept.values())


def _mirrors(F: Sequence[Row], room: Row) -> list[int | None]:
    index = {(tuple(row), r): i for i, (row, r) in enumerate(zip(F, room, strict=True))}
    return [index.get((tuple(-v for v in row), r)) for row, r in zip(F, room, strict=True)]


def _sum(first: Sequence[Sequence[Fraction]], second: Sequence[Row]) -> list[Row]:
    return [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]


def _solve(rows: Sequence[Row], goal: Row) -> Row | None:
    """The q with q rows = goal, exactly."""
    return solved([[*column, value] for *column, value in zip(*rows, goal, strict=True)])
