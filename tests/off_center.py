"""Plants whose safe sets lie away from the origin, in their own units, and their float64 twins."""

import jax.numpy as jnp
import numpy as np

from safe_wrappers import Box, Claim, Model, Polytope
from safe_wrappers.certificates import Block
from safe_wrappers.envs import CertifiedEnv

DT, GRAVITY, LIFT, DRAG = 0.1, 9.81, 10.0, 0.05
# A set of the drone between 1 and 9 m, -2 and 3 m/s, from `synthesise`; h - H (5, 0) = 1.
DRONE_H = np.array(
    [
        [0.0, 0.3333337],
        [0.2451929, 0.0242343],
        [0.2500002, 0.0],
        [-0.2500002, 0.0],
        [0.0, -0.5000005],
        [-0.2449686, -0.0241984],
        [0.236097, 0.0459995],
        [-0.2354427, -0.0459239],
        [0.2239681, 0.0641971],
    ]
)
DRONE_CENTER = np.array([5.0, 0.0])
DRONE_SET = Polytope(DRONE_H, 1 + DRONE_H @ DRONE_CENTER)
DRONE_LIMITS = Box(np.array([1.0, -2.0]), np.array([9.0, 3.0]))
WIND = Box.symmetric([1.0])


def _axis(position, speed, acceleration):
    speed = speed + DT * (acceleration - DRAG * speed * abs(speed))
    return position + DT * speed, speed


def drone():
    """Height in m and speed in m/s of a drone that rests at half of its thrust."""

    def step(x, a, w):
        return jnp.stack(_axis(x[0], x[1], LIFT * (1 + a[0]) - GRAVITY + w[0]))

    return Model("drone", step, 2, 1, 1, {"dt": DT})


def drone_plant(x, a, w):
    """The same in float64 NumPy."""
    acceleration = LIFT * (1 + a[..., 0]) - GRAVITY + w[..., 0]
    return np.stack(_axis(x[..., 0], x[..., 1], acceleration), axis=-1)


def drone_claim(model=None, **changes):
    parts = {
        "safe_state_set": DRONE_SET,
        "constraint_set": DRONE_LIMITS,
        "disturbance_set": WIND,
    }
    return Claim(model or drone(), **{**parts, **changes})


class Drone(CertifiedEnv):
    """Holds a height near the upper limit."""

    goal = 8.5

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -((x[0] - self.goal) ** 2) - 0.01 * action[0] ** 2

    def observation_bound(self):
        return self.state_bound()

    @property
    def observation_size(self):
        return 2


def tank():
    """Litres in a tank: a pump of 0 to 10 l/s fills it, consumers take w = 4 to 6 l/s."""
    return Model("tank", lambda x, a, w: x + 0.5 * (5.0 + 5.0 * a - w), 1, 1, 1)


TANK_LIMITS = Box(np.array([20.0]), np.array([60.0]))
TANK_OUTFLOW = Box(np.array([4.0]), np.array([6.0]))


def tank_claim(low=20.001, high=59.999, **changes):
    parts = {
        "safe_state_set": Polytope.from_vertices(np.array([[low], [high]])),
        "constraint_set": TANK_LIMITS,
        "disturbance_set": TANK_OUTFLOW,
    }
    return Claim(tank(), **{**parts, **changes})


ASIDE = 20.0  # m, from the origin to the middle of the sideways limits
PLANE_BLOCKS = (Block((0, 2), (0,)), Block((1, 3), (1,)))


def plane():
    """Height and position aside, then their speeds. Aside the air is thinner higher up."""

    def step(x, a, w):
        height, up = _axis(x[0], x[2], LIFT * (1 + a[0]) - GRAVITY + w[0])
        thrust = (LIFT + 0.05 * (5.0 - x[0])) * a[1]
        aside, along = _axis(x[1], x[3], thrust + w[1])
        return jnp.stack([height, aside, up, along])

    return Model("plane", step, 4, 2, 2, {"dt": DT})


def plane_plant(x, a, w):
    """The same in float64 NumPy."""
    height, up = _axis(x[..., 0], x[..., 2], LIFT * (1 + a[..., 0]) - GRAVITY + w[..., 0])
    thrust = (LIFT + 0.05 * (5.0 - x[..., 0])) * a[..., 1]
    aside, along = _axis(x[..., 1], x[..., 3], thrust + w[..., 1])
    return np.stack([height, aside, up, along], axis=-1)


def plane_claim(**changes):
    H = np.zeros((2 * len(DRONE_H), 4))
    H[: len(DRONE_H), [0, 2]] = H[len(DRONE_H) :, [1, 3]] = DRONE_H
    parts = {
        "safe_state_set": Polytope(H, 1 + H @ np.array([5.0, ASIDE, 0.0, 0.0])),
        "constraint_set": Box(
            np.array([1.0, ASIDE - 4, -2.0, -2.0]), np.array([9.0, ASIDE + 4, 3.0, 3.0])
        ),
        "disturbance_set": Box.symmetric([1.0, 1.0]),
        "blocks": PLANE_BLOCKS,
    }
    return Claim(plane(), **{**parts, **changes})
