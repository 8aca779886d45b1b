"""What no safe policy can exceed: the best return of a convex problem that contains the task."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from .._errors import SafeWrappersError
from ..certificates._enclosure import ModelEnclosure
from ..certificates._intervals import Interval
from ..envs import ModelEnv
from ..safe_actions import ModelSystem

# Cells of the box of states and actions over which the model is enclosed, at most.
_CELLS = 8_000
# Planes in each direction.
_PLANES = 12
# What counts as 0 in relations between states, in derivatives and in float32 numbers.
_ZERO, _ROUNDING = 1e-9, 1e-6
_SAMPLES = 512
# The solver's tolerances are 1e-8.
_SOLVED = 1e-7


class NoBound(SafeWrappersError):
    """An environment for which there is no convex relaxation, with the reason."""


class Plan(NamedTuple):
    """Solution of the convex problem.

    Args:
        bound: No safe policy has a higher return.
        x: States after each step, shape (steps, n).
        action: Shape (steps, d).
    """

    bound: float
    x: np.ndarray
    action: np.ndarray


class _Dynamics(NamedTuple):
    """What holds for the next state x' of every z = (x, u) with x in S, without disturbances:
    V (x' - J z) <= offsets + slopes z, and relations (x' - J z) = values.
    """

    J: np.ndarray
    V: np.ndarray
    slopes: np.ndarray
    offsets: np.ndarray
    relations: np.ndarray
    values: np.ndarray


class Relaxation:
    """The convex problem of an environment without disturbances, for episodes of one length.

    Its states follow x' = J (x, u) + e. J is a constant matrix, and e is chosen freely in a box
    that contains, over the whole safe set, what the model leaves over: a second-order enclosure by
    interval arithmetic, on cells. Where the model has exact linear relations between its states, as
    q' = q + dt qd', they are kept. The state stays where every disturbance leaves it in S, and u in
    [-1, 1]^d. All safe flights are among these, so the best return of the problem is an upper bound
    of theirs. A concave reward is bounded from above by tangents; where a quadratic part can be
    taken out of it, that part is exact. Tangents are added at each solution.

    The enclosure is rigorous up to rounding in float64. That the reward is concave is tested at
    random states, not proved; so are linear relations.

    Args:
        env: A bundled or registered environment that steps its model, without a safeguard.
        episode_length: Steps.

    Raises:
        NoBound: If there is none: safe actions without a safe set, virtual inputs, a reward that is
            not concave, a model that jumps.
    """

    def __init__(self, env: ModelEnv, episode_length: int):
        if not isinstance(env.system, ModelSystem):
            raise NoBound("its safe actions are given without a convex safe set")
        self._env, self._steps = env, episode_length
        self._n, self._d = env.model.state_size, env.model.action_size
        safe = env.system.safe_state_set
        self._H, self._h = (np.asarray(part, np.float64) for part in safe.halfspaces())
        axes = np.eye(self._n)
        low, high = (np.array([s * safe.support(s * e) for e in axes]) for s in (-1, 1))
        self._box = (
            np.concatenate([low, -np.ones(self._d)]),
            np.concatenate([high, np.ones(self._d)]),
        )
        self._dynamics, push = self._enclose()
        self._room = self._h - push + _ROUNDING * (1 + np.abs(self._h))

    def _enclose(self) -> tuple[_Dynamics, np.ndarray]:
        env, n, d = self._env, self._n, self._d
        low, high = self._box
        enclosure = ModelEnclosure(env.model, np.zeros(env.model.disturbance_size))
        curved = list(enclosure.bend(Interval(low[:, None], high[:, None])).curved)
        per_axis = min(32, int(_CELLS ** (1 / max(len(curved), 1))))
        ends = [np.linspace(low[i], high[i], per_axis + 1) for i in curved]
        cells = np.array(list(itertools.product(*(itertools.pairwise(e) for e in ends))))
        cells = cells.reshape(-1, len(curved), 2) if curved else np.zeros((1, 0, 2))
        below, above = (np.tile(end, (len(cells), 1)) for end in (low, high))
        below[:, curved], above[:, curved] = cells[..., 0], cells[..., 1]
        H = np.pad(self._H, ((0, 0), (0, d)))
        least = np.maximum(H, 0) @ below.T + np.minimum(H, 0) @ above.T
        meets = np.all(least <= self._h[:, None], axis=0)
        below, above = below[meets], above[meets]
        bend = enclosure.bend(Interval(below.T, above.T))
        if bend.jumps.lo.size:
            raise NoBound("its model jumps")
        flat = [i for i in range(n + d) if i not in curved]
        middle, reach = (below + above) / 2, (above - below) / 2
        middle[:, flat] = 0.0

        def step(z):
            return env.model.unit_step(z[:n], z[n:], jnp.zeros(env.model.disturbance_size))

        with jax.enable_x64():
            f, slope = (
                np.asarray(jax.jit(jax.vmap(part))(middle)) for part in (step, jax.jacobian(step))
            )
        # The best linear fit in the variables in which the model is curved.
        J = np.array(slope[0])
        design = np.column_stack([middle[:, curved], np.ones(len(middle))])
        J[:, curved] = np.linalg.lstsq(design, f, rcond=None)[0][:-1].T
        left, turn, reach = f - middle @ J.T, (slope - J)[:, :, curved], reach[:, curved]
        size = np.maximum(np.abs(bend.hessian.lo), np.abs(bend.hessian.hi))
        bent = 0.5 * np.einsum("iabk,ka,kb->ki", size, reach, reach)
        mean = left.mean(axis=0)
        _, values, vectors = np.linalg.svd(np.concatenate([left, self._left_over(step, J)]) - mean)
        values = np.append(values, np.zeros(len(vectors) - len(values)))
        exact = values <= _ZERO * max(1.0, values[0])
        # Where the left-over part is bounded from above by planes, in each direction and its
        # opposite: planes that touch it at some of the cells, and a level one.
        some = np.linspace(0, len(middle) - 1, _PLANES).astype(int)
        V, slopes, offsets = [], [], []
        for v in np.concatenate([vectors[~exact], -vectors[~exact]]):
            touching = np.einsum("kij,i->kj", turn[some], v)
            for plane in np.unique(np.pad(touching, ((0, 1), (0, 0))).round(6), axis=0):
                over = left @ v - middle[:, curved] @ plane
                over += (np.abs(v @ turn - plane) * reach).sum(axis=1) + bent @ np.abs(v)
                row = np.zeros(n + d)
                row[curved] = plane
                V.append(v)
                slopes.append(row)
                offsets.append(over.max() + _ZERO)
        return _Dynamics(
            J,
            np.reshape(V, (-1, n)),
            np.reshape(slopes, (-1, n + d)),
            np.array(offsets),
            vectors[exact],
            vectors[exact] @ mean,
        ), self._push(enclosure)

    def _left_over(self, step: Callable, J: np.ndarray) -> np.ndarray:
        """f - J z at random points of the box, shape (samples, n)."""
        low, high = self._box
        z = np.random.default_rng(0).uniform(low, high, (_SAMPLES, len(low)))
        with jax.enable_x64():
            return np.asarray(jax.jit(jax.vmap(step))(z)) - z @ J.T

    def _push(self, enclosure: ModelEnclosure) -> np.ndarray:
        """How far disturbances push the next state towards each facet at least, shape (m,)."""
        box = self._env.disturbance_set
        x = Interval(*(end[: self._n, None] for end in self._box))
        E = enclosure.disturbance_matrix(x)
        E = (E.lo[..., 0] + E.hi[..., 0]) / 2, (E.hi[..., 0] - E.lo[..., 0]) / 2
        lower, upper = (np.asarray(end, np.float64) for end in (box.lower, box.upper))
        along = self._H @ E[0]
        worst = np.maximum(along * lower, along * upper).sum(axis=1)
        return worst - np.abs(self._H) @ E[1] @ np.maximum(np.abs(lower), np.abs(upper))

    def solve(
        self,
        start: np.ndarray,
        info: Any,
        guess: tuple[np.ndarray, np.ndarray],
        rounds: int = 8,
        *,
        gap: float = 1e-3,
    ) -> Plan:
        """The bound of one episode.

        Args:
            start: The first state, shape (n,).
            info: What the reward reads of the episode's task.
            guess: States after each step, (steps, n), and actions, (steps, d), of a good flight:
                where the first tangents touch.
            rounds: How often tangents are added.
            gap: Relative distance to the return of the guess at which no more are added.

        Raises:
            NoBound: If the reward is not concave, or the solver gives up.
        """
        n = self._n

        def reward(z):
            return self._env.reward(z[:n], self._env.model.actuated(z[:n], z[n:]), info)

        weight = self._weights(reward)
        touch = np.concatenate(guess, axis=1).astype(np.float64)
        with jax.enable_x64():
            value = jax.jit(jax.vmap(jax.value_and_grad(reward)))
            known = float(np.sum(np.asarray(value(touch)[0])))
            best, tangents = None, []
            for _ in range(rounds):
                r, slope = (np.asarray(part) for part in value(touch))
                # Of the concave part, reward + z' diag(weight) z / 2.
                slope = slope + weight * touch
                tangents.append(
                    (slope, r + 0.5 * (weight * touch**2).sum(1) - (slope * touch).sum(1))
                )
                plan = self._program(start, weight, tangents)
                if plan is None:
                    break
                if best is None or plan.bound < best.bound:
                    best = plan
                touch = np.concatenate([plan.x, plan.action], axis=1)
                if best.bound - known <= gap * abs(known):
                    break
        if best is None:
            raise NoBound("the solver of the convex problem gave up")
        return best

    def _weights(self, reward: Callable) -> np.ndarray:
        """The diagonal of a quadratic part that leaves a concave reward, shape (n + d,)."""
        low, high = self._box
        z = np.random.default_rng(1).uniform(low, high, (_SAMPLES, len(low)))
        with jax.enable_x64():
            curvature = np.asarray(jax.jit(jax.vmap(jax.hessian(reward)))(z))
        least = np.maximum(-np.diagonal(curvature, axis1=1, axis2=2).max(axis=0), 0.0)
        scale = max(np.abs(curvature).max(), 1e-12)
        for weight in (least, 0 * least):
            if np.linalg.eigvalsh(curvature + np.diag(weight)).max() <= _ROUNDING * scale:
                return weight
        raise NoBound("its reward is not concave")

    def _program(self, start: np.ndarray, weight: np.ndarray, tangents: list) -> Plan | None:
        """The solution with these tangents; None if the solver gives up.

        Variables are (x_1, u_0), ..., (x_T, u_{T-1}) and one reward of each step.
        """
        n, d, T = self._n, self._d, self._steps
        size = n + d
        here = sparse.identity(T, format="csr")
        before = sparse.diags_array(np.ones(T - 1), offsets=-1, shape=(T, T), format="csr")
        pick_x, pick_u = np.eye(n, size), np.eye(d, size, n)
        J, V, slopes, offsets, relations, values = self._dynamics
        # x_{t+1} - J (x_t, u_t), of which the part of x_0 is known.
        left = sparse.kron(here, pick_x - J[:, n:] @ pick_u) - sparse.kron(
            before, J[:, :n] @ pick_x
        )
        first = np.zeros((T, n))
        first[0] = J[:, :n] @ start
        equal = sparse.kron(here, relations) @ left
        rows, limits = [], []

        def at_most(matrix, limit, rewards=None):
            rewards = sparse.csr_matrix((matrix.shape[0], T)) if rewards is None else rewards
            rows.append(sparse.hstack([matrix, rewards]))
            limits.append(np.ravel(limit))

        limit = np.tile(offsets, (T, 1))
        limit[0] += slopes[:, :n] @ start
        bends = sparse.kron(here, slopes[:, n:] @ pick_u)
        bends += sparse.kron(before, slopes[:, :n] @ pick_x)
        at_most(sparse.kron(here, V) @ left - bends, limit + first @ V.T)
        at_most(sparse.kron(here, self._H @ pick_x), np.tile(self._room, T))
        at_most(sparse.kron(here, pick_u), np.ones(d * T))
        at_most(-sparse.kron(here, pick_u), np.ones(d * T))
        for slope, offset in tangents:
            steep = sparse.block_diag([-row[None] for row in slope], format="csr")
            at_most(steep, offset, here)
        equalities = sparse.hstack([equal, sparse.csr_matrix((equal.shape[0], T))])
        targets = np.ravel(values + first @ relations.T)
        A = sparse.vstack([equalities, *rows], format="csc")
        b = np.concatenate([targets, *limits])
        P = sparse.diags_array(np.concatenate([np.tile(weight, T), np.zeros(T)])).tocsc()
        q = np.concatenate([np.zeros(size * T), -np.ones(T)])
        api: Any = clarabel  # a compiled module without type stubs
        cones = [api.ZeroConeT(len(targets)), api.NonnegativeConeT(len(b) - len(targets))]
        settings = api.DefaultSettings()
        settings.verbose = False
        solution = api.DefaultSolver(P, q, A, b, cones, settings).solve()
        if solution.status != api.SolverStatus.Solved:
            return None
        z = np.asarray(solution.x)[: size * T].reshape(T, size)
        # The value of the dual problem: a bound however good the primal solution is.
        bound = -float(solution.obj_val_dual)
        return Plan(bound + _SOLVED * (1 + abs(bound)), z[:, :n], z[:, n:])
