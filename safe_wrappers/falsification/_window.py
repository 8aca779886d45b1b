"""Many short trajectories at once: requests and disturbances as a plan says, and what came of
them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._batches import batched
from .._programs import compiled_by_content
from ..envs import joint_state
from ._probe import Chosen, Probe, planned, probed
from ._subject import Subject

# Who chooses: what is given, or what pushes the state out.
GIVEN, AIMED, WORST = 0, 1, 2

_BATCH = 4096  # states whose next states are computed at once


class Plan(NamedTuple):
    """Requests and disturbances of N trajectories of T steps.

    Attributes:
        requests: Used where they are GIVEN, shape (T, N, d).
        disturbances: Used where they are GIVEN, shape (T, N, k).
        asker: GIVEN or AIMED, how a trajectory's requests are made. Shape (N,).
        adversary: GIVEN, AIMED, or WORST: the one that brings the next state nearest to leaving
            the safe set, or farthest out. Shape (N,).
        direction: In which direction AIMED ones push the state; 0 for that of the steepest descent
            of the margin. Shape (N, n).
    """

    requests: Any
    disturbances: Any
    asker: Any
    adversary: Any
    direction: Any


class Steps(NamedTuple):
    """What happened, arrays of shape (T, N, ...).

    Attributes:
        x: States before, n.
        reached: States after, n.
        request: What was requested, d.
        action: What was executed, d.
        disturbance: What acted, k.
        least: The least float32 margin of the state that was reached and of those that other
            disturbances in W would have led to.
    """

    x: Any
    reached: Any
    request: Any
    action: Any
    disturbance: Any
    least: Any


class Windows:
    """Runs the trajectories of a subject.

    Args:
        subject: What is attacked.
    """

    def __init__(self, subject: Subject):
        judge = self.judge = subject.judge
        self._trusting = subject.safeguard is None
        model = judge.model
        n, d, k = model.state_size, model.action_size, model.disturbance_size
        nothing = Plan(
            jnp.zeros(d, jnp.float32),
            jnp.zeros(k, jnp.float32),
            jnp.zeros((), jnp.int32),
            jnp.zeros((), jnp.int32),
            jnp.zeros(n, jnp.float32),
        )
        self._env: Any = subject.guarded(lambda env: Probe(env, self._choose, nothing))

    def run(self, x: np.ndarray, plan: Plan) -> Steps:
        """The trajectories from the states x, shape (N, n), as NumPy arrays. Compiled once for each
        shape.
        """
        plan = Plan(*(jnp.asarray(part) for part in plan))
        return Steps(*(np.asarray(part) for part in _run(self, jnp.asarray(x, jnp.float32), plan)))

    def next_states(self, x: np.ndarray, action: np.ndarray) -> np.ndarray:
        """The next states of the model that is meant, for all disturbances among which the worst is
        sought: shapes (N, n), (N, d) -> (N, V, n), float32, as the plant computes them.
        """
        return batched(functools.partial(_next_states, self), _BATCH)(x, action)

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Random states that the guarantee covers, shape (count, n), float32."""
        return np.asarray(_sample(self, jax.random.split(jax.random.PRNGKey(seed), count)))

    def one(self, x: jax.Array, plan: Plan) -> Steps:
        """One trajectory, inside jit: requests and disturbances of shapes (T, d) and (T, k)."""

        def step(state: Any, given: tuple[jax.Array, jax.Array]) -> tuple[Any, Steps]:
            request, disturbance = given
            before = joint_state(state)
            if self._trusting:  # nobody asks a bare plant for what is no action
                request = jnp.clip(request, -1.0, 1.0)
            now = plan._replace(requests=request, disturbances=disturbance)
            request = jnp.where(plan.asker == AIMED, self._aimed(now, before)[0], request)
            after = self._env.step(planned(state, now), request)
            _, action, chosen = probed(after)
            reached = joint_state(after)
            least = jnp.minimum(chosen.least, self.judge.margin(reached))
            return after, Steps(before, reached, request, action, chosen.disturbance, least)

        with jax.default_matmul_precision("highest"):
            state = self._env.reset_to(x, jax.random.PRNGKey(0))
            return jax.lax.scan(step, state, (plan.requests, plan.disturbances))[1]

    def _choose(self, plan: Plan, x: jax.Array, action: jax.Array) -> Chosen:
        """The adversary."""
        judge = self.judge
        candidates = judge.candidates(x, action)
        margins = jax.vmap(lambda w: judge.margin(judge.model.unit_step(x, action, w)))(candidates)
        margins = jnp.where(jnp.isfinite(margins), margins, -jnp.inf)
        worst = candidates[jnp.argmin(margins)]
        aimed = self._aimed(plan, x)[1]
        given = jnp.clip(plan.disturbances, judge.lower, judge.upper)
        w = jnp.where(plan.adversary == WORST, jax.lax.stop_gradient(worst), given)
        return Chosen(jnp.where(plan.adversary == AIMED, aimed, w), jnp.min(margins))

    def _aimed(self, plan: Plan, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The request and the disturbance that push the next state farthest in a direction."""
        judge, x = self.judge, jax.lax.stop_gradient(x)
        lower, upper = jnp.asarray(judge.lower), jnp.asarray(judge.upper)
        c, B, E = judge.model.affine(x)
        middle = c + jnp.sum(E * (lower + upper) / 2, axis=1)
        out = jnp.where(
            jnp.any(plan.direction != 0), plan.direction, -jax.grad(judge.margin)(middle)
        )
        request = jnp.sign(jnp.sum(out[:, None] * B, axis=0))
        push = jnp.sum(out[:, None] * E, axis=0)
        return request, jnp.where(push > 0, upper, lower)


@compiled_by_content
def _run(windows: Windows, x: jax.Array, plan: Plan) -> Steps:
    over = Plan(1, 1, 0, 0, 0)
    return jax.vmap(windows.one, in_axes=(0, over), out_axes=1)(x, plan)


@compiled_by_content
def _next_states(windows: Windows, x: jax.Array, action: jax.Array) -> jax.Array:
    judge = windows.judge

    def one(x: jax.Array, action: jax.Array) -> jax.Array:
        step = judge.model.unit_step
        with jax.default_matmul_precision("highest"):
            return jax.vmap(lambda w: step(x, action, w))(judge.candidates(x, action))

    return jax.vmap(one)(x, action)


@compiled_by_content
def _sample(windows: Windows, keys: jax.Array) -> jax.Array:
    return jax.vmap(windows.judge.sample)(keys)
