"""The yardstick of a run: a clipped linear-quadratic regulator at the best state of rest."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs import Env, State
from scipy.linalg import null_space, solve_discrete_are
from scipy.optimize import minimize

from .._errors import SafeWrappersError
from ..envs import ModelEnv
from ..sets import Box, Polytope, Zonotope

# Weight of actions that the reward leaves free: the Riccati equation needs a positive one.
_LEAST_ACTION_WEIGHT = 1e-3
# How far a state of rest may move in a step, in the scale where S has a half-width of 1.
_REST = 1e-6
_NO_SOLUTION = (
    "the Riccati equation has no solution at the best state of rest: the reward does not see, or "
    "the actions do not reach, some part of the motion"
)


class NoRegulator(SafeWrappersError):
    """An environment whose reward or model gives no linear-quadratic regulator, with the reason."""


class LQR(NamedTuple):
    """The controller clip(action - gain (x - x_target)), for actions in [-1, 1]^d.

    Args:
        gain: Shape (d, n).
        target: Shape (n,); not in S where a better state lies beyond its boundary.
        action: The action that holds the target, shape (d,).
    """

    gain: np.ndarray
    target: np.ndarray
    action: np.ndarray


def lqr(env: Env) -> LQR:
    """The regulator at the state of rest in the safe set with the best reward.

    A state of rest x is held by an action a in the box, under the disturbance in the middle of W:
    f(x, a, w) = x. At the best of them the model is linearised, and the second derivatives of the
    reward are the weights. Where the boundary of S keeps that state from a better one, the
    regulator aims beyond the boundary, as the slope of the reward asks. Behind a safeguard the
    regulator is as safe as any policy; how good it is, is another matter: it is the best policy for
    a linear model and a quadratic reward, as long as nothing is clipped.

    Args:
        env: An environment that steps a model, without a safeguard.

    Raises:
        NoRegulator: If there is none: the environment steps no model, each episode has a task of
            its own, no state of rest is found, or the reward has no curvature there that asks for
            one, as -|x| has none.
    """
    if not isinstance(env, ModelEnv):
        raise NoRegulator(f"{type(env).__name__} does not step a model")
    n, d = env.model.state_size, env.model.action_size
    safe = getattr(env.system, "safe_state_set", None)
    if jax.eval_shape(env.task_info, jnp.zeros(n), jax.random.PRNGKey(0)):
        raise NoRegulator("each episode has a task of its own")
    if not isinstance(safe, Polytope | Zonotope):
        raise NoRegulator("the safe set is not given as a polytope")
    middle = _middle(env.disturbance_set)

    def reward(z: jax.Array) -> jax.Array:
        return env.reward(z[:n], env.model.actuated(z[:n], z[n:]), {})

    def step(z: jax.Array) -> jax.Array:
        return env.model.unit_step(z[:n], z[n:], jnp.asarray(middle, z.dtype))

    try:
        # In float64: an optimiser looks at differences that float32 does not have.
        with jax.enable_x64():
            z = _best_rest(safe, jax.jit(reward), jax.jit(step), n, d)
            slope, curvature, motion = (
                np.asarray(jax.jit(derivative)(jnp.asarray(z)), np.float64)
                for derivative in (jax.grad(reward), jax.hessian(reward), jax.jacobian(step))
            )
    except KeyError as error:
        raise NoRegulator(f"the reward reads info[{error}]") from error
    except (TypeError, ValueError) as error:  # of the user's code: no reason not to train
        said = str(error).splitlines()[0]
        raise NoRegulator(f"the reward cannot be differentiated in float64: {said}") from error
    gain = _gain(-0.5 * curvature, motion[:, :n], motion[:, n:])
    # The best rest of the linear model and the quadratic reward, if S had no boundary.
    rests = null_space(motion - np.eye(n, n + d))
    z = z - rests @ np.linalg.pinv(rests.T @ curvature @ rests, rcond=1e-9) @ rests.T @ slope
    return LQR(*(np.asarray(value, np.float32) for value in (gain, z[:n], z[n:])))


def lqr_policy(env: ModelEnv):
    """The regulator as a policy of `Evaluation`."""

    def policy(controller: LQR, state: State, key: jax.Array) -> jax.Array:
        del key
        error = env.system.state(state) - controller.target
        return jnp.clip(controller.action - jnp.sum(controller.gain * error, axis=1), -1.0, 1.0)

    return policy


def _best_rest(
    safe: Polytope | Zonotope, reward: Callable, step: Callable, n: int, d: int
) -> np.ndarray:
    """(x, a), shape (n + d,): of the states of rest in S the one with the best reward that
    sequential quadratic programming finds from several starts.
    """
    H, h = (np.asarray(value, np.float64) for value in safe.halfspaces())
    axes = np.eye(n)
    low, high = (np.array([sign * safe.support(sign * e) for e in axes]) for sign in (-1, 1))
    scale = np.concatenate([(high - low) / 2, np.ones(d)])
    steps = 0.5 * scale[:n] * axes
    starts = (low + high) / 2 + np.concatenate([np.zeros((1, n)), steps, -steps])

    def at(function: Callable) -> Callable[[np.ndarray], np.ndarray]:
        return lambda y: np.asarray(function(jnp.asarray(scale * y)), np.float64)

    slope, motion = jax.jit(jax.grad(reward)), jax.jit(jax.jacobian(step))
    constraints = [
        {
            "type": "eq",
            "fun": lambda y: (at(step)(y) - (scale * y)[:n]) / scale[:n],
            "jac": lambda y: (at(motion)(y) - np.eye(n, n + d)) * scale / scale[:n, None],
        },
        {
            "type": "ineq",
            "fun": lambda y: h - H @ (scale * y)[:n],
            "jac": lambda y: -np.pad(H, ((0, 0), (0, d))) * scale,
        },
    ]
    bounds = [(None, None)] * n + [(-1.0, 1.0)] * d
    best, value = None, -np.inf
    for start in starts:
        with np.errstate(all="ignore"):
            found = minimize(
                lambda y: -at(reward)(y),
                np.concatenate([start, np.zeros(d)]) / scale,
                jac=lambda y: -at(slope)(y) * scale,
                method="SLSQP",
                bounds=bounds,
                constraints=constraints,
                options={"ftol": 1e-14, "maxiter": 200},
            )
            rests = np.abs(constraints[0]["fun"](found.x)).max(initial=0.0) <= _REST
            inside = constraints[1]["fun"](found.x).min(initial=0.0) >= -_REST
        if rests and inside and -found.fun > value:
            best, value = scale * found.x, -float(found.fun)
    if best is None:
        raise NoRegulator("no state of rest is found in the safe set")
    return best


def _gain(weights: np.ndarray, A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The gain for stage costs z' weights z of z = (A x + B a, a): the reward is that of the next
    state.
    """
    n, d = B.shape
    if not np.isfinite(weights).all():
        raise NoRegulator("the reward has no second derivative at its best state of rest")
    least = np.linalg.eigvalsh(weights)[0]
    largest = np.abs(weights).max()
    if largest == 0 or least < -1e-6 * largest:
        raise NoRegulator("the reward is not concave at its best state of rest")
    Q, N, R = weights[:n, :n], weights[:n, n:], weights[n:, n:]
    R = R + _LEAST_ACTION_WEIGHT * np.eye(d) * (np.linalg.eigvalsh(R).min() <= 0)
    # The reward of the next state A x + B a and of the action a, as one of x and a.
    cross = B.T @ N
    try:
        P = solve_discrete_are(
            A, B, A.T @ Q @ A, R + B.T @ Q @ B + cross + cross.T, s=A.T @ (Q @ B + N)
        )
    except (np.linalg.LinAlgError, ValueError) as error:
        raise NoRegulator(_NO_SOLUTION) from error
    P = P + Q
    gain = np.linalg.solve(R + B.T @ P @ B + cross + cross.T, B.T @ P @ A + N.T @ A)
    if not np.abs(np.linalg.eigvals(A - B @ gain)).max() < 1 + _REST:
        raise NoRegulator(_NO_SOLUTION)
    return gain


def _middle(disturbance_set: Box) -> np.ndarray:
    lower, upper = (
        np.asarray(bound, np.float64) for bound in (disturbance_set.lower, disturbance_set.upper)
    )
    return (lower + upper) / 2
