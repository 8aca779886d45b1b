"""A Brax environment as a plant: its state, its model, and starts at chosen states."""

import copy
from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from brax import envs

from .._errors import ModelError, SetDimensionError
from .._gate import as_integer, instance_of
from ._mujoco_model import (
    Touching,
    influence_from_outside,
    names_of_joints,
    quaternions,
    short_episodes,
    touching_at,
    velocity_of,
)
from ._simulator_model import SimulatorModel
from ._support import PAGE, warn_of_many_states

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
        self._q = _indices("q", q, env.sys.q_size())
        self._qd = _indices("qd", qd, env.sys.qd_size())
        n = len(self._q) + len(self._qd)
        name = type(env).__name__
        physics = env.sys.mj_model  # what is asked of it is independent of the backend
        if physics is not None:
            _require_state(name, physics, self._q, self._qd, np.asarray(env.sys.init_q, np.float64))
        warn_of_many_states(f"`{name}`", n, stacklevel=2)
        self._some_state = jax.jit(env.reset)(jax.random.PRNGKey(0))
        self._E = np.eye(n, dtype=np.float32)[:, _indices("disturbed", disturbed, n)]
        self.model = SimulatorModel(
            name=f"{name} ({env.backend})",
            step=self._step,
            state_size=n,
            action_size=env.action_size,
            disturbance_size=self._E.shape[1],
            parameters={"dt": float(env.dt)},
            disturbance_matrix=self._E,
            watch=None if physics is None else self._watch,
            state_names=()
            if physics is None
            else names_of_joints(physics, self._q.tolist(), self._qd.tolist()),
        )

    def state(self, env_state: Any) -> jax.Array:
        """x, shape (n,), of the environment's state."""
        joints = env_state.pipeline_state
        return jnp.concatenate([joints.q[self._q], joints.qd[self._qd]])

    def reset_to(self, x: jax.Array, rng: jax.Array) -> envs.State:
        """A reset of the environment, with the joints in x, shape (n,), put where x says;
        observation and info are its own.

        Raises:
            ModelError: If the environment's `reset` does not place its joints by `pipeline_init`.
        """
        placed = []

        def pipeline_init(q, qd, *args, **options):
            placed.append(self.env.pipeline_init(*self._place(x, q, qd), *args, **options))
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

    def _place(self, x: jax.Array, q: jax.Array, qd: jax.Array) -> tuple[jax.Array, jax.Array]:
        """q and qd with the components in x as x says, in its dtype."""
        position, velocity = jnp.split(x, [len(self._q)])
        return jnp.asarray(q, x.dtype).at[self._q].set(position), jnp.asarray(qd, x.dtype).at[
            self._qd
        ].set(velocity)

    def _watch(self, x: np.ndarray) -> Touching:
        positions = np.tile(np.asarray(self._some_state.pipeline_state.q, np.float64), (len(x), 1))
        positions[:, self._q] = x[:, : len(self._q)]
        return touching_at(self.env.sys.mj_model, positions)

    def _step(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        # new dictionaries: some environments write into those they get
        state = jax.tree.map(lambda leaf: leaf, self._some_state)
        joints: Any = state.pipeline_state
        state = state.replace(
            pipeline_state=self.env.pipeline_init(*self._place(x, joints.q, joints.qd))
        )
        # As in `SafeguardWrapper`: accelerators may round matrix products to 10 bits.
        with jax.default_matmul_precision("highest"):
            after = self.env.step(state, action)
        return self.state(after).astype(x.dtype) + jnp.sum(
            self._E.astype(x.dtype) * disturbance, axis=1
        )


def _require_state(
    name: str, physics: Any, q: np.ndarray, qd: np.ndarray, start: np.ndarray
) -> None:
    """Checks that the chosen joints are a state, and warns of contacts.

    Args:
        name: Name of the environment.
        physics: MuJoCo's model of it.
        q: Indices of the chosen positions.
        qd: Indices of the chosen velocities.
        start: Positions where episodes begin, shape (nq,).

    Raises:
        ModelError: If they are none.
    """
    turning, derivative = quaternions(physics), velocity_of(physics)
    quaternion = sorted({turning[i] for i in q.tolist() if i in turning})
    if quaternion:
        raise ModelError(
            "The state must be a vector whose parts have derivatives, but the chosen positions of "
            f"`{name}` hold the quaternion of the {', the '.join(quaternion)}. Choose joints with "
            f"`q=` and `qd=` that move on their own, if there are such. {PAGE}"
        )
    lonely = [i for i in q.tolist() if derivative[i] not in qd.tolist()]
    if lonely:
        raise ModelError(
            f"The state must hold the velocity of every position in it, but q[{lonely[0]}] of "
            f"`{name}` comes without qd[{derivative[lonely[0]]}]; add it to `qd=`."
        )
    touching, speeds = short_episodes(physics, start)
    found = influence_from_outside(physics, q, qd, start, speeds)
    if found is not None:
        raise ModelError(
            f"The state must be all that its step depends on, but {found}, and the former is not "
            f"among the chosen states of `{name}`. Add it to `q=` or `qd=`, or choose joints that "
            f"move on their own. {PAGE}"
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
