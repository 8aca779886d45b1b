"""Which joints of a simulator are the state x, and whether they can be."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError, SetDimensionError
from .._gate import as_integer, instance_of
from ._mujoco_model import (
    influence_from_outside,
    joints_beside,
    names_of_joints,
    quaternions,
    short_episodes,
    velocity_of,
)
from ._support import PAGE


@dataclasses.dataclass(frozen=True, eq=False)
class ChosenJoints:
    """x = (positions, velocities) of the chosen joints.

    Attributes:
        q: Indices of the joint positions in x.
        qd: Indices of the joint velocities in x, which follow the positions.
        disturbances: E, shape (n, k), float32: the unit vectors of the disturbed components.
    """

    q: np.ndarray
    qd: np.ndarray
    disturbances: np.ndarray

    @classmethod
    def of(
        cls,
        q: Sequence[int] | None,
        qd: Sequence[int] | None,
        disturbed: Sequence[int] | None,
        sizes: tuple[int, int],
    ) -> "ChosenJoints":
        """The joints with these indices, of so many positions and velocities; None: all.

        Raises:
            SetDimensionError: If an index does not exist or comes twice.
        """
        chosen_q, chosen_qd = _indices("q", q, sizes[0]), _indices("qd", qd, sizes[1])
        n = len(chosen_q) + len(chosen_qd)
        disturbances = np.eye(n, dtype=np.float32)[:, _indices("disturbed", disturbed, n)]
        return cls(chosen_q, chosen_qd, disturbances)

    @property
    def size(self) -> int:
        """n."""
        return len(self.q) + len(self.qd)

    def read(self, q: jax.Array, qd: jax.Array) -> jax.Array:
        """x, shape (n,), of all positions and velocities."""
        return jnp.concatenate([q[self.q], qd[self.qd]])

    def place(self, x: jax.Array, q: jax.Array, qd: jax.Array) -> tuple[jax.Array, jax.Array]:
        """All positions and velocities, those in x as x says; in its dtype."""
        position, velocity = jnp.split(x, [len(self.q)])
        return (
            jnp.asarray(q, x.dtype).at[self.q].set(position),
            jnp.asarray(qd, x.dtype).at[self.qd].set(velocity),
        )

    def positions(self, x: np.ndarray, start: Any) -> np.ndarray:
        """All positions, shape (N, nq), float64, of states (N, n); those that are not in x as in
        `start`.
        """
        positions = np.tile(np.asarray(start, np.float64), (len(x), 1))
        positions[:, self.q] = x[:, : len(self.q)]
        return positions

    def names(self, physics: Any) -> tuple[str, ...]:
        """Names of the components of x in MuJoCo's model; () if not all have one."""
        return names_of_joints(physics, self.q.tolist(), self.qd.tolist())

    def require_derivatives(self, name: str, physics: Any) -> None:
        """Checks that x is made of positions with their velocities, and that nothing but joints has
        a state.

        Args:
            name: Name of the environment.
            physics: MuJoCo's model of it.

        Raises:
            ModelError: If it is not.
        """
        q, qd = self.q.tolist(), self.qd.tolist()
        turning, derivative = quaternions(physics), velocity_of(physics)
        quaternion = sorted({turning[i] for i in q if i in turning})
        if quaternion:
            raise ModelError(
                "The state must be a vector whose parts have derivatives, but the chosen positions "
                f"of `{name}` hold the quaternion of the {', the '.join(quaternion)}. Choose "
                f"joints with `q=` and `qd=` that move on their own, if there are such. {PAGE}"
            )
        lonely = [i for i in q if derivative[i] not in qd]
        if lonely:
            raise ModelError(
                f"The state must hold the velocity of every position in it, but q[{lonely[0]}] of "
                f"`{name}` comes without qd[{derivative[lonely[0]]}]; add it to `qd=`."
            )
        if physics.na:
            raise ModelError(
                "The state must be all that its step depends on, but "
                f"{physics.na} actuator(s) of `{name}` have a state of their own beside the "
                f"joints. Give an `ExplicitSystem` safe actions that you know. {PAGE}"
            )

    def chain(self, name: str, physics: Any) -> list[int]:
        """Indices of the joints' velocities, if x is their positions and velocities in one order,
        and they hang on the world or on one another.

        Args:
            name: Name of the environment.
            physics: MuJoCo's model of it.

        Raises:
            ModelError: If they do not.
        """
        derivative = velocity_of(physics)
        dofs = [derivative[i] for i in self.q.tolist()]
        if dofs != self.qd.tolist() or dofs != sorted(dofs):
            raise ModelError(
                "The equations of motion need position and velocity of the same joints, both in "
                f"ascending order, but of `{name}` q = {self.q.tolist()} and qd = "
                f"{self.qd.tolist()} were chosen. {PAGE}"
            )
        left_out = joints_beside(physics, dofs)
        if left_out:
            raise ModelError(
                "The equations of motion need every joint of a body that moves with the chosen "
                f"ones, but of `{name}` {', '.join(left_out)} is left out. {PAGE}"
            )
        return dofs

    def require_independence(self, name: str, physics: Any, start: np.ndarray) -> None:
        """Checks that joints that are not in x do not change how x moves, and warns of contacts.

        Args:
            name: Name of the environment.
            physics: MuJoCo's model of it.
            start: Positions where episodes begin, shape (nq,).

        Raises:
            ModelError: If they do.
        """
        touching, speeds = short_episodes(physics, start)
        found = influence_from_outside(physics, self.q, self.qd, start, speeds)
        if found is not None:
            raise ModelError(
                f"The state must be all that its step depends on, but {found}, and the former is "
                f"not among the chosen states of `{name}`. Add it to `q=` or `qd=`, or choose "
                f"joints that move on their own. {PAGE}"
            )
        touching.warn_of_contacts(f"`{name}`", "of short episodes", stacklevel=3)


def _indices(name: str, chosen: Sequence[int] | None, size: int) -> np.ndarray:
    given = range(size) if chosen is None else chosen
    instance_of(name, given, Sequence, np.ndarray, hint="give a list of indices")
    indices = np.array([as_integer(f"{name}[{i}]", v, 0) for i, v in enumerate(given)], np.int32)
    if len(set(indices.tolist())) != len(indices) or not np.all((indices >= 0) & (indices < size)):
        raise SetDimensionError(
            f"`{name}` must hold different indices from 0 to {size - 1}, but "
            f"it is {indices.tolist()}."
        )
    return indices
