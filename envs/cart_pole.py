"""The safe cart-pole: balance a pole on a cart inside a certified set."""

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

_FAR = 100.0  # m, far outside every safe set


class SafeCartPole(CertifiedEnv):
    """The frictionless cart-pole of Barto, Sutton and Anderson (1983), upright at th = 0.

    | | |
    |---|---|
    | state | x (m), th (rad), x_dot (m/s), th_dot (rad/s), neither clamped nor wrapped |
    | action | 1, in [-1, 1], times 10 N on the cart |
    | disturbance | (w1, w2): |w1| <= 0.1 N on the cart, |w2| <= 0.005 N m on the pole |
    | plant | cart 1 kg, uniform pole 0.1 kg and 1 m |
    | dynamics | M(q) q'' = tau + w; semi-implicit Euler, dt = 0.02 s |
    | observation | (x, sin th, cos th, x_dot, th_dot) |
    | reward | -(0.05 (x - x_target)^2 + 0.1 x_dot^2 + th^2 + 0.1 th_dot^2) on the next state |
    | constraints | |x| <= 2.4 and |th| <= the safe set's bound |

    Args:
        safe_set: "wide" (|th| <= 0.5), "classic" (|th| <= 0.2095, 12 degrees), or a path to a
            certificate file.
        x_target: The position to hold, m, within 100 m.
        backend: "closed_form", "generalized" or "mjx".
        disturbance: "uniform", "none", "worst_case" or a function (key, x, a) -> w.
        initial_states: "uniform".

    Raises:
        ValueError: If an option is unknown, or a position lies beyond 100 m.
        TypeError: If the position is no number.

    Example:
        >>> env = SafeCartPole()
        >>> env.observation_size, env.action_size
        (5, 1)
    """

    def __init__(
        self,
        *,
        safe_set: str = "wide",
        x_target: float = 0.0,
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
    ):
        super().__init__(
            certificate_of(dynamics.cart_pole(), safe_set),
            "cart_pole.xml",
            backend=backend,
            disturbance=disturbance,
            initial_states=initial_states,
        )
        self.x_target = as_number("x_target", x_target, -_FAR, _FAR)

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return jnp.stack([x[0], jnp.sin(x[1]), jnp.cos(x[1]), x[2], x[3]])

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return -(0.05 * (x[0] - self.x_target) ** 2 + 0.1 * x[2] ** 2 + x[1] ** 2 + 0.1 * x[3] ** 2)

    def observation_bound(self) -> np.ndarray:
        x, _, x_dot, th_dot = self.state_bound()
        return np.array([x, 1.0, 1.0, x_dot, th_dot])

    @property
    def observation_size(self) -> int:
        return 5
