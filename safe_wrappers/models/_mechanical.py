"""Plants with virtual inputs, built from the equations that people write down."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from .._errors import ModelError
from .._gate import as_bound, as_number, function, shown
from .._products import reduced
from ..sets import Box
from ._model import Model
from ._virtual import VirtualInputs

POSITIVE_SEMIDEFINITE = (
    "the mass matrix without the motors' inertias is positive semidefinite, as a kinetic energy is"
)


class Cascade(Model):
    """A plant that acts through virtual inputs v: x' = g(x, v, w), where the actions that bring v
    about are a = P(x) v + p(x).

    For a quadrotor v are its vertical and its angular accelerations, g the motion that they cause,
    and P and p turn them into thrust and torques. The model steps the composition of these parts,
    f(x, a, w) = g(x, P(x)^-1 (a - p(x)), w).

    Args:
        name: Name of the system, stored in certificates.
        step: g in JAX: x (n,), v (d,), w (k,) -> x' (n,), affine in (v, w), without clamping.
        matrix: x -> P, shape (d, d); elimination without exchanges must be able to invert it.
        offset: x -> p, shape (d,).
        action_box: The limits of the actuators, dimension d, in natural units.
        state_size: n. Default: as many as `state_names`.
        disturbance_size: k.
        least: Where P is symmetric with P(x) - diag(least) positive semidefinite at every state:
            these d positive numbers. It is an assumption of the guarantee.
        parameters: Physical parameters by name, stored in certificates.
        state_names: A name for each state.
        action_names: A name for each action.
        units: Units by the names of states and actions.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If a number is out of range.
        ModelError: If sizes contradict one another.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
        *,
        matrix: Callable[[jax.Array], jax.Array],
        offset: Callable[[jax.Array], jax.Array],
        action_box: Box,
        state_size: int | None = None,
        disturbance_size: int = 0,
        least: ArrayLike | None = None,
        parameters: Mapping[str, float] | None = None,
        state_names: Sequence[str] = (),
        action_names: Sequence[str] = (),
        units: Mapping[str, str] | None = None,
    ):
        function("step", step, "(x, v, w) -> x'")
        function("matrix", matrix, "x -> P, shape (d, d)")
        function("offset", offset, "x -> p, shape (d,)")
        if not isinstance(action_box, Box):
            raise TypeError(
                f"`action_box` is {shown(action_box)}, but it must be a `Box` with the limits of "
                "the actuators, such as `sw.Box.symmetric([40.0, 15.0])`."
            )
        d = action_box.dim
        virtual = VirtualInputs(d, step, matrix, offset, _least(least, d))
        super().__init__(
            name,
            virtual.plant,
            state_size=state_size,  # pyright: ignore[reportArgumentType]
            disturbance_size=disturbance_size,
            parameters={} if parameters is None else parameters,
            action_box=action_box,
            state_names=tuple(state_names),
            action_names=tuple(action_names),
            units={} if units is None else units,
            virtual=virtual,
        )


class Mechanical(Cascade):
    """Joints with one motor each: (M(q) + diag(armature)) (q'' - w) + h(q, q') = torque.

    The state is (q, q'), the disturbances w are accelerations of the joints, and the step is
    semi-implicit Euler: q' moves by dt q'', then q by dt q'. The virtual inputs are the
    accelerations v = q'' - w, so that each joint is a block of its own, whatever the others do
    (computed torque; see the documentation, "Safe sets for robots").

    Bounds of the torques come from intervals of M and h. They are narrowest where M and h are
    written in differences, cos(q2) rather than cos(q1) cos(q1 + q2) + sin(q1) sin(q1 + q2).

    Args:
        mass_matrix: M in JAX: q (n,) -> (n, n); its lower triangle is read. Positive semidefinite,
            as a kinetic energy is: an assumption of the guarantee where `armature` is positive.
        bias: h in JAX: (q, q') -> (n,), gravity, Coriolis and friction torques.
        torque: The largest torque of each motor, shape (n,), or a `Box`.
        dt: Time step, s.
        armature: Inertia of the motors as seen from the joints, kg m^2, shape (n,) or one for all.
            It is added to the diagonal of M. Geared motors have it, and with it the equations of
            motion can be solved with a known accuracy, however many joints there are. Default: 0.
        name: Name of the system.
        joint_names: A name for each joint. Default: "joint 1" and so on.
        parameters: Physical parameters by name, stored in certificates.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If a number is out of range.
        ModelError: If a shape does not fit.

    Example:
        >>> def mass_matrix(q):
        ...     c = 0.5 * jnp.cos(q[1])
        ...     return jnp.array([[1.5, 0.4], [0.4, 0.4]]) + c * jnp.array([[2.0, 1.0], [1.0, 0.0]])
        >>> def bias(q, speed):
        ...     s = 0.5 * jnp.sin(q[1])
        ...     turn = 2 * speed[0] + speed[1]
        ...     return jnp.stack([-s * turn * speed[1], s * speed[0] ** 2])
        >>> arm = Mechanical(mass_matrix, bias, torque=[40.0, 15.0], dt=0.02, armature=0.1)
        >>> arm
        Mechanical('mechanical', 4 states, 2 actions, 2 disturbances)
    """

    def __init__(
        self,
        mass_matrix: Callable[[jax.Array], jax.Array],
        bias: Callable[[jax.Array, jax.Array], jax.Array],
        *,
        torque: ArrayLike | Box,
        dt: float,
        armature: ArrayLike = 0.0,
        name: str = "mechanical",
        joint_names: Sequence[str] = (),
        parameters: Mapping[str, float] | None = None,
    ):
        function("mass_matrix", mass_matrix, "q -> M, shape (n, n)")
        function("bias", bias, "(q, q') -> h, shape (n,)")
        box = torque if isinstance(torque, Box) else Box.symmetric(_limits("torque", torque))
        n, dt = box.dim, as_number("dt", dt, above=0.0)
        inertia = as_bound("armature", armature, (n,))
        _require_shapes(mass_matrix, bias, n)
        joints = tuple(joint_names) or tuple(f"joint {i + 1}" for i in range(n))
        if len(joints) != n:
            raise ModelError(
                f"`joint_names` must hold {n} names, one for each torque, but it holds "
                f"{len(joints)}."
            )
        speeds = tuple(f"{joint} speed" for joint in joints)
        torques = tuple(f"{joint} torque" for joint in joints)
        super().__init__(
            name,
            functools.partial(_euler, dt),
            matrix=functools.partial(_inertia, mass_matrix, inertia),
            offset=functools.partial(_bias, bias),
            action_box=box,
            disturbance_size=n,
            least=inertia if np.all(inertia > 0) else None,
            parameters={"dt": dt} if parameters is None else {"dt": dt, **parameters},
            state_names=(*joints, *speeds),
            action_names=torques,
            units={
                **dict.fromkeys(joints, "rad"),
                **dict.fromkeys(speeds, "rad/s"),
                **dict.fromkeys(torques, "N m"),
            },
        )

    def disturbing_torques(self, x: jax.Array, disturbance: jax.Array) -> jax.Array:
        """The torques that move the joints as a disturbance does at x, (M + diag(armature)) w, N m;
        shapes (2 n,), (n,) -> (n,).
        """
        assert self.virtual is not None
        return reduced(self.virtual.parts(x)[0], disturbance)


def _euler(dt: float, x: jax.Array, v: jax.Array, disturbance: jax.Array) -> jax.Array:
    q, speed = jnp.split(x, 2)
    speed = speed + dt * (v + disturbance)
    return jnp.concatenate([q + dt * speed, speed])


def _inertia(
    mass_matrix: Callable[[jax.Array], jax.Array], armature: np.ndarray, x: jax.Array
) -> jax.Array:
    matrix = mass_matrix(x[: len(armature)])
    return matrix + np.diag(armature).astype(matrix.dtype) if armature.any() else matrix


def _bias(bias: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    return bias(*jnp.split(x, 2))


def _limits(name: str, value: ArrayLike) -> np.ndarray:
    limits = np.atleast_1d(np.asarray(value, np.float64))
    if limits.ndim != 1 or not np.all((limits > 0) & np.isfinite(limits)):
        raise ValueError(
            f"`{name}` must hold one positive number for each joint, or be a `Box`, but it is "
            f"{shown(value)}."
        )
    return limits


def _least(value: ArrayLike | None, d: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = np.broadcast_to(np.asarray(value, np.float64), (d,))
    if not np.all((numbers > 0) & np.isfinite(numbers)):
        raise ValueError(
            f"`least` must hold {d} positive numbers, but it is {shown(value)}. Leave it out where "
            "nothing is known."
        )
    return tuple(float(number) for number in numbers)


def _require_shapes(
    mass_matrix: Callable[[jax.Array], jax.Array],
    bias: Callable[[jax.Array, jax.Array], jax.Array],
    n: int,
) -> None:
    q = jax.ShapeDtypeStruct((n,), np.float32)
    for name, found, wanted in (
        ("mass_matrix", jax.eval_shape(mass_matrix, q), (n, n)),
        ("bias", jax.eval_shape(bias, q, q), (n,)),
    ):
        if getattr(found, "shape", None) != wanted:
            raise ModelError(
                f"`{name}` must return shape {wanted} for the {n} joints that `torque` has, but it "
                f"returned {getattr(found, 'shape', type(found).__name__)}."
            )
