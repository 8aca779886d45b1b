"""The safe quadrotor: hold a position in the vertical plane, or fly to a far one, inside a
certified set.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from safe_wrappers._gate import one_of
from safe_wrappers._length import length

from . import dynamics
from ._assets import certificate_of
from ._certified_env import CertifiedEnv
from ._model_env import Disturbance

GOALS = ("start", "far")
# Where far goals lie, m. At the speed limits an episode of 12 s covers 9.6 m in x and 12 m in z.
_FAR = 6.0


class SafeQuadrotor(CertifiedEnv):
    """A quadrotor in the vertical plane whose roll is controlled, after Mitchell et al. 2019.

    | | |
    |---|---|
    | state | x, z (m), roll (rad), x_dot, z_dot (m/s), roll_dot (rad/s), never clamped |
    | action | 2, in [-1, 1]^2: thrust T = g + 6/7 a1 (m/s^2), desired roll u2 = pi/12 a2 (rad) |
    | disturbance | (w1, w2), wind: |w_i| <= 0.1 m/s^2 in x and z |
    | dynamics | x'' = T sin roll + w1, z'' = T cos roll - g + w2 |
    | | roll'' = 55 u2 - 70 roll - 17 roll_dot; semi-implicit Euler, dt = 0.05 s |
    | observation | the state, and from the position to the goal (x, z) |
    | reward | -(2.5 d + 0.1 (roll^2 + x_dot^2 + z_dot^2 + roll_dot^2) + 0.002 T^2 + 0.001 u2^2), |
    | | d the distance to the goal in the next state |
    | constraints | |x|, |z| <= 8, |roll| <= pi/12, |x_dot| <= 0.8, |z_dot| <= 1, |
    | | |roll_dot| <= pi/2 |

    The safe set is a product: facets of its own for (z, z_dot), whatever the roll, and for (x,
    roll, x_dot, roll_dot), whatever the thrust. The closed form is its only backend; `sys` is for
    rendering.

    Args:
        goal: "start" (the initial position) or "far" (|x| = |z| = 6, on the other side of the
            origin in both coordinates, so that it is reached fastest at the speed limits, which are
            facets of the safe set).
        safe_set: "wide", or a path to a certificate file.
        disturbance: "uniform", "none", "worst_case" or a function (key, x, a) -> w.
        initial_states: "uniform".

    Raises:
        ValueError: If an option is unknown.

    Info:
        goal: The position to reach, (x, z), shape (2,); renewed on reset.

    Example:
        >>> env = SafeQuadrotor()
        >>> env.observation_size, env.action_size
        (8, 2)
    """

    def __init__(
        self,
        *,
        goal: str = "start",
        safe_set: str = "wide",
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
    ):
        super().__init__(
            certificate_of(dynamics.quadrotor(), safe_set),
            "quadrotor.xml",
            physics=False,
            backend=backend,
            disturbance=disturbance,
            initial_states=initial_states,
        )
        self.goal = one_of("goal", goal, GOALS)

    def task_info(self, x: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        if self.goal == "start":
            return {"goal": x[:2]}
        return {"goal": jnp.where(x[:2] > 0, -_FAR, _FAR).astype(x.dtype)}

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return jnp.concatenate([x, info["goal"] - x[:2]])

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        parameters = self.model.parameters
        thrust = parameters["gravity"] + parameters["thrust_range"] * action[0]
        desired_roll = parameters["max_roll"] * action[1]
        motion = jnp.sum(x[2:] ** 2)
        return -(
            2.5 * length(x[:2] - info["goal"])
            + 0.1 * motion
            + 0.002 * thrust**2
            + 0.001 * desired_roll**2
        )

    def observation_bound(self) -> np.ndarray:
        bound = self.state_bound()
        return np.append(bound, bound[:2] + np.maximum(bound[:2], _FAR))

    @property
    def observation_size(self) -> int:
        return 8
