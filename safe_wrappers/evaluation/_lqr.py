"""The yardstick of every run: a clipped linear-quadratic regulator at the target."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs import State
from scipy.linalg import solve_discrete_are

from ..envs import ModelEnv

# Weight of actions that the reward leaves free: the Riccati equation needs a positive one.
_LEAST_ACTION_WEIGHT = 1e-3
# Below this part of the largest weight the reward says nothing of a direction of the state.
_NO_WEIGHT = 1e-9
_NEWTON_STEPS = 5


class LQR(NamedTuple):
    """The controller clip(action - gain (x - x_target)).

    Args:
        gain: Shape (d, n).
        target: Shape (n,).
        action: What holds the target, shape (d,).
    """

    gain: np.ndarray
    target: np.ndarray
    action: np.ndarray


def lqr(env: ModelEnv) -> LQR | None:
    """The regulator of the model linearised at the state of best reward, for the reward's own
    weights, with the disturbance in the middle of its box.

    The reward must be a concave quadratic function of state and action, the same in all episodes.
    States of which it says nothing are where the plant rests at the best of the others. Where each
    episode has a goal of its own, as for the quadrotor and the seeker, there is no such regulator:
    None.
    """
    n, d = env.model.state_size, env.model.action_size
    if jax.eval_shape(env.task_info, jnp.zeros(n), jax.random.PRNGKey(0)):
        return None
    # Anywhere in the safe set: the reward is quadratic, but perhaps only there.
    center = np.asarray(getattr(env.system, "center", np.zeros(n)), np.float32)
    middle = jnp.asarray(env.disturbance_set.center, jnp.float32)

    def reward(z: jax.Array) -> jax.Array:
        return env.reward(z[:n], z[n:], {})

    slope, curvature = (
        np.asarray(value, np.float64)
        for value in jax.jit(lambda z: (jax.grad(reward)(z), jax.hessian(reward)(z)))(
            jnp.concatenate([center, jnp.zeros(d)])
        )
    )
    Q, R = -0.5 * curvature[:n, :n], -0.5 * curvature[n:, n:]
    target = center + np.linalg.lstsq(2 * Q, slope[:n], rcond=None)[0]

    @jax.jit
    def linearised(x):
        c, B, E = env.model.affine(x)
        still = c + E @ middle
        hold = jnp.linalg.lstsq(B, x - still)[0]
        return still, B, jax.jacobian(lambda x: env.model(x, hold, middle))(x)

    def at(x):
        return (np.asarray(value, np.float64) for value in linearised(jnp.asarray(x, jnp.float32)))

    weights, axes = np.linalg.eigh(Q)
    free = axes[:, weights <= _NO_WEIGHT * weights.max()]
    for _ in range(_NEWTON_STEPS if free.size else 0):
        # x' - x = still + B a - x must vanish along x = target + free y.
        still, B, A = at(target)
        rest = np.column_stack([(A - np.eye(n)) @ free, B])
        held = np.linalg.lstsq(B, target - still, rcond=None)[0]
        move = np.linalg.lstsq(rest, target - still - B @ held, rcond=None)[0]
        target = target + free @ move[: free.shape[1]]
    still, B, A = at(target)
    action = np.linalg.lstsq(B, target - still, rcond=None)[0]
    R = R + _LEAST_ACTION_WEIGHT * np.eye(d) * (np.linalg.eigvalsh(R).min() <= 0)
    P = solve_discrete_are(A, B, Q, R)
    gain = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
    return LQR(*(np.asarray(value, np.float32) for value in (gain, target, action)))


def lqr_policy(env: ModelEnv):
    """The regulator as a policy of `Evaluation`."""

    def policy(controller: LQR, state: State, key: jax.Array) -> jax.Array:
        del key
        error = env.system.state(state) - controller.target
        return jnp.clip(controller.action - jnp.sum(controller.gain * error, axis=1), -1.0, 1.0)

    return policy
