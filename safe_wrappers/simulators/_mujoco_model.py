"""What MuJoCo's own model of a simulator says of its joints: names, quaternions, contacts, and
which joints matter for how others move. It takes milliseconds, and nothing is compiled.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import mujoco as _mujoco
import numpy as np

from ._support import PAGE

mujoco: Any = _mujoco  # which has no type stubs

# Offset in a joint's positions at which its quaternion begins.
_QUATERNIONS = {
    int(mujoco.mjtJoint.mjJNT_FREE): (3, "free"),
    int(mujoco.mjtJoint.mjJNT_BALL): (0, "ball"),
}
_BASES = 64  # states at which the influence of other joints is asked for
_NEAR = 0.5  # how far a joint without limits is moved, in its unit
_SPEED = 0.1  # how fast every joint may be at least
_PAST_THE_END = 1.1  # how far a joint that is left out is moved, in units of its range
# Share of an acceleration that another joint may change: below it are the tolerances of MuJoCo's
# solver and what is no worse than other errors of a model.
_INFLUENCE = 1e-3


class Touching:
    """Counts states in which bodies touch or joints are at their limits.

    Attributes:
        states: Number of states seen.
        contacts: Number of states in which bodies touched.
        limits: Number of states in which a joint was at a limit.
    """

    def __init__(self):
        self.states = self.contacts = self.limits = 0
        self._bodies = self._joint = ""

    def see(self, model: Any, data: Any) -> None:
        """Counts a state whose contacts and constraints are up to date in `data`."""
        self.states += 1
        if data.ncon:
            self.contacts += 1
            geom = data.contact.geom[0]
            bodies = (model.body(model.geom_bodyid[g]).name for g in geom)
            self._bodies = " and ".join(f"`{name or '?'}`" for name in bodies)
        at_limit = data.efc_id[: data.nefc][
            data.efc_type[: data.nefc] == mujoco.mjtConstraint.mjCNSTR_LIMIT_JOINT
        ]
        if len(at_limit):
            self.limits += 1
            self._joint = model.joint(at_limit[0]).name

    def warn_of_contacts(self, name: str, where: str, stacklevel: int) -> None:
        """Warns if bodies touch in some state.

        Args:
            name: Name of the environment.
            where: Which states were seen, for example "of short episodes".
            stacklevel: The level of `warnings.warn`, counted from the caller.
        """
        if self.contacts:
            warnings.warn(
                f"At {self.contacts:,} of {self.states:,} states {where} of {name} bodies touch "
                f"(for example {self._bodies}). A step through a contact is neither smooth nor "
                "affine in the action, and no set with contacts inside was ever found; choose "
                f"limits without them. {PAGE}",
                stacklevel=stacklevel + 1,
            )

    def warn_of_limits(self, name: str, where: str, stacklevel: int) -> None:
        """Warns if a joint is at the end of its range in some state; as `warn_of_contacts`."""
        if self.limits:
            warnings.warn(
                f"At {self.limits:,} of {self.states:,} states {where} of {name} a joint is at the "
                f"end of its range (for example `{self._joint}`). There the simulator pushes it "
                "back, which no polynomial follows; choose limits inside the ranges, by as much as "
                f"a joint moves in a step. {PAGE}",
                stacklevel=stacklevel + 1,
            )


def has_joints(env: Any) -> bool:
    """Whether it is an environment of MuJoCo in Gymnasium, with a `set_state(qpos, qvel)`."""
    return (
        isinstance(getattr(env, "model", None), mujoco.MjModel)
        and isinstance(getattr(env, "data", None), mujoco.MjData)
        and hasattr(env, "set_state")
    )


def names_of_joints(model: Any, q: Iterable[int], qd: Iterable[int]) -> tuple[str, ...]:
    """Names for these indices into qpos and qvel; () if a joint has no name, or several of them."""
    names = [_joint_name(model, "position", i) for i in q]
    speeds = [_joint_name(model, "velocity", i) for i in qd]
    found = (*names, *(name and f"{name} velocity" for name in speeds))
    return found if all(found) and len(set(found)) == len(found) else ()


def quaternions(model: Any) -> dict[int, str]:
    """The joint whose quaternion it belongs to, for every such index into qpos."""
    found = {}
    for j in range(model.njnt):
        if int(model.jnt_type[j]) in _QUATERNIONS:
            offset, kind = _QUATERNIONS[int(model.jnt_type[j])]
            first = model.jnt_qposadr[j] + offset
            found |= {int(first + i): f"{kind} joint `{model.joint(j).name}`" for i in range(4)}
    return found


def velocity_of(model: Any) -> dict[int, int]:
    """The index into qvel of the derivative of every index into qpos that has one."""
    found = {}
    for j in range(model.njnt):
        kind = int(model.jnt_type[j])
        straight = _QUATERNIONS[kind][0] if kind in _QUATERNIONS else 1
        found |= {
            int(model.jnt_qposadr[j] + i): int(model.jnt_dofadr[j] + i) for i in range(straight)
        }
    return found


def joints_beside(model: Any, dofs: list[int]) -> list[str]:
    """Names of the joints in trees of bodies that hold some of `dofs`, and are not among them."""
    trees = {int(model.dof_treeid[dof]) for dof in dofs}
    return [
        model.joint(int(model.dof_jntid[dof])).name
        for dof in range(model.nv)
        if int(model.dof_treeid[dof]) in trees and dof not in dofs
    ]


def touching_at(model: Any, qpos: np.ndarray) -> Touching:
    """Contacts and limits at joint positions, shape (N, nq)."""
    data, seen = mujoco.MjData(model), Touching()
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_fwdPosition(model, data)
        seen.see(model, data)
    return seen


def short_episodes(
    model: Any, qpos: np.ndarray, episodes: int = 8, frames: int = 64
) -> tuple[Touching, np.ndarray]:
    """Contacts and limits in short episodes of MuJoCo from qpos, shape (nq,), each under random
    controls that are held; and the largest speeds that they reach, shape (nv,).
    """
    data, seen, rng = mujoco.MjData(model), Touching(), np.random.default_rng(0)
    speeds = np.zeros(model.nv)
    for _ in range(episodes):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = qpos
        data.ctrl[:] = _controls(model, rng)
        for _ in range(frames):
            mujoco.mj_step(model, data)
            seen.see(model, data)
            speeds = np.maximum(speeds, np.abs(data.qvel))
    return seen, speeds


def influence_from_outside(
    model: Any, q: np.ndarray, qd: np.ndarray, qpos: np.ndarray, speeds: np.ndarray
) -> str | None:
    """Names a joint that is not among the chosen ones and changes how these accelerate, with the
    largest change that was found; None if there is none.

    Args:
        model: MuJoCo's model.
        q: Indices into qpos that are chosen.
        qd: Indices into qvel that are chosen.
        qpos: Positions of some reset, around which others are drawn, shape (nq,).
        speeds: The highest speeds of the joints, shape (nv,).
    """
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    speeds = np.maximum(speeds, _SPEED)

    def accelerations(position: np.ndarray, velocity: np.ndarray, control: np.ndarray):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:], data.ctrl[:] = position, velocity, control
        mujoco.mj_forward(model, data)
        return data.qacc[qd].copy()

    def velocities() -> np.ndarray:
        return rng.uniform(-speeds, speeds)

    bases = [
        (_positions(model, qpos, rng), velocities(), _controls(model, rng)) for _ in range(_BASES)
    ]
    before = np.array([accelerations(*base) for base in bases])
    size = np.abs(before).max(axis=0) + 1e-9
    for kind, chosen, count in (("position", q, model.nq), ("velocity", qd, model.nv)):
        for i in sorted(set(range(count)) - set(np.asarray(chosen).tolist())):
            after = []
            for position, velocity, control in bases:
                position, velocity = position.copy(), velocity.copy()
                if kind == "position":
                    # A joint that is not in x is not kept from the end of its range.
                    position[i] = _positions(model, qpos, rng, stretch=_PAST_THE_END)[i]
                else:
                    velocity[i] = velocities()[i]
                after.append(accelerations(position, velocity, control))
            change = np.abs(np.array(after) - before).max(axis=0)
            worst = int(np.argmax(change / size))
            if change[worst] > _INFLUENCE * size[worst]:
                return (
                    f"the {kind} of joint `{_joint_name(model, kind, i)}` changes the acceleration "
                    f"of joint `{_joint_name(model, 'velocity', int(qd[worst]))}` by up to "
                    f"{change[worst]:.2g}, where it is up to {size[worst]:.2g}"
                )
    return None


def _joint_name(model: Any, kind: str, index: int) -> str:
    starts = model.jnt_qposadr if kind == "position" else model.jnt_dofadr
    return model.joint(int(np.searchsorted(starts, index, side="right")) - 1).name


def _positions(
    model: Any, qpos: np.ndarray, rng: np.random.Generator, stretch: float = 1.0
) -> np.ndarray:
    """Random joint positions: in the range, so many times as wide, of a joint that has one, else
    around `qpos`.
    """
    found = qpos + rng.uniform(-_NEAR, _NEAR, model.nq)
    for j in np.flatnonzero(model.jnt_limited):
        if int(model.jnt_type[j]) not in _QUATERNIONS:
            middle, half = model.jnt_range[j].mean(), np.ptp(model.jnt_range[j]) / 2
            found[model.jnt_qposadr[j]] = middle + stretch * half * rng.uniform(-1, 1)
    return found


def _controls(model: Any, rng: np.random.Generator) -> np.ndarray:
    limited = model.actuator_ctrllimited.astype(bool)
    low, high = model.actuator_ctrlrange.T
    return rng.uniform(np.where(limited, low, -1.0), np.where(limited, high, 1.0))
