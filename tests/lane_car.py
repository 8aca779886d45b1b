"""A car that keeps its lane at 10 m/s, and the same in NumPy."""

import functools

import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.certificates import Block

DT, SPEED, WHEELBASE, RATE = 0.1, 10.0, 2.8, 0.3
LIMITS = sw.Box.symmetric([1.0, 0.15, 0.06])  # m, rad, rad
WINDS = sw.Box.symmetric([0.3, 0.03])  # m/s sideways, rad/s from bends of the road
HORIZON = 6


def step(x, action, wind):
    """Offset from the middle of the lane, heading relative to the lane, steering angle; the action
    is the steering rate.
    """
    offset, heading, steering = x
    return jnp.stack(
        [
            offset + DT * (SPEED * jnp.sin(heading) + wind[0]),
            heading + DT * (SPEED / WHEELBASE * jnp.tan(steering) + wind[1]),
            steering + DT * action[0],
        ]
    )


def plant(x, action, wind):
    """The same in float64, of states (..., 3), actions (..., 1) in [-1, 1], winds (..., 2)."""
    offset, heading, steering = np.moveaxis(np.asarray(x, np.float64), -1, 0)
    return np.stack(
        [
            offset + DT * (SPEED * np.sin(heading) + wind[..., 0]),
            heading + DT * (SPEED / WHEELBASE * np.tan(steering) + wind[..., 1]),
            steering + DT * RATE * np.asarray(action, np.float64)[..., 0],
        ],
        axis=-1,
    )


@functools.cache
def car():
    return sw.Model(
        "car in a lane",
        step,
        3,
        1,
        2,
        action_box=sw.Box.symmetric([RATE]),
        state_names=("offset", "heading", "steering"),
    )


@functools.cache
def certificates():
    """Of the set that a gain keeps, and of the larger one with a plan."""
    base = sw.certify(
        car(),
        constraints=LIMITS,
        disturbances=WINDS,
        blocks=[Block((0, 1, 2), (0,))],
        factors="gain",
        progress=False,
    )
    return base, sw.carry_plan(base, HORIZON, name="planned", progress=False)


@functools.cache
def grown():
    """Of the set at whose vertices some input keeps the lane."""
    return sw.certify(
        car(),
        constraints=LIMITS,
        disturbances=WINDS,
        blocks=[Block((0, 1, 2), (0,))],
        progress=False,
    )
