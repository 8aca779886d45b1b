"""A watchdog on observations: is each state explained by the one before?"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..safe_actions import StepCheck, System, units_of
from . import _numpy_controller as numpy_controller
from ._numpy_controller import Observation


class Watchdog(numpy_controller.Watchdog):
    """Asks of every observed state x whether the model explains it by the one before: whether x
    lies in f(x_before, action, W), up to the claim's allowance for rounding.

    If it does not, an assumption of the guarantee is violated: the observation is late, stale or
    wrong, the disturbance was outside W, another action was executed, or the model is wrong. No
    safeguard can repair that, so use the emergency stop of the plant. What it cannot see is a wrong
    observation that some disturbance in W would explain: a constant delay while the action does
    not change, or a sensor that stands still while the plant could.

    Args:
        system: A `ModelSystem` or a `ZonotopeSystem`.

    Raises:
        CertificateError: If the system has no model or no allowance for rounding.

    Example:
        >>> certificate = envs.load_certificate("safe_pendulum", "narrow")
        >>> watchdog = Watchdog(ModelSystem(certificate, state=lambda x: x))
        >>> watchdog.observe([0.1, 0.0]).explained
        True
        >>> watchdog.executed([0.0])
        >>> watchdog.observe([0.1, 0.0]).explained  # gravity would have moved it
        False
    """

    def __init__(self, system: System) -> None:
        super().__init__(_Explainer(system))


class _Explainer:
    """What a watchdog asks: the check of one step, compiled."""

    def __init__(self, system: System) -> None:
        check, units = StepCheck.of(system), units_of(system)
        self.state_size, self.action_size = check.model.state_size, system.action_size
        self._check = jax.jit(lambda x, a, next_x: check.monitor(x, units.unit(a), next_x))

    def explain(self, x: Any, action: Any, next_x: Any) -> Observation:
        given = (jnp.asarray(value, jnp.float32) for value in (x, action, next_x))
        found = self._check(*given)
        return Observation(
            bool(found.modelled), float(found.excess), np.asarray(found.disturbance, np.float64)
        )
