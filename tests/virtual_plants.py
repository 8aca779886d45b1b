"""Plants with virtual inputs for tests, and their claims."""

import functools

import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.certificates import Block, BlockForm, Claim, VirtualBlocks
from safe_wrappers.certification._blocks import product
from safe_wrappers.models import Cascade, Mechanical
from safe_wrappers.synthesis._admissible_set import admissible_rows
from safe_wrappers.synthesis._gain_search import limits_of
from safe_wrappers.synthesis._joint_polygon import joint_polygon, outward

DT = 0.02
G = 9.81


def mass_matrix(q):
    c = 0.5 * jnp.cos(q[1])
    return jnp.array([[1.5, 0.4], [0.4, 0.4]]) + c * jnp.array([[2.0, 1.0], [1.0, 0.0]])


def bias(q, speed):
    s = 0.5 * jnp.sin(q[1])
    turn = 2 * speed[0] + speed[1]
    return jnp.stack([-s * turn * speed[1], s * speed[0] ** 2])


def arm(torque=(40.0, 15.0), armature=0.1):
    """Two joints in a horizontal plane: no gravity."""
    return Mechanical(mass_matrix, bias, torque=list(torque), dt=DT, armature=armature)


ARM_X = sw.Box.symmetric([2.0, 2.0, 3.0, 3.0])
ARM_W = sw.Box.symmetric([0.5, 0.5])
ARM_BLOCKS = (Block((0, 2), (0,)), Block((1, 3), (1,)))
ARM_V = (3.0, 4.0)
STEP = float(np.float32(DT))
JOINT = BlockForm(
    np.array([[1.0, STEP], [0.0, 1.0]]), np.array([[STEP**2], [STEP]]), None, np.zeros(1)
)


@functools.cache
def arm_sets():
    """The polygons of both joints."""
    return tuple(joint_polygon(2.0, 3.0, v - 0.1, 0.5, STEP) for v in ARM_V)


def claimed(parts, changed, n):
    """The claim of these parts, those that `changed` names replaced, and what else it gives."""
    parts |= {key: changed.pop(key) for key in list(changed) if key in parts}
    factors = [sw.Polytope(H, np.ones(len(H))) for H in parts["sets"]]
    return Claim(
        parts["model"],
        safe_state_set=product(parts["blocks"], factors, n),
        constraint_set=parts["X"],
        disturbance_set=parts["W"],
        sigma=parts["sigma"],
        blocks=parts["blocks"],
        virtual=VirtualBlocks(parts["V"], parts["forms"]),
        **changed,
    )


def arm_claim(**changed):
    """The claim about the arm, or another one that differs from it."""
    parts = {
        "model": arm(),
        "sets": arm_sets(),
        "X": ARM_X,
        "W": ARM_W,
        "V": sw.Box.symmetric(ARM_V),
        "forms": (JOINT, JOINT),
        "sigma": 1e-4,
        "blocks": ARM_BLOCKS,
    }
    return claimed(parts, changed, 4)


def drone_step(x, v, w):
    """x, z, tilt, speed in x, speed in z; v: vertical acceleration and rate of the tilt."""
    push = (G + v[0]) * jnp.tan(x[2])
    vx, vz = x[3] + DT * (push + w[0]), x[4] + DT * (v[0] + w[1])
    return jnp.stack([x[0] + DT * vx, x[1] + DT * vz, x[2] + DT * v[1], vx, vz])


def drone():
    """A drone in a vertical plane whose thrust (m/s^2) and rate of tilt are commanded."""
    one = jnp.ones(())
    return Cascade(
        "drone",
        drone_step,
        matrix=lambda x: jnp.diag(jnp.stack([1 / jnp.cos(x[2]), one.astype(x.dtype)])),
        offset=lambda x: jnp.stack([G / jnp.cos(x[2]), jnp.zeros_like(x[0])]),
        action_box=sw.Box([G - 4.0, -3.0], [G + 4.0, 3.0]),
        state_names=("x", "z", "tilt", "x speed", "z speed"),
        disturbance_size=2,
    )


DRONE_X = sw.Box.symmetric([2.0, 2.0, 0.3, 1.5, 1.5])
DRONE_W = sw.Box.symmetric([0.3, 0.3])
DRONE_V = sw.Box.symmetric([1.5, 2.5])
DRONE_BLOCKS = (Block((0, 2, 3), (1,)), Block((1, 4), (0,)))
SLOPE = 10.1
LATERAL = BlockForm(
    np.array([[1.0, STEP**2 * SLOPE, STEP], [0.0, 1.0, 0.0], [0.0, STEP * SLOPE, 1.0]]),
    np.array([[0.0], [STEP], [0.0]]),
    np.array([[-0.55, -5.5, -1.3]], np.float32),
    np.zeros(1),
)


@functools.cache
def lateral_set(push=0.95):
    """The admissible set of the drone's sideways block, for pushes up to so many m/s^2."""
    form = LATERAL
    E = np.array([[STEP**2], [0.0], [STEP]]) * push
    E = np.hstack([E, form.B * 0.01])
    reach = np.array([2.0, 0.3, 1.5])
    limits = np.array([2.5]) * (1 - 2e-6)
    rows = admissible_rows(
        form.A + form.B @ form.K.astype(float),
        np.zeros(3),
        E,
        limits_of(form.K.astype(float), (reach, reach), (limits, limits)),
        margin=2e-4,
    )
    assert rows is not None
    return outward(rows)


def drone_claim(**changed):
    """The claim about the drone, or another one that differs from it."""
    climb = joint_polygon(2.0, 1.5, 1.4, 0.3, STEP)
    parts = {
        "model": drone(),
        "sets": (lateral_set(), climb),
        "X": DRONE_X,
        "W": DRONE_W,
        "V": DRONE_V,
        "forms": (LATERAL, JOINT),
        "sigma": 1e-4,
        "blocks": DRONE_BLOCKS,
    }
    return claimed(parts, changed, 5)
