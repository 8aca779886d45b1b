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


class LQR(NamedTuple):
    """The controller clip(action - gain (x - x_target)), for actions in [-1, 1]^d.

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
    weights.

    The reward must be a concave quadratic function of state and action, the same in all episodes.
    Where each episode has a goal of its own, as for the quadrotor and the seeker, there is no such
    regulator: None.
    """
    n, d = env.model.state_size, env.model.action_size
    if jax.eval_shape(env.task_info, jnp.zeros(n), jax.random.PRNGKey(0)):
        return None
    origin = jnp.zeros(n + d)

    def reward(z: jax.Array) -> jax.Array:
        return env.reward(z[:n], env.model.natural_action(z[n:]), {})

    slope, curvature = (
        np.asarray(value, np.float64)
        for value in jax.jit(lambda z: (jax.grad(reward)(z), jax.hessian(reward)(z)))(origin)
    )
    Q, R = -0.5 * curvature[:n, :n], -0.5 * curvature[n:, n:]
    target = np.linalg.lstsq(2 * Q, slope[:n], rcond=None)[0]

    def linearised(x):
        affine = env.model.affine(x)
        return (
            affine.c,
            affine.B,
            jax.jacobian(
                lambda x, a: env.model.unit_step(x, a, jnp.zeros(env.model.disturbance_size))
            )(x, hold(affine, x)),
        )

    def hold(affine, x):
        return jnp.linalg.lstsq(affine.B, x - affine.c)[0]

    c, B, A = (
        np.asarray(value, np.float64)
        for value in jax.jit(linearised)(jnp.asarray(target, jnp.float32))
    )
    action = np.linalg.lstsq(B, target - c, rcond=None)[0]
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
