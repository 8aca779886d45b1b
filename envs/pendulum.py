"""The safe pendulum: swing up and balance, or hold an angle, inside a certified set."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from safe_wrappers._gate import as_number

from . import dynamics
from ._assets import certificate_of
from ._certified_env import CertifiedEnv
from ._model_env import Disturbance

_TURN = 2 * np.pi


class SafePendulum(CertifiedEnv):
    """A torque-driven rod, upright at th = 0, after Walter et al. 2025 (arXiv 2506.01665).

    | | |
    |---|---|
    | state | th (rad), thd (rad/s), neither clamped nor wrapped |
    | action | 1, in [-1, 1], times 30 N m |
    | disturbance | w, |w| <= 0.1 rad/s^2 |
    | dynamics | th'' = 14.715 sin th + 90 a + w, semi-implicit Euler, dt = 0.05 s |
    | observation | (sin th, cos th, thd, th): th = pi and -pi are opposite walls of the safe set |
    | reward | -((th - target_angle)^2 + 0.1 thd^2 + 0.001 a^2) on the next state |
    | constraints | |thd| <= 8 and |th| <= the safe set's bound |

    Args:
        safe_set: "full" (|th| <= pi), "upright" (|th| <= pi / 3), "narrow" (|th| <= 0.5),
            "walter2025" (the paper's zonotope, no velocity bound: it reaches 11.6 rad/s), or a path
            to a certificate file.
        target_angle: The angle to hold, rad, within a turn of upright. With 0.8 on the narrow set
            the optimum presses against the boundary.
        backend: "closed_form", "generalized" or "mjx".
        disturbance: "uniform", "none", "worst_case" or a function (key, x, a) -> w.
        initial_states: "uniform" or "generators".

    Raises:
        ValueError: If an option is unknown, or an angle exceeds a full turn.
        TypeError: If the angle is no number.

    Example:
        >>> env = SafePendulum(safe_set="narrow")
        >>> float(env.reset(jax.random.PRNGKey(0)).info["margin"]) > 0
        True
    """

    def __init__(
        self,
        *,
        safe_set: str = "full",
        target_angle: float = 0.0,
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
    ):
        super().__init__(
            certificate_of(dynamics.pendulum(), safe_set),
            "pendulum.xml",
            backend=backend,
            disturbance=disturbance,
            initial_states=initial_states,
        )
        self.target_angle = as_number("target_angle", target_angle, -_TURN, _TURN)

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return jnp.stack([jnp.sin(x[0]), jnp.cos(x[0]), x[1], x[0]])

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return -((x[0] - self.target_angle) ** 2 + 0.1 * x[1] ** 2 + 0.001 * action[0] ** 2)

    def observation_bound(self) -> np.ndarray:
        th, thd = self.state_bound()
        return np.array([1.0, 1.0, thd, th])

    @property
    def observation_size(self) -> int:
        return 4
