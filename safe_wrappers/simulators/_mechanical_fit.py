"""A simulator's joints as a mechanical model in closed form, and a box of disturbances for all that
it leaves out, from samples.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError, SetDimensionError
from .._gate import as_integer, as_key, as_number, instance_of
from ..models import Cascade, InVirtualInputs, useful_inputs
from ..sets import Box
from ._rigid_bodies import SLIDE, RigidBodies
from ._samples import fit_in_words
from ._simulator_model import SimulatorModel


@dataclasses.dataclass(frozen=True, eq=False)
class MechanicalFit:
    """The equations of motion of a simulator's joints, and a box of disturbances that covers the
    difference between a step of theirs and a step of the simulator.

    The state is (q, q'), the virtual inputs v are accelerations of the joints, and a step of length
    T, in which the simulator takes N frames with the same torque, is

        q' <- q' + T v + w_2,    q <- q + T q' + (N + 1) / (2 N) T^2 v + w_1,

    with the q' before the step on the right. A set that is robust control invariant for it is so
    for the simulator, if the box contains every difference. This condition is tested, not proved.

    Attributes:
        model: A `Cascade`, n = 2 d states, d actions (torques), n disturbances (w_1, w_2).
        disturbance_set: The box, dimension n, symmetric, in the units of the states.
        largest: The largest difference found, shape (n,).
        worst_states: The states where it was found, component by component, shape (n, n).
        samples: Number of samples.
        safety: The factor between `largest` and the box.
    """

    model: Cascade
    disturbance_set: Box
    largest: np.ndarray
    worst_states: np.ndarray
    samples: int
    safety: float

    def __str__(self) -> str:
        return fit_in_words(self.largest, self.samples, self.safety)


class Frames(NamedTuple):
    """How a simulator takes one step.

    Attributes:
        dt: Length of a frame, s.
        count: N.
        implicit: Whether it takes the joints' damping at the end of a frame, not at its beginning.
    """

    dt: float
    count: int
    implicit: bool


def fit_mechanical(
    plant: SimulatorModel,
    physics: Any,
    dofs: list[int],
    torque: Box,
    frames: Frames,
    states: Box,
    key: jax.Array,
    *,
    samples: int,
    safety: float,
) -> MechanicalFit:
    """See `BraxPlant.mechanical`.

    Args:
        plant: The simulator's own step, with states (q, q').
        physics: MuJoCo's model.
        dofs: The joints' indices into qvel.
        torque: Of the motors, shape (d,).
        frames: Of a step.
        states: Where the model is to hold.
        key: Random key.
        samples: Number of samples.
        safety: Factor on the largest difference.

    Raises:
        SetDimensionError: If `states` has another dimension or is unbounded.
        TypeError: If an argument has a wrong type.
        ValueError: If `safety` or `samples` is below 1.
        ModelError: If a step is not finite at some sample.
    """
    safety = as_number("safety", safety, 1.0)
    samples = as_integer("samples", samples, 1)
    n = plant.state_size
    instance_of("states", states, Box, hint="give the limits of each joint and of its speed")
    if states.dim != n or not np.isfinite([states.lower, states.upper]).all():
        raise SetDimensionError(
            f"`states` must be a bounded box of dimension {n} for {plant.name!r}, positions before "
            f"speeds, but it is {states}."
        )
    model = _model(plant, physics, dofs, torque, frames)
    x, a = _samples(model, states, as_key("key", key), samples)
    still = np.zeros(n, np.float32)
    steps = jax.jit(
        jax.vmap(lambda x, a: (plant.unit_step(x, a, still), model.unit_step(x, a, still)))
    )
    after, predicted = (np.asarray(part, np.float64) for part in steps(x, a))
    difference = np.abs(after - predicted)
    if not np.isfinite(difference).all():
        raise ModelError(
            f"The steps of {plant.name!r} must be finite on `states`, but at some sample they are "
            "not; choose a smaller set."
        )
    if plant.watch is not None:
        touching = plant.watch(x)
        touching.warn_of_contacts(plant.name, "sampled in `states`", stacklevel=3)
        touching.warn_of_limits(plant.name, "sampled in `states`", stacklevel=3)
    largest = difference.max(axis=0)
    return MechanicalFit(
        model,
        Box.symmetric(safety * largest),
        largest,
        x[difference.argmax(axis=0)],
        samples,
        safety,
    )


def _model(
    plant: SimulatorModel,
    physics: Any,
    dofs: list[int],
    torque: Box,
    frames: Frames,
) -> Cascade:
    bodies = RigidBodies(physics, dofs)
    damping, stiffness, armature = (
        np.asarray(values, np.float64)
        for values in (
            physics.dof_damping[dofs],
            physics.jnt_stiffness[physics.dof_jntid[dofs]],
            physics.dof_armature[dofs],
        )
    )
    rest = np.array([physics.qpos_spring[physics.jnt_qposadr[physics.dof_jntid[i]]] for i in dofs])
    # What damping does in N frames of length dt is, up to the second order, that of one step with
    # so much more inertia.
    extra = (frames.count + (1 if frames.implicit else -1)) / 2 * frames.dt * damping
    own, dt = armature + extra, frames.dt * frames.count
    slides = physics.jnt_type[physics.dof_jntid[dofs]] == SLIDE
    names = plant.state_names
    units = [
        *(("m" if slide else "rad") for slide in slides),
        *(("m/s" if slide else "rad/s") for slide in slides),
    ]
    return Cascade(
        f"mechanical model, tested on samples, of {plant.name}",
        functools.partial(_step, dt=dt, half=(frames.count + 1) / (2 * frames.count)),
        matrix=functools.partial(_matrix, bodies, own),
        offset=functools.partial(_offset, bodies, damping, stiffness, rest),
        action_box=torque,
        disturbance_size=2 * len(dofs),
        least=own if np.all(own > 0) else None,
        parameters={"dt": dt, "frames": frames.count},
        state_size=2 * len(dofs),
        state_names=names,
        units=dict(zip(names, units, strict=False)),
    )


def _step(
    x: jax.Array, v: jax.Array, disturbance: jax.Array, *, dt: float, half: float
) -> jax.Array:
    q, speed = jnp.split(x, 2)
    after = jnp.concatenate([q + dt * (speed + half * dt * v), speed + dt * v])
    return after + disturbance


def _matrix(bodies: RigidBodies, own: np.ndarray, x: jax.Array) -> jax.Array:
    matrix = bodies.mass_matrix(x[: len(own)])
    return matrix + np.diag(own).astype(matrix.dtype)


def _offset(
    bodies: RigidBodies,
    damping: np.ndarray,
    stiffness: np.ndarray,
    rest: np.ndarray,
    x: jax.Array,
) -> jax.Array:
    q, speed = jnp.split(x, 2)
    torque = bodies.bias(q, speed) + damping.astype(x.dtype) * speed
    if not stiffness.any():
        return torque
    return torque + stiffness.astype(x.dtype) * (q - rest.astype(x.dtype))


def _samples(
    model: Cascade, states: Box, key: jax.Array, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """States (count, n) and actions in [-1, 1]^d (count, d), float32: each state, and each virtual
    input of those that a set can use, is at an end of its range with probability 1/2, else uniform.
    """
    parts = InVirtualInputs(model)
    n, d = model.state_size, model.action_size
    number, end = jax.random.split(key)
    u = jax.random.uniform(number, (count, n + d), minval=-1.0, maxval=1.0)
    u = np.asarray(jnp.where(jax.random.bernoulli(end, 0.5, u.shape), jnp.sign(u), u))
    middle = (np.asarray(states.lower, np.float64) + states.upper) / 2
    half = (np.asarray(states.upper, np.float64) - states.lower) / 2
    x = (middle + half * u[:, :n]).astype(np.float32)
    v = (useful_inputs(parts.stepped, middle, half) * u[:, n:]).astype(np.float32)

    def action(x, v):
        return jnp.clip(parts.actions(x, v), -1.0, 1.0)

    return x, np.asarray(jax.jit(jax.vmap(action))(x, v))
