"""The equations of the quadrotor in space, with Euler angles and their rates as states."""

import functools

import jax
import jax.numpy as jnp

from safe_wrappers.models import Cascade
from safe_wrappers.sets import Box

_STATES = {
    "x": "m",
    "y": "m",
    "z": "m",
    "yaw": "rad",
    "pitch": "rad",
    "roll": "rad",
    "ẋ": "m/s",
    "ẏ": "m/s",
    "ż": "m/s",
    "yaw rate": "rad/s",
    "pitch rate": "rad/s",
    "roll rate": "rad/s",
}
_ACTIONS = {
    "thrust": "m/s²",
    "roll torque": "rad/s²",
    "pitch torque": "rad/s²",
    "yaw torque": "rad/s²",
}
_Three = tuple[float, float, float]


def quadrotor_3d(
    *,
    gravity: float = 9.81,
    thrust_range: float = 5.0,
    torque: _Three = (25.0, 25.0, 12.0),
    inertia: _Three = (1.0, 1.05, 1.7),
    dt: float = 0.02,
) -> Cascade:
    """A quadrotor with a thrust along its axis and three torques.

    State (position m; yaw, pitch, roll rad, the attitude is Rz(yaw) Ry(pitch) Rx(roll); velocity
    m/s; rates of the three angles rad/s), actions (thrust per mass in m/s^2, within `thrust_range`
    of what holds it; torques, each over its own moment of inertia, in rad/s^2), disturbance the
    wind's acceleration in m/s^2; semi-implicit Euler for positions, angles and their rates.

    Virtual inputs are the accelerations that the actuators cause, of the height and of the three
    angles. The rates of the angles are states, not the body's: then a torque answers what the
    angles' rates do to one another, and each angle is a block of its own.

    Args:
        gravity: m/s^2; the thrust in the middle of its limits holds it.
        thrust_range: m/s^2.
        torque: rad/s^2, the most of each torque over its moment of inertia.
        inertia: Moments of inertia about the body's axes; only their ratios count.
        dt: s.
    """
    parameters = {
        "gravity": gravity,
        "thrust_range": thrust_range,
        **{f"torque_{axis}": value for axis, value in zip("xyz", torque, strict=True)},
        **{f"inertia_{axis}": value for axis, value in zip("xyz", inertia, strict=True)},
        "dt": dt,
    }
    return Cascade(
        "safe_quadrotor_3d",
        functools.partial(_step, gravity, dt),
        matrix=_matrix,
        offset=functools.partial(_offset, gravity, inertia),
        action_box=Box(
            [gravity - thrust_range, *(-value for value in torque)],
            [gravity + thrust_range, *torque],
        ),
        disturbance_size=3,
        parameters=parameters,
        state_names=tuple(_STATES),
        action_names=tuple(_ACTIONS),
        units=_STATES | _ACTIONS,
    )


def _step(gravity: float, dt: float, x: jax.Array, v: jax.Array, wind: jax.Array) -> jax.Array:
    """The motion under v: accelerations of the height and of roll, pitch and yaw."""
    yaw, pitch, roll = x[3:6]
    thrust = (gravity + v[0]) / (jnp.cos(roll) * jnp.cos(pitch))
    sin, cos = jnp.sin(yaw), jnp.cos(yaw)
    forward = jnp.sin(pitch) * jnp.cos(roll)
    push = jnp.stack(
        [
            thrust * (cos * forward + sin * jnp.sin(roll)),
            thrust * (sin * forward - cos * jnp.sin(roll)),
            v[0],
        ]
    )
    velocity = x[6:9] + dt * (push + wind)
    rates = x[9:12] + dt * jnp.stack([v[3], v[2], v[1]])
    return jnp.concatenate([x[:3] + dt * velocity, x[3:6] + dt * rates, velocity, rates])


def _matrix(x: jax.Array) -> jax.Array:
    """P of a = P v + p: thrust over the cosine of the tilt, and body rates from angles' rates."""
    pitch, roll = x[4], x[5]
    zero, one = jnp.zeros_like(roll), jnp.ones_like(roll)
    rows = [
        [1 / (jnp.cos(roll) * jnp.cos(pitch)), zero, zero, zero],
        [zero, one, zero, -jnp.sin(pitch)],
        [zero, zero, jnp.cos(roll), jnp.sin(roll) * jnp.cos(pitch)],
        [zero, zero, -jnp.sin(roll), jnp.cos(roll) * jnp.cos(pitch)],
    ]
    return jnp.stack([jnp.stack(row) for row in rows])


def _offset(gravity: float, inertia: _Three, x: jax.Array) -> jax.Array:
    """p of a = P v + p: the thrust that holds the height, and the torques of steady turning."""
    pitch, roll = x[4], x[5]
    d_yaw, d_pitch, d_roll = x[9:12]
    sin_r, cos_r, sin_p, cos_p = jnp.sin(roll), jnp.cos(roll), jnp.sin(pitch), jnp.cos(pitch)
    body = (
        d_roll - sin_p * d_yaw,
        cos_r * d_pitch + sin_r * cos_p * d_yaw,
        -sin_r * d_pitch + cos_r * cos_p * d_yaw,
    )
    # The body rates' derivative at constant rates of the angles.
    turning = (
        -cos_p * d_pitch * d_yaw,
        -sin_r * d_roll * d_pitch + (cos_r * cos_p * d_roll - sin_r * sin_p * d_pitch) * d_yaw,
        -cos_r * d_roll * d_pitch - (sin_r * cos_p * d_roll + cos_r * sin_p * d_pitch) * d_yaw,
    )
    jx, jy, jz = inertia
    gyroscopic = (
        (jz - jy) / jx * body[1] * body[2],
        (jx - jz) / jy * body[0] * body[2],
        (jy - jx) / jz * body[0] * body[1],
    )
    hold = gravity / (cos_r * cos_p)
    return jnp.stack([hold, *(t + g for t, g in zip(turning, gyroscopic, strict=True))])
