"""A state deep inside the constraint set that an action can hold."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, linprog
from scipy.stats import qmc

from .._errors import SetDimensionError
from ..models import Model
from ..sets import Box, Polytope
from ._failure import SynthesisError
from ._limits import Limits
from ._scaled_model import ScaledSystem

_STARTS = 8
_STEPS = 40  # linear programs of one start
_HELD = 1e-9  # a state counts as held if it moves by less, relative to the range of each state
# Weights of moving against the depth, which is at most a few units. The next one is tried only if
# no start found rest with the one before: with a short time step a state of a large range moves by
# little in a step, and a small weight then takes a deep state that moves for the better one.
_PENALTIES = (1e2, 1e4, 1e6)
_DIGITS = 6  # a centre is rounded to so many digits of its range, if it is held there as well


class _Candidate(NamedTuple):
    """A state and its action in scaled coordinates, how good they are, how deep the state lies, and
    how far it moves.
    """

    y: np.ndarray
    action: np.ndarray
    merit: float
    depth: float
    moved: float


def equilibrium(model: Model, constraint_set: Box | Polytope, disturbance_set: Box) -> np.ndarray:
    """A state x with f(x, a, w) = x for some action a in [-1, 1]^d and the middle w of W, deep
    inside X and held by an action that leaves room to both sides, shape (n,), float64.

    A bounded convex set that is robust control invariant contains such a state (by the theorem of
    Brouwer), so that without one there is no safe set. A nonlinear program is solved by linear ones
    from several starts; the answer is the same at every call.

    Args:
        model: x' = f(x, a, w), affine in (a, w).
        constraint_set: X, dimension n.
        disturbance_set: W, dimension k.

    Raises:
        SynthesisError: If no such state was found.
        SetDimensionError: If X is empty.
    """
    middle, scale = _middle(constraint_set)
    system = ScaledSystem(model, disturbance_set, middle, scale)
    limits = Limits.of(constraint_set, middle, scale)
    starts = _starts(constraint_set, middle, scale)
    found, held = [], []
    for penalty in _PENALTIES:
        found += [_improved(system, limits, start, penalty) for start in starts]
        held = [
            candidate for candidate in found if candidate.moved <= _HELD and candidate.depth > 0
        ]
        if held:
            break
    if not held:
        nearest = min(found, key=lambda candidate: candidate.moved)
        raise SynthesisError(
            f"No state was found inside the constraints of `{model.name}` in which an action can "
            "hold it while the disturbance is in the middle of its box. Every bounded safe set "
            "contains one. The slowest motion found is "
            f"{(nearest.moved * scale).max():.3g} a step at x = {middle + scale * nearest.y}. "
            "Widen the constraints, use stronger actions, or pass a state of rest that you know as "
            "`center=`; a state that only grows, such as a distance travelled, has to be taken out "
            "of the model."
        )
    best = max(held, key=lambda candidate: round(candidate.merit, 6))
    return middle + scale * _rounded(system, best)


def _middle(constraint_set: Box | Polytope) -> tuple[np.ndarray, np.ndarray]:
    """A point inside X and the size of X in every direction; 1 where X is not bounded."""
    if isinstance(constraint_set, Box):
        lower, upper = (
            np.asarray(bound, np.float64) for bound in (constraint_set.lower, constraint_set.upper)
        )
    else:
        _require_interior(constraint_set)
        axes = np.eye(constraint_set.dim)
        lower = np.array([-constraint_set.support(-axis) for axis in axes])
        upper = np.array([constraint_set.support(axis) for axis in axes])
    with np.errstate(invalid="ignore"):
        middle, scale = (lower + upper) / 2, (upper - lower) / 2
    one_sided = np.where(np.isfinite(lower), lower + 1, np.where(np.isfinite(upper), upper - 1, 0))
    bounded = np.isfinite(scale)
    return np.where(bounded, middle, one_sided), np.where(bounded & (scale > 0), scale, 1.0)


def _require_interior(polytope: Polytope) -> None:
    H, h = (np.asarray(part, np.float64) for part in (polytope.H, polytope.h))
    room = np.linalg.norm(H, axis=1)
    bounds = [(None, None)] * polytope.dim + [(0, 1)]
    widest = linprog(
        np.append(np.zeros(polytope.dim), -1.0), np.column_stack([H, room]), h, bounds=bounds
    )
    if widest.status != 0 or not widest.x[-1] > 0:
        raise SetDimensionError(
            "`constraints` must have an interior, but no ball fits between its half-spaces: check "
            "the signs of H and h in H x <= h."
        )


def _starts(constraint_set: Box | Polytope, middle: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The middle, and points spread over the box around it, in scaled coordinates."""
    spread = qmc.Halton(len(middle), scramble=False).random(_STARTS)[1:] * 2 - 1
    return np.concatenate([np.zeros((1, len(middle))), 0.9 * spread])


def _improved(system: ScaledSystem, limits: Limits, y: np.ndarray, penalty: float) -> _Candidate:
    """Sequential linear programming from one start: the deepest state of rest near it."""
    action, radius = np.zeros(system.model.action_size), 1.0
    local = _Local(system, limits, y, action, penalty)
    for _ in range(_STEPS):
        step = local.step(radius)
        if step is None:
            break
        after = _Local(system, limits, y + step[0], action + step[1], penalty)
        if after.merit > local.merit + 1e-12:
            y, action, local, radius = after.y, after.action, after, min(1.0, 2 * radius)
        else:
            radius /= 4
        if radius < 1e-7:
            break
    return local.settled()


class _Local:
    """The state, its motion and the derivative of that, for one pair of state and action, with the
    weight of moving.
    """

    def __init__(
        self,
        system: ScaledSystem,
        limits: Limits,
        y: np.ndarray,
        action: np.ndarray,
        penalty: float,
    ):
        self.system, self.limits, self.y, self.action = system, limits, y, action
        self.penalty = penalty
        local = system.linearise(y[None])
        self.A, self.B = local.jacobian(action[None])[0], local.B[0]
        self.moved = local.drift(action[None])[0] + local.E[0] @ system.w_center - y
        self.widths = _widths(limits)
        depths = _depths(limits, self.widths, y)
        self.depth = float(depths.min(initial=1.0))
        # A state deep inside X that takes nearly all of the action to hold is no good centre: the
        # lesser of both counts most, and then every single depth.
        room = float((1 - np.abs(action)).min())
        self.merit = (
            2 * len(depths) * min(self.depth, room)
            + depths.sum()
            + room
            - penalty * np.abs(self.moved).sum()
            - penalty * max(0.0, -self.depth)
        )

    def step(self, radius: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The change of state and action that a linear program takes to be best.

        Its variables are dy, da, the depth of every row, the least of these depths and of the room
        of the actions, that room, and the motion that is left to either side.
        """
        n, d, r = len(self.y), len(self.action), len(self.widths)
        size = n + d + r + 2 + 2 * n
        dy, da, t = slice(0, n), slice(n, n + d), slice(n + d, n + d + r)
        least, room = n + d + r, n + d + r + 1
        cost = np.zeros(size)
        cost[t], cost[least], cost[room], cost[room + 1 :] = -1.0, -2.0 * r, -1.0, self.penalty
        rows, bounds = [], []
        level = self.limits.rows @ self.y
        for sign, bound in ((1.0, self.limits.upper), (-1.0, -self.limits.lower)):
            for i in np.flatnonzero(np.isfinite(bound)):
                row = np.zeros(size)
                row[dy], row[t.start + i] = sign * self.limits.rows[i], self.widths[i]
                rows.append(row)
                bounds.append(bound[i] - sign * level[i])
            for j in range(d):
                row = np.zeros(size)
                row[n + j], row[room] = sign, 1.0
                rows.append(row)
                bounds.append(1 - sign * self.action[j])
        for other in (*range(t.start, t.stop), room):
            row = np.zeros(size)
            row[least], row[other] = 1.0, -1.0
            rows.append(row)
            bounds.append(0.0)
        motion = np.zeros((n, size))
        motion[:, dy], motion[:, da] = self.A - np.eye(n), self.B
        motion[:, room + 1 : room + 1 + n], motion[:, room + 1 + n :] = np.eye(n), -np.eye(n)
        ranges = [(-radius, radius)] * (n + d) + [(None, 1)] * (r + 1) + [(0, 1)]
        ranges += [(0, None)] * (2 * n)
        result: OptimizeResult = linprog(
            cost, np.array(rows), np.array(bounds), motion, -self.moved, ranges
        )
        return (result.x[dy], result.x[da]) if result.status == 0 else None

    def settled(self) -> _Candidate:
        """The same after a few steps of Newton's method, which hold the state exactly."""
        y, action, moved, local = self.y, self.action, self.moved, self
        for _ in range(4):
            matrix = np.column_stack([local.A - np.eye(len(y)), local.B])
            step = np.linalg.lstsq(matrix, -moved, rcond=1e-10)[0]
            after = _Local(
                self.system,
                self.limits,
                y + step[: len(y)],
                np.clip(action + step[len(y) :], -1, 1),
                self.penalty,
            )
            if not np.abs(after.moved).max() < np.abs(moved).max():
                break
            local, y, action, moved = after, after.y, after.action, after.moved
        return _Candidate(y, action, local.merit, local.depth, float(np.abs(moved).max()))


def _widths(limits: Limits) -> np.ndarray:
    """Half the distance of the bounds of every row; 1 where there is only one."""
    widths = (limits.upper - limits.lower) / 2
    return np.where(np.isfinite(widths) & (widths > 0), widths, 1.0)


def _depths(limits: Limits, widths: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How deep a point lies between the bounds of every row: 1 in the middle, 0 at a bound."""
    level = limits.rows @ y
    return np.minimum(np.minimum(limits.upper - level, level - limits.lower) / widths, 1.0)


def _rounded(system: ScaledSystem, candidate: _Candidate) -> np.ndarray:
    """The state with few digits, if it is held there as well."""
    center, scale = system.center, system.scale
    digits = 10.0 ** (np.ceil(np.log10(scale)) - _DIGITS)
    y = (np.round((center + scale * candidate.y) / digits) * digits - center) / scale
    local = system.linearise(y[None])
    drift = local.c[0] + local.E[0] @ system.w_center - y
    action = (
        candidate.action
        + np.linalg.lstsq(local.B[0], -(drift + local.B[0] @ candidate.action), rcond=1e-10)[0]
    )
    moved = np.abs(drift + local.B[0] @ np.clip(action, -1, 1)).max()
    return y if moved <= _HELD else candidate.y
