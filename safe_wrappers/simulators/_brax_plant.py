"""A Brax environment as a plant: its state, its model, and starts at chosen states."""

import copy
from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from brax import envs

from .._errors import ModelError
from ..sets import Box
from ._chosen_joints import ChosenJoints
from ._mechanical_fit import Frames, MechanicalFit, fit_mechanical
from ._motors import motor_torques
from ._mujoco_model import Touching, touching_at
from ._simulator_model import SimulatorModel
from ._support import warn_of_many_states

# The others move bodies, not joints: what their next step does is not a function of q and qd.
_BACKENDS = ("generalized", "mjx")


class BraxPlant:
    """A Brax environment that knows nothing of safety, as a plant: x are joint positions and
    velocities, and the model is the environment's own step.

    x' = (the joints after `env.step` from x under a) + w: actions are scaled, clipped and repeated
    over physics frames as the environment does it, and w is an additive disturbance of the
    components that are declared. Nothing of this is proved: a simulator rounds, may remember more
    than its joints, and is seldom affine in the action. What the linearisation leaves over is
    bounded by a remainder (`fit_remainder`).

    Joints that are not in x must not matter for how it moves: for example the angle of an arm about
    a vertical axis, or a target. The model keeps them, and whatever else a state of the environment
    holds, as some reset left them. Whether that is so is checked with MuJoCo's model of the
    environment, at 64 states and to a thousandth of the accelerations, which takes milliseconds.

    Args:
        env: An environment with Brax physics (a `PipelineEnv`), without any wrapper around it.
        q: Indices of the joint positions in x. Default: all.
        qd: Indices of the joint velocities in x, which follow the positions. Default: all.
        disturbed: Indices of the components of x that are disturbed. Default: all.

    Attributes:
        env: The environment that was given.
        model: x' = f(x, a, w), in the units of q and qd per step of the environment.

    Raises:
        TypeError: If `env` is not a bare `PipelineEnv`.
        ValueError: If the joints do not determine the environment's step: on Brax's backends
            "spring" and "positional".
        SetDimensionError: If an index does not exist or comes twice.
        ModelError: If x is no state: it holds a quaternion of a free joint, a position without its
            velocity, or a joint whose acceleration depends on one that is left out.

    Warns:
        UserWarning: If bodies touch in short episodes of MuJoCo under random actions, or if there
            are more than 6 states.
    """

    def __init__(
        self,
        env: envs.Env,
        *,
        q: Sequence[int] | None = None,
        qd: Sequence[int] | None = None,
        disturbed: Sequence[int] | None = None,
    ):
        if not isinstance(env, envs.PipelineEnv):
            raise TypeError(
                "`env` must be a `brax.envs.PipelineEnv` without wrappers, whose joints can be "
                f"read and set, but it is a `{type(env).__name__}`. "
                + (
                    "Write `GymPlant(env)` for an environment of Gymnasium."
                    if isinstance(env, gymnasium.Env)
                    else "Write a `Model` or an `ExplicitSystem` for one of another kind."
                )
            )
        if env.backend not in _BACKENDS:
            raise ValueError(
                "The joints q and qd must be the whole state of the physics, as on the backends "
                f"{' and '.join(map(repr, _BACKENDS))}, but `env` steps "
                f"{env.backend!r}, which moves bodies held together by springs. Write "
                "`envs.get_environment(name, backend='generalized')`."
            )
        self.env = env
        self._joints = ChosenJoints.of(q, qd, disturbed, (env.sys.q_size(), env.sys.qd_size()))
        name = type(env).__name__
        physics = env.sys.mj_model  # what is asked of it is independent of the backend
        if physics is not None:
            start = np.asarray(env.sys.init_q, np.float64)
            self._joints.require_derivatives(name, physics)
            self._joints.require_independence(name, physics, start)
        warn_of_many_states(f"`{name}`", self._joints.size, stacklevel=2)
        self._some_state = jax.jit(env.reset)(jax.random.PRNGKey(0))
        self.model = SimulatorModel(
            name=f"{name} ({env.backend})",
            step=self._step,
            state_size=self._joints.size,
            action_size=env.action_size,
            disturbance_size=self._joints.disturbances.shape[1],
            parameters={"dt": float(env.dt)},
            disturbance_matrix=self._joints.disturbances,
            watch=None if physics is None else self._watch,
            state_names=() if physics is None else self._joints.names(physics),
        )

    def state(self, env_state: Any) -> jax.Array:
        """x, shape (n,), of the environment's state."""
        joints = env_state.pipeline_state
        return self._joints.read(joints.q, joints.qd)

    def reset_to(self, x: jax.Array, rng: jax.Array) -> envs.State:
        """A reset of the environment, with the joints in x, shape (n,), put where x says;
        observation and info are its own.

        Raises:
            ModelError: If the environment's `reset` does not place its joints by `pipeline_init`.
        """
        placed = []

        def pipeline_init(q, qd, *args, **options):
            placed.append(self.env.pipeline_init(*self._joints.place(x, q, qd), *args, **options))
            return placed[-1]

        twin: Any = copy.copy(self.env)
        twin.pipeline_init = pipeline_init
        state = twin.reset(rng)
        if not placed:
            raise ModelError(
                f"`{type(self.env).__name__}.reset` must place its joints by "
                "`self.pipeline_init(q, qd)`, but it does not call it."
            )
        return state

    def mechanical(
        self,
        states: Box,
        key: jax.Array,
        *,
        samples: int = 16_384,
        safety: float = 1.5,
    ) -> MechanicalFit:
        """The equations of motion of the chosen joints in closed form, from which `certify` makes a
        set in blocks, however many joints there are ("Safe sets for robots" in the documentation).

        Masses, inertias and axes come from MuJoCo's model of the environment, gears from its
        motors. What these equations leave out is covered by a box of disturbances: that a step has
        several frames, that damping, limits and contacts act within them, and rounding. The box is
        measured at samples in which every position, speed and acceleration is at an end of its
        range half of the time; accelerations are those that a set within `states` has use for (from
        standstill to the largest speed in eight steps). So the set is proved for the equations, and
        *tested* for the environment.

        Every chosen joint must have one motor of its own, and all joints between the chosen ones
        and the world must be chosen: an arm has that, a robot with a free base has not.

        Args:
            states: The limits of x, for which a set is to be found: shape (n,), positions first,
                inside the joints' ranges and away from contacts.
            key: Random key.
            samples: Number of samples.
            safety: Factor on the largest difference, at least 1.

        Returns:
            The model, whose actions are torques in N m, and its disturbances.

        Raises:
            SetDimensionError: If `states` has another dimension or is unbounded.
            TypeError: If an argument has a wrong type.
            ValueError: If `safety` or `samples` is below 1.
            ModelError: If the joints are no such arm, or a step is not finite at some sample.

        Warns:
            UserWarning: If bodies touch or joints are at their limits at some samples.
        """
        name, physics = type(self.env).__name__, self.env.sys.mj_model
        if physics is None:
            raise ModelError(
                f"The equations of motion are read from MuJoCo's model, but `{name}` has none "
                "(`env.sys.mj_model`). Write them as a `models.Mechanical`."
            )
        dofs = self._joints.chain(name, physics)
        joints = [physics.joint(int(physics.dof_jntid[dof])).name for dof in dofs]
        torque = motor_torques(self.env, self._some_state, dofs, joints)
        dt = float(self.env.sys.opt.timestep)
        implicit = self.env.backend == "mjx" or self.env.sys.matrix_inv_iterations == 0
        frames = Frames(dt, round(float(self.env.dt) / dt), implicit)
        return fit_mechanical(
            self.model, physics, dofs, torque, frames, states, key, samples=samples, safety=safety
        )

    def _watch(self, x: np.ndarray) -> Touching:
        positions = self._joints.positions(x, self._some_state.pipeline_state.q)
        return touching_at(self.env.sys.mj_model, positions)

    def _step(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        # new dictionaries: some environments write into those they get
        state = jax.tree.map(lambda leaf: leaf, self._some_state)
        joints: Any = state.pipeline_state
        state = state.replace(
            pipeline_state=self.env.pipeline_init(*self._joints.place(x, joints.q, joints.qd))
        )
        # As in `SafeguardWrapper`: accelerators may round matrix products to 10 bits.
        with jax.default_matmul_precision("highest"):
            after = self.env.step(state, action)
        return self.state(after).astype(x.dtype) + jnp.sum(
            self._joints.disturbances.astype(x.dtype) * disturbance, axis=1
        )
