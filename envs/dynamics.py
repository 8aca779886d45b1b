"""The equations of the bundled systems.

The environments step these functions and the prover encloses them. They are functions of the
module with their parameters bound, so that models and all that holds them can be pickled.
"""

import functools
import math

import jax
import jax.numpy as jnp

from safe_wrappers.models import Model

# Names of the states, with their units.
_PENDULUM = {"angle θ": "rad", "angular velocity θ̇": "rad/s"}
_CART_POLE = {
    "cart position x": "m",
    "pole angle θ": "rad",
    "cart velocity ẋ": "m/s",
    "pole angular velocity θ̇": "rad/s",
}
_QUADROTOR = {"x": "m", "z": "m", "roll": "rad", "ẋ": "m/s", "ż": "m/s", "roll rate": "rad/s"}


def pendulum(
    *,
    mass: float = 1.0,
    length: float = 1.0,
    gravity: float = 9.81,
    torque: float = 30.0,
    dt: float = 0.05,
) -> Model:
    """A uniform rod on a hinge, upright at th = 0 (the task of Walter et al. 2025, arXiv
    2506.01665).

    State (th rad, thd rad/s), action a in [-1, 1] times `torque` N m, disturbance w rad/s^2;
    semi-implicit Euler.
    th'' = 1.5 g / l sin th + 3 / (m l^2) torque a + w.

    Args:
        mass: kg.
        length: m.
        gravity: m/s^2.
        torque: N m at a = 1.
        dt: s.
    """
    stiffness, gear = 1.5 * gravity / length, 3.0 * torque / (mass * length**2)
    step = functools.partial(_pendulum_step, stiffness=stiffness, gear=gear, dt=dt)
    parameters = {"mass": mass, "length": length, "gravity": gravity, "torque": torque, "dt": dt}
    return Model(
        "safe_pendulum",
        step,
        state_size=2,
        action_size=1,
        disturbance_size=1,
        parameters=parameters,
        state_names=tuple(_PENDULUM),
        units=_PENDULUM,
    )


def _pendulum_step(
    x: jax.Array,
    action: jax.Array,
    disturbance: jax.Array,
    *,
    stiffness: float,
    gear: float,
    dt: float,
) -> jax.Array:
    th, thd = x
    thd = thd + dt * (stiffness * jnp.sin(th) + gear * action[0] + disturbance[0])
    return jnp.stack([th + dt * thd, thd])


def cart_pole(
    *,
    cart_mass: float = 1.0,
    pole_mass: float = 0.1,
    half_length: float = 0.5,
    gravity: float = 9.8,
    force: float = 10.0,
    dt: float = 0.02,
) -> Model:
    """The frictionless cart-pole of Barto, Sutton and Anderson (1983), upright at th = 0.

    State (x m, th rad, x_dot m/s, th_dot rad/s), action a in [-1, 1] times `force` N on the cart,
    disturbance (w1 N on the cart, w2 N m on the pole) as generalised forces, M(q) q'' = tau + w;
    semi-implicit Euler.

    Args:
        cart_mass: kg.
        pole_mass: kg, a uniform pole.
        half_length: m.
        gravity: m/s^2.
        force: N at a = 1.
        dt: s.
    """
    parameters = {
        "cart_mass": cart_mass,
        "pole_mass": pole_mass,
        "half_length": half_length,
        "gravity": gravity,
        "force": force,
        "dt": dt,
    }
    return Model(
        "safe_cart_pole",
        functools.partial(_cart_pole_step, **parameters),
        state_size=4,
        action_size=1,
        disturbance_size=2,
        parameters=parameters,
        state_names=tuple(_CART_POLE),
        units=_CART_POLE,
    )


def _cart_pole_step(
    x: jax.Array,
    action: jax.Array,
    disturbance: jax.Array,
    *,
    cart_mass: float,
    pole_mass: float,
    half_length: float,
    gravity: float,
    force: float,
    dt: float,
) -> jax.Array:
    total, moment = cart_mass + pole_mass, pole_mass * half_length
    pos, th, vel, thd = x
    sin, cos = jnp.sin(th), jnp.cos(th)
    temp = (force * action[0] + disturbance[0] + moment * thd * thd * sin) / total
    inertia = half_length * (4.0 / 3.0 - pole_mass / total * cos * cos)
    th_acc = (gravity * sin + disturbance[1] / moment - temp * cos) / inertia
    acc = temp - moment / total * th_acc * cos
    vel, thd = vel + dt * acc, thd + dt * th_acc
    return jnp.stack([pos + dt * vel, th + dt * thd, vel, thd])


def quadrotor(
    *,
    gravity: float = 9.81,
    thrust_range: float = 6.0 / 7.0,
    max_roll: float = math.pi / 12.0,
    roll_gain: float = 55.0,
    roll_stiffness: float = 70.0,
    roll_damping: float = 17.0,
    dt: float = 0.05,
) -> Model:
    """A quadrotor in the vertical plane with an attitude controller inside (after Mitchell et al.
    2019).

    State (x m, z m, roll rad, x_dot m/s, z_dot m/s, roll_dot rad/s), actions (thrust, desired roll)
    in [-1, 1]^2 with T = gravity + thrust_range a1 per unit of mass and u2 = max_roll a2,
    disturbance (w1, w2) in m/s^2; semi-implicit Euler. x'' = T sin roll + w1; z'' = T cos roll -
    gravity + w2; roll'' = roll_gain u2 - roll_stiffness roll - roll_damping roll_dot.

    Args:
        gravity: m/s^2; the thrust at a1 = 0 holds it.
        thrust_range: m/s^2 at a1 = 1.
        max_roll: rad, the desired roll at a2 = 1.
        roll_gain: 1/s^2.
        roll_stiffness: 1/s^2.
        roll_damping: 1/s.
        dt: s.
    """
    parameters = {
        "gravity": gravity,
        "thrust_range": thrust_range,
        "max_roll": max_roll,
        "roll_gain": roll_gain,
        "roll_stiffness": roll_stiffness,
        "roll_damping": roll_damping,
        "dt": dt,
    }
    return Model(
        "safe_quadrotor",
        functools.partial(_quadrotor_step, **parameters),
        state_size=6,
        action_size=2,
        disturbance_size=2,
        parameters=parameters,
        state_names=tuple(_QUADROTOR),
        units=_QUADROTOR,
    )


def _quadrotor_step(
    x: jax.Array,
    action: jax.Array,
    disturbance: jax.Array,
    *,
    gravity: float,
    thrust_range: float,
    max_roll: float,
    roll_gain: float,
    roll_stiffness: float,
    roll_damping: float,
    dt: float,
) -> jax.Array:
    pos, height, roll, vel, climb, rate = x
    thrust = gravity + thrust_range * action[0]
    vel = vel + dt * (thrust * jnp.sin(roll) + disturbance[0])
    climb = climb + dt * (thrust * jnp.cos(roll) - gravity + disturbance[1])
    rate = rate + dt * (
        roll_gain * max_roll * action[1] - roll_stiffness * roll - roll_damping * rate
    )
    return jnp.stack([pos + dt * vel, height + dt * climb, roll + dt * rate, vel, climb, rate])


def seeker(*, speed: float = 1.0, dt: float = 0.1) -> Model:
    """A point in the plane between two fixed circular obstacles, which belong to the state.

    State (p1 m, p2 m, then for each obstacle its centre and its radius, c1 m, c2 m, r m), actions
    the velocity in units of `speed`, disturbance (w1, w2) in m. p' = p + dt speed a + w; the
    obstacles stay.

    Args:
        speed: m/s in each coordinate at |a_i| = 1.
        dt: s.
    """
    parameters = {"speed": speed, "dt": dt}
    return Model(
        "safe_seeker",
        functools.partial(_seeker_step, **parameters),
        state_size=8,
        action_size=2,
        disturbance_size=2,
        parameters=parameters,
    )


def _seeker_step(
    x: jax.Array, action: jax.Array, disturbance: jax.Array, *, speed: float, dt: float
) -> jax.Array:
    return jnp.concatenate([x[:2] + dt * speed * action + disturbance, x[2:]])
