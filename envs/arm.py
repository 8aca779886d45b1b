"""The safe arm: reach random goals of its joints or of its tip, inside a certified set."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from safe_wrappers._gate import one_of
from safe_wrappers._length import length
from safe_wrappers.safe_actions import Commands

from ._assets import certificate_of, parameters_of
from ._certified_env import CertifiedEnv
from ._model_env import Disturbance
from .arm_dynamics import DESIGNS, arm, tip

GOALS = ("joints", "tip", "limits")
# Goals lie within this part of the joints' ranges.
_WITHIN = 0.8


class SafeArm(CertifiedEnv):
    """An arm in a vertical plane with a motor at each joint, hanging down at q = 0.

    | | |
    |---|---|
    | state | q (rad), relative angles of the joints, and q' (rad/s), neither clamped nor wrapped |
    | action | one for each joint, in [-1, 1], times its torque, about twice what gravity takes |
    | disturbance | an acceleration of each joint, |w_i| <= 0.5 rad/s^2 (7 links: 0.3) |
    | plant | uniform rods of 3 kg to 1 kg, 0.5 m (2 links), 0.4 m (3) or 0.15 m (7) long |
    | dynamics | (M(q) + armature) (q'' - w) + h(q, q') = torque; semi-implicit Euler, |
    | | dt = 0.02 s (7 links: 0.01 s) |
    | observation | q, q' and the goal; of the goal "tip" the way from the tip to it, (x, z) in m |
    | reward | -(d + 0.05 |q'|^2 + 0.001 |a|^2), d the distance to the goal in the next state |
    | constraints | |q_i| <= 2.6 rad and |q_i'| <= 3 rad/s (3 links: 2.4, 2; 7 links: 2.0, 0.7) |

    Geared motors add their inertia, as seen from the joint, to the joint's: the armature, 0.02 to 1
    kg m^2. The arms of MuJoCo Menagerie have 0.1. Each joint's set is its own and kept whatever the
    other joints do.

    Args:
        links: 2, 3 or 7. Default: those that `safe_set` is about, and 2 without one.
        goal: "joints" (a random angle of each joint, d in rad), "tip" (where the arm ends at such
            angles, d in m) or "limits" (each joint at one end of its range, drawn at random, d in
            rad: the goal lies on the boundary of the safe set, which no disturbance may carry the
            arm across).
        safe_set: "2_links", "3_links", "7_links", or a path to a certificate file. Default: the
            shipped one of as many links.
        backend: "closed_form", "generalized" or "mjx".
        disturbance: "uniform", "none", "worst_case" or a function (key, x, a) -> w.
        initial_states: "uniform".
        commands: "actions" (torques), or "virtual": the actions are the joints' accelerations, from
            the box V of the certificate, and torques bring them about.

    Raises:
        ValueError: If an option is unknown.
        CertificateError: If `safe_set` is about an arm with another number of links.

    Info:
        goal: Of the goals "joints" and "limits": the angles, shape (links,); renewed on reset.
        tip: Of the goal "tip": the point (x, z) in m from the base, z upwards, shape (2,); renewed
            on reset.

    Example:
        >>> env = SafeArm(links=3)
        >>> env.observation_size, env.action_size
        (9, 3)
    """

    def __init__(
        self,
        *,
        links: int | None = None,
        goal: str = "joints",
        safe_set: str | None = None,
        backend: str = "closed_form",
        disturbance: Disturbance = "uniform",
        initial_states: str = "uniform",
        commands: Commands = "actions",
    ):
        if links is None:
            links = 2 if safe_set is None else int(parameters_of("safe_arm", safe_set)["links"])
        model = arm(links=links)
        super().__init__(
            certificate_of(model, f"{links}_links" if safe_set is None else safe_set),
            f"arm_{links}.xml",
            backend=backend,
            disturbance=disturbance,
            initial_states=initial_states,
            commands=commands,
        )
        self.links = links
        self.lengths = DESIGNS[links].lengths
        self.goal = one_of("goal", goal, GOALS)
        self._torque = np.asarray(model.action_box.upper, np.float32)
        within = 1.0 if goal == "limits" else _WITHIN
        self._range = within * self.state_bound()[:links].astype(np.float32)

    def task_info(self, x: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        part = jax.random.uniform(key, (self.links,), x.dtype, -1.0, 1.0)
        if self.goal == "limits":
            part = jnp.where(part < 0, -1.0, 1.0).astype(x.dtype)
        q = jnp.asarray(self._range) * part
        return {"tip": tip(self.lengths, q)} if self.goal == "tip" else {"goal": q}

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return jnp.concatenate([x, self._way(x, info) if self.goal == "tip" else info["goal"]])

    def _way(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        """From the tip to its goal, x and z in m, shape (2,)."""
        return info["tip"] - tip(self.lengths, x[: self.links])

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        q, speed = jnp.split(x, 2)
        away = self._way(x, info) if self.goal == "tip" else q - info["goal"]
        effort = jnp.sum((action / self._torque) ** 2)
        return -(length(away) + 0.05 * jnp.sum(speed**2) + 0.001 * effort)

    def observation_bound(self) -> np.ndarray:
        bound, reach = self.state_bound(), float(np.sum(self.lengths))
        return np.append(bound, [2 * reach] * 2 if self.goal == "tip" else self._range)

    @property
    def observation_size(self) -> int:
        return 2 * self.links + (2 if self.goal == "tip" else self.links)
