"""The safe quadrotor in space: hover in the middle or fly to way-points, inside a certified set."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from safe_wrappers._gate import one_of
from safe_wrappers._length import length
from safe_wrappers.safe_actions import Commands

from ._assets import certificate_of
from ._certified_env import CertifiedEnv
from ._model_env import Disturbance
from .quadrotor_3d_dynamics import quadrotor_3d

GOALS = ("hover", "waypoint")
# Way-points lie within this part of the range of each position.
_WITHIN = 0.7


class SafeQuadrotor3D(CertifiedEnv):
    """A quadrotor in space with a thrust and three torques, 12 states.

    | | |
    |---|---|
    | state | x, y, z (m), yaw, pitch, roll (rad), and their rates (m/s, rad/s), never clamped |
    | action | 4, in [-1, 1]: thrust per mass, g + 5 a1 (m/s^2); torques about the body's x, y and |
    | | z, each over its moment of inertia, 25 a2, 25 a3, 12 a4 (rad/s^2) |
    | disturbance | wind: |w_i| <= 0.5 m/s^2 in x, y and z |
    | dynamics | rigid body, attitude Rz(yaw) Ry(pitch) Rx(roll), moments of inertia 1 : 1.05 : |
    | | 1.7; semi-implicit Euler in positions, angles and their rates, dt = 0.02 s |
    | observation | the state and the goal (x, y, z) |
    | reward | -(d + 0.05 (speeds^2 + yaw^2) + 0.01 (rates of the angles)^2 + 0.001 |a|^2), |
    | | d the distance to the goal in the next state |
    | constraints | |x|, |y| <= 3 m, |z| <= 2 m, |yaw| <= 0.1, |pitch|, |roll| <= 0.35 (20 |
    | | degrees); |x'|, |y'| <= 2, |z'| <= 1.5 m/s; yaw rate 0.4, pitch and roll rates 2 rad/s |

    The safe set is a product of four blocks: (x, pitch), (y, roll), z and yaw, each with its rates
    and kept whatever the others do. The closed form is its only backend; `sys` is for rendering.

    Args:
        goal: "hover" (the origin) or "waypoint" (a random position, 0.7 of the range in each
            coordinate).
        safe_set: "wide", or a path to a certificate file.
        disturbance: "uniform", "none", "worst_case" or a function (key, x, a) -> w.
        initial_states: "uniform".
        commands: "actions" (thrust and torques), or "virtual": the actions are accelerations of
            z (1 m/s^2), roll and pitch (12 rad/s^2) and yaw (2 rad/s^2), from the box V of the
            certificate, and thrust and torques bring them about.

    Raises:
        ValueError: If an option is unknown.

    Info:
        goal: The position to reach, (x, y, z), shape (3,); renewed on reset.

    Example:
        >>> env = SafeQuadrotor3D()
        >>> env.observation_size, env.action_size
        (15, 4)
    """

    def __init__(
        self,
        *,
        goal: str = "hover",
        safe_set: str = "wide",
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
        commands: Commands = "actions",
    ):
        model = quadrotor_3d()
        super().__init__(
            certificate_of(model, safe_set),
            "quadrotor_3d.xml",
            physics=False,
            backend=backend,
            disturbance=disturbance,
            initial_states=initial_states,
            commands=commands,
        )
        self.goal = one_of("goal", goal, GOALS)
        self._middle = np.asarray(model.action_box.center, np.float32)
        self._reach = np.asarray(model.action_box.radius, np.float32)
        self._range = _WITHIN * self.state_bound()[:3].astype(np.float32)

    def task_info(self, x: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        if self.goal == "hover":
            return {"goal": jnp.zeros(3, x.dtype)}
        return {
            "goal": jnp.asarray(self._range) * jax.random.uniform(key, (3,), x.dtype, -1.0, 1.0)
        }

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return jnp.concatenate([x, info["goal"]])

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        motion = jnp.sum(x[6:9] ** 2) + x[3] ** 2
        effort = jnp.sum(((action - self._middle) / self._reach) ** 2)
        turning = jnp.sum(x[9:] ** 2)
        away = length(x[:3] - info["goal"])
        return -(away + 0.05 * motion + 0.01 * turning + 0.001 * effort)

    def observation_bound(self) -> np.ndarray:
        return np.append(self.state_bound(), self._range)

    @property
    def observation_size(self) -> int:
        return 15
