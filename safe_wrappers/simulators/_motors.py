"""Which torque each action of a Brax environment exerts, and on which joint."""

import copy
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from ..sets import Box
from ._support import PAGE

_NEAR = 1e-4  # relative to the range of the controls: how far from linear they may be


def motor_torques(env: Any, state: Any, dofs: Sequence[int], joints: Sequence[str]) -> Box:
    """The torques (N m; forces in N for slides) between which the actions -1 and 1 move the joints,
    shape (d,).

    Args:
        env: A `PipelineEnv`.
        state: Some state of it.
        dofs: The joints' indices into qd.
        joints: Their names.

    Raises:
        ModelError: If not every joint has one motor of its own, driven by the action of its number,
            and no action drives another.
    """
    name = type(env).__name__
    motors: Any = env.sys.actuator
    driven = np.asarray(motors.qd_id).tolist() if env.sys.act_size() else []
    idle = [joint for dof, joint in zip(dofs, joints, strict=True) if dof not in driven]
    if idle:
        raise ModelError(
            f"Every chosen joint of `{name}` must have a motor, but {', '.join(idle)} "
            f"{'has' if len(idle) == 1 else 'have'} none. Sets in blocks need one for each: use "
            "`fit_surrogate` for few states, and do not expect a set for robots whose base moves "
            f"freely. {PAGE}"
        )
    if driven != list(dofs):
        raise ModelError(
            f"The actions of `{name}` must drive the chosen joints, one each and in their order, "
            f"but they drive the joints {driven} where {list(dofs)} were chosen (indices into qd). "
            f"Choose all joints that the actions drive. {PAGE}"
        )
    low, middle, high = (
        _torques(env, state, np.full(len(driven), end, np.float32)) for end in (-1.0, 0.0, 1.0)
    )
    bent = np.abs(low / 2 + high / 2 - middle) > _NEAR * np.abs(high - low)
    servo = np.any([np.asarray(motors.bias_q) != 0, np.asarray(motors.bias_qd) != 0], axis=0)
    for wrong, what in (
        (servo, "feeds the joint's position or speed back"),
        (~(high > low), "pushes backwards, or not at all"),
        (bent, "is clipped between the actions -1 and 1"),
    ):
        if np.any(wrong):
            i = int(np.flatnonzero(wrong)[0])
            raise ModelError(
                f"A motor's torque must be proportional to its action, plus a constant, but that "
                f"of {joints[i]} {what}: {low[i]:.4g} N m for -1, {middle[i]:.4g} for 0 and "
                f"{high[i]:.4g} for 1. Use `fit_surrogate`. {PAGE}"
            )
    return Box(low, high)


def _torques(env: Any, state: Any, action: np.ndarray) -> np.ndarray:
    """What the motors exert when the environment takes this action, shape (d,)."""
    motors = env.sys.actuator
    control = np.clip(_controls(env, state, action), *np.asarray(motors.ctrl_range, np.float64).T)
    force = np.clip(
        np.asarray(motors.gain, np.float64) * control,
        *np.asarray(motors.force_range, np.float64).T,
    )
    return force * np.asarray(motors.gear, np.float64)


def _controls(env: Any, state: Any, action: np.ndarray) -> np.ndarray:
    """What the environment's step makes of an action before the physics takes it, shape (d,)."""
    taken = []

    def pipeline_step(pipeline_state, control):
        taken.append(control)
        return pipeline_state

    twin = copy.copy(env)
    twin.pipeline_step = pipeline_step
    twin.step(state, jnp.asarray(action))
    if not taken:
        raise ModelError(
            f"`{type(env).__name__}.step` must move its joints by `self.pipeline_step(state, "
            "control)`, but it does not call it."
        )
    return np.asarray(taken[0], np.float64)
