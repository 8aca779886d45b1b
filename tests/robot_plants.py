"""The bundled robots in float64 NumPy, formulated in another way than the package's models: the arm
by the recursive algorithm of Newton and Euler in Cartesian coordinates, the quadrotor by rotation
matrices and body rates.

States have shape (..., n), actions (..., d) in [-1, 1], disturbances (..., k).
"""

import functools

import numpy as np

GRAVITY = 9.81
ARMS = {
    2: {
        "masses": (3, 1),
        "length": 0.5,
        "torque": (30, 5),
        "armature": (0.2, 0.02),
        "dt": 0.02,
    },
    3: {
        "masses": (3, 2, 1),
        "length": 0.4,
        "torque": (55, 20, 5),
        "armature": (0.3, 0.1, 0.03),
        "dt": 0.02,
    },
    7: {
        "masses": (3, 2.67, 2.33, 2, 1.67, 1.33, 1),
        "length": 0.15,
        "torque": (117, 80, 52, 31, 16, 12, 12),
        "armature": (1, 0.8, 0.5, 0.3, 0.2, 0.1, 0.1),
        "dt": 0.01,
    },
}


def newton_euler(q, speed, acceleration, masses, length):
    """The torques that move uniform rods, hanging at q = 0, in this way; shape (..., n)."""
    angle, rate, turn = (np.cumsum(v, axis=-1) for v in (q, speed, acceleration))
    n = q.shape[-1]
    # Gravity as an acceleration of the base, upwards.
    joint = np.stack([np.zeros(q.shape[:-1]), np.full(q.shape[:-1], GRAVITY)], axis=-1)
    along = np.stack([np.sin(angle), -np.cos(angle)], axis=-1)
    across = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    pull = []
    for i in range(n):
        swing = turn[..., i, None] * across[..., i, :] - rate[..., i, None] ** 2 * along[..., i, :]
        pull.append(masses[i] * (joint + length / 2 * swing))
        joint = joint + length * swing
    torques = np.zeros(q.shape)
    force, torque = np.zeros(joint.shape), np.zeros(q.shape[:-1])
    for i in reversed(range(n)):
        torque = (
            torque
            + masses[i] * length**2 / 12 * turn[..., i]
            + _cross(length / 2 * along[..., i, :], pull[i])
            + _cross(length * along[..., i, :], force)
        )
        force = force + pull[i]
        torques[..., i] = torque
    return torques


def _cross(one, other):
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def arm(x, a, w, *, links):
    """The next state of an arm."""
    masses, length, torque, armature, dt = ARMS[links].values()
    q, speed = x[..., :links], x[..., links:]
    still = np.zeros(q.shape)
    hold = newton_euler(q, speed, still, masses, length)
    columns = [
        newton_euler(q, speed, np.broadcast_to(e, q.shape), masses, length) - hold
        for e in np.eye(links)
    ]
    inertia = np.stack(columns, axis=-1) + np.diag(armature)
    push = a * np.array(torque) - hold
    speed = speed + dt * (np.linalg.solve(inertia, push[..., None])[..., 0] + w)
    return np.concatenate([q + dt * speed, speed], axis=-1)


def rotation(angles):
    """The attitude of yaw, pitch and roll, shape (..., 3, 3); also for complex angles."""
    turns = []
    for i, (j, k) in zip(range(3), ((0, 1), (2, 0), (1, 2)), strict=True):
        turn = np.zeros((*angles.shape[:-1], 3, 3), angles.dtype) + np.eye(3)
        turn[..., j, j] = turn[..., k, k] = np.cos(angles[..., i])
        turn[..., j, k], turn[..., k, j] = -np.sin(angles[..., i]), np.sin(angles[..., i])
        turns.append(turn)
    return turns[0] @ turns[1] @ turns[2]


def body_rates(angles, rates):
    """The vector of R^T dR/dt, by complex steps along the angles' rates; shape (..., 3)."""
    h = 1e-30
    moved = rotation(angles + 1j * h * rates)
    spin = np.swapaxes(moved.real, -1, -2) @ (moved.imag / h)
    return np.stack([spin[..., 2, 1], spin[..., 0, 2], spin[..., 1, 0]], axis=-1)


def quadrotor_3d(x, a, w):
    """The next state of the quadrotor: Newton's equation for the position, Euler's in the body's
    axes, whose angular accelerations are turned into those of yaw, pitch and roll.
    """
    dt, inertia = 0.02, np.array([1.0, 1.05, 1.7])
    angles, velocity, rates = x[..., 3:6], x[..., 6:9], x[..., 9:]
    thrust = GRAVITY + 5.0 * a[..., 0]
    acceleration = thrust[..., None] * rotation(angles)[..., 2] + w - [0, 0, GRAVITY]
    body = body_rates(angles, rates)
    torque = inertia * a[..., 1:] * [25.0, 25.0, 12.0]
    of_body = (torque - np.cross(body, inertia * body)) / inertia
    columns = [body_rates(angles, np.broadcast_to(e, rates.shape)) for e in np.eye(3)]
    # How the body rates change while those of the angles stay.
    h = 1e-6
    later, earlier = (body_rates(angles + s * h * rates, rates) for s in (1, -1))
    change = (later - earlier) / (2 * h)
    turn = np.linalg.solve(np.stack(columns, axis=-1), (of_body - change)[..., None])[..., 0]
    velocity, rates = velocity + dt * acceleration, rates + dt * turn
    return np.concatenate(
        [x[..., :3] + dt * velocity, angles + dt * rates, velocity, rates], axis=-1
    )


ROBOTS = {
    ("safe_arm", "2_links"): functools.partial(arm, links=2),
    ("safe_arm", "3_links"): functools.partial(arm, links=3),
    ("safe_arm", "7_links"): functools.partial(arm, links=7),
    ("safe_quadrotor_3d", "wide"): quadrotor_3d,
}
