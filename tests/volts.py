"""A cart whose motor takes volts, for tests of natural units: its safe set is known without a
search.
"""

import functools

import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw

PUSH, WIND = 0.1, 0.05  # what the largest action and the largest disturbance do to the speed
# Ordinary limits, and limits at which float32 is coarse, tiny or not symmetric.
BOXES = {
    "12 V": (-12.0, 12.0),
    "one-sided": (0.0, 5.0),
    "asymmetrical": (-0.3, 0.7),
    "far from 0": (1e3, 1e3 + 2),
    "tiny": (-5e-7, 5e-7),
    "tiny and one-sided": (1e-6, 2e-6),
    "no float32 middle": (0.1, np.float32(0.1) + 30001 * np.spacing(np.float32(0.1))),
}


def ends(box):
    """Lower and upper bound of a box, float64, as float32 holds them."""
    return tuple(float(np.float32(end)) for end in BOXES[box])


@functools.cache
def cart(box="12 V"):
    """(drift, speed): the speed follows the voltage, the drift follows the speed."""
    low, high = ends(box)
    middle, half = (low + high) / 2, (high - low) / 2

    def step(x, a, w):
        speed = x[1] + PUSH * (a[0] - middle) / half + WIND * w[0]
        return jnp.stack([0.9 * x[0] + 0.05 * x[1], speed])

    return sw.Model(
        "cart",
        step,
        disturbance_size=1,
        action_box=sw.Box([low], [high]),
        state_names=("drift", "speed"),
        action_names=("voltage",),
        units={"drift": "m", "speed": "m/s", "voltage": "V"},
    )


def claim(model):
    """|drift| <= 1 and |speed| <= 1 for |w| <= 1."""
    eye = np.eye(2)
    return sw.Claim(
        model,
        safe_state_set=sw.Polytope(np.concatenate([eye, -eye]), np.ones(4)),
        constraint_set=sw.Box.symmetric([2.0, 2.0]),
        disturbance_set=sw.Box.symmetric([1.0]),
    )


@functools.cache
def system(box="12 V"):
    return sw.ModelSystem(claim(cart(box)), state=lambda x: x)


def worst_speed(box, x, action):
    """The largest |speed| after a step, over all disturbances, for x (N, 2) and actions (N, 1)."""
    low, high = ends(box)
    share = (np.asarray(action, np.float64)[:, 0] - (low + high) / 2) / ((high - low) / 2)
    return np.abs(np.asarray(x, np.float64)[:, 1] + PUSH * share) + WIND
