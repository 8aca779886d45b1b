"""The equations of arms whose links move in a vertical plane, for any number of links."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from safe_wrappers._gate import shown
from safe_wrappers.models import Mechanical

GRAVITY = 9.81


class Design(NamedTuple):
    """What an arm is made of: a number for each link, or for the motor that turns it.

    Attributes:
        masses: kg, of uniform rods.
        lengths: m.
        torque: N m, the most that each motor gives, about twice what gravity takes.
        armature: kg m^2, inertia of the motors as seen from the joints.
        dt: s.
    """

    masses: tuple[float, ...]
    lengths: tuple[float, ...]
    torque: tuple[float, ...]
    armature: tuple[float, ...]
    dt: float


DESIGNS = {
    2: Design((3.0, 1.0), (0.5,) * 2, (30.0, 5.0), (0.2, 0.02), 0.02),
    3: Design((3.0, 2.0, 1.0), (0.4,) * 3, (55.0, 20.0, 5.0), (0.3, 0.1, 0.03), 0.02),
    7: Design(
        (3.0, 2.67, 2.33, 2.0, 1.67, 1.33, 1.0),
        (0.15,) * 7,
        (117.0, 80.0, 52.0, 31.0, 16.0, 12.0, 12.0),
        (1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.1),
        0.01,
    ),
}


def arm(*, links: int = 2) -> Mechanical:
    """The bundled arm with 2, 3 or 7 links; see `planar_arm`.

    Args:
        links: How many; `DESIGNS` holds what they are made of.

    Raises:
        ValueError: If there is no such arm.
    """
    if isinstance(links, bool) or links not in DESIGNS:
        raise ValueError(
            f"`links` must be one of {', '.join(map(str, DESIGNS))}, but it is {shown(links)}; "
            "`envs.planar_arm` makes arms of any number."
        )
    return planar_arm("safe_arm", **DESIGNS[links]._asdict())


def planar_arm(
    name: str,
    *,
    masses: Sequence[float],
    lengths: Sequence[float],
    torque: ArrayLike,
    armature: ArrayLike,
    dt: float,
    gravity: float = GRAVITY,
) -> Mechanical:
    """An arm in a vertical plane, hanging down at q = 0; n links are uniform rods with a motor at
    each joint.

    State (q rad, relative angles; q' rad/s), actions the torques in N m, disturbances accelerations
    of the joints in rad/s^2; semi-implicit Euler. (M(q) + diag(armature)) (q'' - w) + h(q, q') =
    torque. M is the Hessian of the rods' kinetic energy in q', a sum of squares, and so positive
    semidefinite: what a guarantee assumes of M is a fact here.

    Args:
        name: Name of the model.
        masses: kg, shape (n,).
        lengths: m, shape (n,).
        torque: N m, the most of each motor, shape (n,).
        armature: kg m^2, inertia of the motors as seen from the joints, shape (n,), positive.
        dt: s.
        gravity: m/s^2.
    """
    m, reach = np.asarray(masses, np.float64), np.asarray(lengths, np.float64)
    n = len(m)
    torques, inertias = (np.broadcast_to(np.asarray(v, np.float64), n) for v in (torque, armature))
    parameters = {
        "links": float(n),
        "gravity": gravity,
        **{f"mass_{i + 1}": float(m[i]) for i in range(n)},
        **{f"length_{i + 1}": float(reach[i]) for i in range(n)},
        **{f"torque_{i + 1}": float(torques[i]) for i in range(n)},
        **{f"armature_{i + 1}": float(inertias[i]) for i in range(n)},
    }
    moments, weights = _moments(m, reach), _weights(m, reach, gravity)
    return Mechanical(
        functools.partial(_mass_matrix, moments),
        functools.partial(_bias, moments, weights),
        torque=torques,
        dt=dt,
        armature=inertias,
        name=name,
        parameters=parameters,
    )


def tip(lengths: Sequence[float], q: jax.Array) -> jax.Array:
    """Where the arm ends, (x, z) in m from its base, z upwards; q has shape (n,)."""
    angle = jnp.cumsum(q)
    reach = jnp.asarray(lengths, q.dtype)
    return jnp.stack([jnp.sum(reach * jnp.sin(angle)), -jnp.sum(reach * jnp.cos(angle))])


_Matrix = tuple[tuple[float, ...], ...]


def _moments(m: np.ndarray, reach: np.ndarray) -> _Matrix:
    """a, such that the kinetic energy is sum_kj a_kj cos(th_k - th_j) th_k' th_j' / 2 in absolute
    angles th, kg m^2.
    """

    def moment(i: int, j: int) -> float:
        k = max(i, j)
        return float(reach[i] * reach[j] * (m[k + 1 :].sum() + m[k] / (3 if i == j else 2)))

    return tuple(tuple(moment(i, j) for j in range(len(m))) for i in range(len(m)))


def _weights(m: np.ndarray, reach: np.ndarray, gravity: float) -> tuple[float, ...]:
    """What gravity turns each link with when it is horizontal, N m."""
    return tuple(float(gravity * reach[i] * (m[i + 1 :].sum() + m[i] / 2)) for i in range(len(m)))


def _between(q: jax.Array, k: int, j: int) -> jax.Array:
    """th_k - th_j, k > j, as the sum of the joint angles between: intervals of th_k and of th_j
    would not know that they have most joints in common.
    """
    return functools.reduce(lambda total, i: total + q[i], range(j + 2, k + 1), q[j + 1])


def _mass_matrix(moments: _Matrix, q: jax.Array) -> jax.Array:
    n = len(moments)
    cos = {(k, j): jnp.cos(_between(q, k, j)) for k in range(n) for j in range(k)}

    def entry(i: int, j: int) -> jax.Array:
        terms = [
            moments[k][r] * (jnp.ones((), q.dtype) if k == r else cos[max(k, r), min(k, r)])
            for k in range(i, n)
            for r in range(j, n)
        ]
        return functools.reduce(jnp.add, terms)

    return jnp.stack([jnp.stack([entry(i, j) for j in range(n)]) for i in range(n)])


def _bias(
    moments: _Matrix, weights: tuple[float, ...], q: jax.Array, speed: jax.Array
) -> jax.Array:
    """Gravity and Coriolis torques.

    Joint i carries the sum over its links k of sum_j a_kj sin(th_k - th_j) th_j'^2. Where j is
    among these links too, a_kj occurs twice with opposite signs; together they are a_kj
    sin(th_k - th_j) (th_j'^2 - th_k'^2), which the speeds of the joints between bound.
    """
    n = len(moments)
    sin = {(k, j): jnp.sin(_between(q, k, j)) for k in range(n) for j in range(k)}
    angles, rates = _sums(q), _sums(speed)

    def torque(i: int) -> jax.Array:
        terms = [weights[k] * jnp.sin(angles[k]) for k in range(i, n)]
        for k in range(i, n):
            for j in range(k):
                if j < i:
                    terms.append(moments[k][j] * sin[k, j] * rates[j] ** 2)
                else:
                    turn = _between(speed, k, j)
                    terms.append(-moments[k][j] * sin[k, j] * (turn * (2 * rates[j] + turn)))
        return functools.reduce(jnp.add, terms)

    return jnp.stack([torque(i) for i in range(n)])


def _sums(values: jax.Array) -> list[jax.Array]:
    """The sums of the first 1, 2, ... values."""
    found = [values[0]]
    for i in range(1, len(values)):
        found.append(found[-1] + values[i])
    return found
