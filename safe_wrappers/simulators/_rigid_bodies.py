"""The equations of motion of joints, M(q) q'' + c(q, q') = torque, written out from MuJoCo's model.

M comes from the composite rigid body algorithm (Featherstone, Rigid Body Dynamics Algorithms, 2008,
chapter 6) in the frames of the bodies, so that an angle appears only where bodies beyond its joint
turn against those before it; c by Lagrange's equations from the derivatives of M. The numbers of
MuJoCo's model are constants, and what is 0 is left out. A planar arm so has the equations that one
would write by hand, and intervals bound those of a spatial arm well: c of an arm with seven axes to
a factor of two, where the recursive algorithm of Newton and Euler, which turns vectors to and fro,
loses a factor of sixty.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco as _mujoco
import numpy as np

from .._products import dot

mujoco: Any = _mujoco  # which has no type stubs

# A number that is known, or one that JAX traces.
Scalar = Any
Vector = list[Scalar]
Matrix = list[Vector]
# Mass, mass times centre of mass, and inertia about the origin of the frame.
Body = tuple[float, Vector, Matrix]

_SMALL = 1e-12
SLIDE = int(mujoco.mjtJoint.mjJNT_SLIDE)


class Joint(NamedTuple):
    """A joint and what is fixed to the far side of it, in a frame whose z axis is the joint's.

    Attributes:
        parent: Index of the joint before it, -1 if that is the world.
        slides: Whether it moves along its axis, else it turns about it.
        rest: Position where `rotation` and `origin` hold, rad or m.
        rotation: From its frame to the parent's at rest, (3, 3).
        origin: Its frame's origin in the parent's at rest, (3,), m.
        mass: kg.
        moment: Mass times the centre of mass, (3,), kg m.
        inertia: About the frame's origin, (3, 3), kg m^2.
    """

    parent: int
    slides: bool
    rest: float
    rotation: Matrix
    origin: Vector
    mass: float
    moment: Vector
    inertia: Matrix


class RigidBodies:
    """The equations of motion of some joints.

    Args:
        physics: MuJoCo's model.
        dofs: Indices of the joints' velocities, such that no other joint lies between them, or
            between them and the world.
    """

    def __init__(self, physics: Any, dofs: list[int]):
        self.joints = _joints(physics, dofs)
        self.gravity = [float(v) for v in physics.opt.gravity]

    def mass_matrix(self, q: jax.Array) -> jax.Array:
        """M without armatures, shape (n, n)."""
        n = len(self.joints)
        turns = [_turn(joint, q[k]) for k, joint in enumerate(self.joints)]
        M: Matrix = [[0.0] * n for _ in range(n)]
        for k, (mass, moment, inertia) in enumerate(self._composites(q)):
            # Force and torque, at the frame's origin, that bring about an acceleration of 1.
            if self.joints[k].slides:
                force, torque = [0.0, 0.0, mass], [moment[1], -moment[0], 0.0]
            else:
                force, torque = [-moment[1], moment[0], 0.0], [row[2] for row in inertia]
            j = k
            while True:
                M[k][j] = M[j][k] = (force if self.joints[j].slides else torque)[2]
                if self.joints[j].parent < 0:
                    break
                rotation, origin = turns[j]
                force = _apply(rotation, force)
                torque = _add(_apply(rotation, torque), _cross(origin, force))
                j = self.joints[j].parent
        return _array(M, q)

    def bias(self, q: jax.Array, speed: jax.Array) -> jax.Array:
        """c, gravity and Coriolis torques, shape (n,): dM/dt q' less the derivatives of the kinetic
        energy, and those of the potential energy, along q.
        """

        def lagrangian(q: jax.Array) -> jax.Array:
            return dot(dot(self.mass_matrix(q), speed), speed) / 2 - self.potential(q)

        _, change = jax.jvp(self.mass_matrix, (q,), (speed,))
        return dot(change, speed) - jax.grad(lagrangian)(q)

    def potential(self, q: jax.Array) -> jax.Array:
        """The potential energy in the field of gravity, J, shape ()."""
        bodies = self._composites(q)
        weights = [
            _dot(
                self.gravity,
                _seen_from_parent(joint, q[k], bodies[k])[1],
            )
            for k, joint in enumerate(self.joints)
            if joint.parent < 0
        ]
        return -_array(_sum(*weights), q)

    def _composites(self, q: jax.Array) -> list[Body]:
        """Each joint's bodies together with all that hang on them, in its frame."""
        bodies: list[Body] = [(joint.mass, joint.moment, joint.inertia) for joint in self.joints]
        for k in reversed(range(len(self.joints))):
            joint = self.joints[k]
            if joint.parent >= 0:
                mass, moment, inertia = bodies[joint.parent]
                more = _seen_from_parent(joint, q[k], bodies[k])
                bodies[joint.parent] = (
                    mass + more[0],
                    _add(moment, more[1]),
                    [_add(*rows) for rows in zip(inertia, more[2], strict=True)],
                )
        return bodies


def _joints(physics: Any, dofs: list[int]) -> list[Joint]:
    """The joints in the order of `dofs`, with all bodies that they move."""
    number = {int(dof): k for k, dof in enumerate(dofs)}
    # Of each body: the joint it is fixed to, and its place in that joint's frame.
    places: dict[int, tuple[int, np.ndarray, np.ndarray]] = {0: (-1, np.eye(3), np.zeros(3))}
    found: dict[int, Joint] = {}
    bodies: dict[int, list[tuple[float, np.ndarray, np.ndarray]]] = {}
    for body in range(1, physics.nbody):
        k, turn, at = places[int(physics.body_parentid[body])]
        turn, at = turn @ _rotation(physics.body_quat[body]), at + turn @ physics.body_pos[body]
        first = int(physics.body_jntadr[body])
        for j in range(first, first + int(physics.body_jntnum[body])):
            if int(physics.jnt_dofadr[j]) not in number:
                continue
            anchor = np.asarray(physics.jnt_pos[j], np.float64)
            axes = _axes(np.asarray(physics.jnt_axis[j], np.float64))
            parent, k = k, number[int(physics.jnt_dofadr[j])]
            found[k] = Joint(
                parent,
                int(physics.jnt_type[j]) == SLIDE,
                float(physics.qpos0[physics.jnt_qposadr[j]]),
                _numbers(turn @ axes),
                _numbers(at + turn @ anchor),
                0.0,
                [0.0] * 3,
                [[0.0] * 3 for _ in range(3)],
            )
            turn, at = axes.T, -axes.T @ anchor
        places[body] = k, turn, at
        if k >= 0:
            own = turn @ _rotation(physics.body_iquat[body])
            center = at + turn @ physics.body_ipos[body]
            inertia = own @ np.diag(physics.body_inertia[body]) @ own.T
            bodies.setdefault(k, []).append((float(physics.body_mass[body]), center, inertia))
    return [_loaded(found[k], bodies.get(k, [])) for k in range(len(dofs))]


def _loaded(joint: Joint, bodies: list[tuple[float, np.ndarray, np.ndarray]]) -> Joint:
    mass, moment, inertia = 0.0, np.zeros(3), np.zeros((3, 3))
    for m, center, about_center in bodies:
        mass, moment = mass + m, moment + m * center
        shift = (center @ center) * np.eye(3) - np.outer(center, center)
        inertia = inertia + about_center + m * shift
    return joint._replace(mass=mass, moment=_numbers(moment), inertia=_numbers(inertia))


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion, np.float64))
    return matrix.reshape(3, 3)


def _axes(axis: np.ndarray) -> np.ndarray:
    """A rotation whose third column is the axis; a permutation of axes where that is one."""
    axis = axis / np.linalg.norm(axis)
    one = np.cross(axis, np.eye(3)[(int(np.argmax(np.abs(axis))) + 2) % 3])
    one = one / np.linalg.norm(one)
    return np.stack([one, np.cross(axis, one), axis], axis=1)


def _numbers(values: np.ndarray) -> Any:
    """Lists of numbers, where rounding errors of 0 are 0."""
    return np.where(np.abs(values) < _SMALL, 0.0, values).tolist()


def _turn(joint: Joint, position: Scalar) -> tuple[Matrix, Vector]:
    """The joint's frame in its parent's: rotation and origin."""
    moved = _minus(position, joint.rest)
    if joint.slides:
        return joint.rotation, _add(joint.origin, [_times(row[2], moved) for row in joint.rotation])
    cos, sin = jnp.cos(moved), jnp.sin(moved)
    turn = [
        [
            _sum(_times(x, cos), _times(y, sin)),
            _sum(_times(y, cos), _times(-x, sin)),
            z,
        ]
        for x, y, z in joint.rotation
    ]
    return turn, joint.origin


def _seen_from_parent(joint: Joint, position: Scalar, body: Body) -> Body:
    """Mass, moment and inertia in the parent's frame."""
    mass, moment, inertia = body
    rotation, origin = _turn(joint, position)
    if not joint.slides:
        inertia = _turned(inertia, _minus(position, joint.rest))
    there = _apply(rotation, moment)
    inertia = [
        [_dot(one, _apply(inertia, other)) for other in joint.rotation] for one in joint.rotation
    ]
    twice = _times(2.0, _dot(there, origin))
    square = _times(mass, _dot(origin, origin))
    for a in range(3):
        for b in range(3):
            inertia[a][b] = _sum(
                inertia[a][b],
                *([twice, square] if a == b else []),
                _times(-1.0, _times(there[a], origin[b])),
                _times(-1.0, _times(origin[a], there[b])),
                _times(-mass, _times(origin[a], origin[b])),
            )
    return mass, _add(there, [_times(mass, v) for v in origin]), inertia


def _turned(inertia: Matrix, angle: Scalar) -> Matrix:
    """Inertia after a turn about z, in terms of the double angle: where both axes across it have
    the same inertia, nothing depends on the angle.
    """
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = inertia
    cos, sin, cos2, sin2 = (f(w) for w in (angle, 2 * angle) for f in (jnp.cos, jnp.sin))
    mean, half = _times(0.5, _sum(xx, yy)), _times(0.5, _minus(xx, yy))
    swing = _minus(_times(half, cos2), _times(xy, sin2))
    cross = _sum(_times(half, sin2), _times(xy, cos2))
    x = _minus(_times(xz, cos), _times(yz, sin))
    y = _sum(_times(xz, sin), _times(yz, cos))
    return [[_sum(mean, swing), cross, x], [cross, _minus(mean, swing), y], [x, y, zz]]


def _known(value: Scalar, number: float) -> bool:
    return isinstance(value, float) and value == number


def _times(one: Scalar, other: Scalar) -> Scalar:
    if _known(one, 0.0) or _known(other, 0.0):
        return 0.0
    if _known(one, 1.0):
        return other
    if _known(other, 1.0):
        return one
    return one * other


def _sum(*terms: Scalar) -> Scalar:
    rest = [term for term in terms if not _known(term, 0.0)]
    return functools.reduce(lambda one, other: one + other, rest) if rest else 0.0


def _minus(one: Scalar, other: Scalar) -> Scalar:
    if _known(other, 0.0):
        return one
    return -other if _known(one, 0.0) else one - other


def _dot(one: Vector, other: Vector) -> Scalar:
    return _sum(*(_times(a, b) for a, b in zip(one, other, strict=True)))


def _add(*vectors: Vector) -> Vector:
    return [_sum(*parts) for parts in zip(*vectors, strict=True)]


def _cross(one: Vector, other: Vector) -> Vector:
    return [
        _minus(_times(one[a], other[b]), _times(one[b], other[a]))
        for a, b in ((1, 2), (2, 0), (0, 1))
    ]


def _apply(matrix: Matrix, vector: Vector) -> Vector:
    return [_dot(row, vector) for row in matrix]


def _array(values: Any, like: jax.Array) -> jax.Array:
    """Numbers and what JAX traces as one array."""
    if isinstance(values, list):
        return jnp.stack([_array(value, like) for value in values])
    return jnp.asarray(values, like.dtype)
