"""The bundled plants in float64 NumPy, written from their equations of motion: what the tests of
certificates trust instead of the package's models.

States have shape (..., n), actions (..., d), disturbances (k,) or (..., k). Integration is
semi-implicit Euler throughout.
"""

import itertools

import numpy as np


def pendulum(x, a, w, *, mass=1.0, length=1.0, gravity=9.81, torque=30.0, dt=0.05):
    """A uniform rod about its end: (1/3 m l^2) (th'' - w) = m g (l/2) sin th + torque."""
    th, thd = np.moveaxis(x, -1, 0)
    inertia = mass * length**2 / 3
    acceleration = (mass * gravity * length / 2 * np.sin(th) + torque * a[..., 0]) / inertia + w[
        ..., 0
    ]
    speed = thd + dt * acceleration
    return np.stack([th + dt * speed, speed], axis=-1)


def cart_pole(
    x,
    a,
    w,
    *,
    cart_mass=1.0,
    pole_mass=0.1,
    half_length=0.5,
    gravity=9.8,
    force=10.0,
    dt=0.02,
    hinge=1,
):
    """Lagrange's equations M(q) q'' = tau of a cart with a uniform pole; `hinge=-1` turns the
    hinge's axis around.
    """
    position, th, velocity, thd = np.moveaxis(x, -1, 0)
    moment = pole_mass * half_length
    m11, m12, m22 = cart_mass + pole_mass, hinge * moment * np.cos(th), 4 / 3 * moment * half_length
    tau1 = force * a[..., 0] + w[..., 0] + hinge * moment * thd**2 * np.sin(th)
    tau2 = moment * gravity * np.sin(th) + w[..., 1]
    determinant = m11 * m22 - m12**2
    velocity = velocity + dt * (m22 * tau1 - m12 * tau2) / determinant
    thd = thd + dt * (m11 * tau2 - m12 * tau1) / determinant
    return np.stack([position + dt * velocity, th + dt * thd, velocity, thd], axis=-1)


def quadrotor(
    x,
    a,
    w,
    *,
    gravity=9.81,
    thrust_range=6 / 7,
    max_roll=np.pi / 12,
    roll_gain=55.0,
    roll_stiffness=70.0,
    roll_damping=17.0,
    dt=0.05,
):
    """A thrust vector in the vertical plane, whose angle follows the desired roll."""
    position, roll, speed = x[..., :2], x[..., 2], x[..., 3:]
    thrust = gravity + thrust_range * a[..., 0]
    wind = np.broadcast_to(w, position.shape)
    acceleration = np.stack(
        [
            thrust * np.sin(roll) + wind[..., 0],
            thrust * np.cos(roll) - gravity + wind[..., 1],
            roll_gain * max_roll * a[..., 1] - roll_stiffness * roll - roll_damping * speed[..., 2],
        ],
        axis=-1,
    )
    speed = speed + dt * acceleration
    return np.concatenate(
        [position + dt * speed[..., :2], (roll + dt * speed[..., 2])[..., None], speed], axis=-1
    )


PLANTS = {"safe_pendulum": pendulum, "safe_cart_pole": cart_pole, "safe_quadrotor": quadrotor}


def disturbance_vertices(claim):
    """All vertices of W, shape (2^k, k)."""
    W = claim.disturbance_set
    return np.array(
        list(
            itertools.product(
                *zip(np.asarray(W.lower, np.float64), np.asarray(W.upper, np.float64), strict=True)
            )
        )
    )


def facets(claim):
    """H of S = {H x <= h}, the stored float32 numbers, in float64."""
    return np.asarray(claim.safe_state_set.H, np.float64)


def offsets(claim):
    """h of S = {H x <= h}, the stored float32 numbers, in float64: 1 for sets around the origin."""
    return np.asarray(claim.safe_state_set.h, np.float64)


def action_rows(claim, plant, x):
    """The actions at states x, shape (states, n), that keep the next state in S for all of W: A a
    <= b, shapes (states, m, d) and (states, m).
    """
    H, d = facets(claim), claim.model.action_size
    still = np.zeros((len(x), d))
    corners = disturbance_vertices(claim)
    b = np.min([offsets(claim) - plant(x, still, w) @ H.T for w in corners], axis=0)
    A = np.stack(
        [(plant(x, still + e, corners[0]) - plant(x, still, corners[0])) @ H.T for e in np.eye(d)],
        axis=-1,
    )
    return A, b


def interval(A, b):
    """The a in [-1, 1] with A a <= b for rows of shape (states, m): lower and upper ends, shape
    (states,); empty where lower > upper.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = b / A
    lower = np.where(A < 0, ratio, -1.0).max(axis=1, initial=-1.0)
    upper = np.where(A > 0, ratio, 1.0).min(axis=1, initial=1.0)
    return lower, np.where(((A == 0) & (b < 0)).any(axis=1), -np.inf, upper)
