"""An environment of MuJoCo Playground as a plant: its state, its model, and starts at chosen
states.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import mujoco as _mujoco
import numpy as np
from brax import envs
from mujoco import mjx as _mjx

from .._errors import ModelError
from .._gate import function
from ._chosen_joints import ChosenJoints
from ._mujoco_model import Touching, touching_at
from ._simulator_model import SimulatorModel
from ._support import warn_of_many_states

mujoco: Any = _mujoco  # which have no type stubs
mjx: Any = _mjx


class PlaygroundPlant:
    """An environment of MuJoCo Playground that knows nothing of safety, as a plant: x are joint
    positions and velocities, and the model is the environment's own step.

    x' = (the joints after `env.step` from x under a) + w: actions are scaled, clipped and held over
    `env.n_substeps` steps of MuJoCo as the environment does it, and w is an additive disturbance of
    the components that are declared. What was said of `BraxPlant` holds here, too: nothing of this
    is proved, several substeps are not affine in the action (`fit_surrogate`, `fit_remainder`), and
    joints that are not in x must not matter for how it moves, which is checked with MuJoCo's model
    of the environment.

    The environment is known by what it has, not by its class: `reset`, `step`, `action_size`, `dt`,
    `mj_model`, `mjx_model`, and states with `data` and `obs`. Playground itself is not imported.

    Args:
        env: A single environment, as `mujoco_playground.registry.load` returns it, without any
            wrapper around it. On a CPU load it with `config_overrides={"impl": "jax"}`.
        q: Indices into `data.qpos` of the positions in x. Default: all.
        qd: Indices into `data.qvel` of the velocities in x, which follow them. Default: all.
        disturbed: Indices of the components of x that are disturbed. Default: all.
        observation: (data, info) -> the observation, for `reset_to`. Default: the environment's
            `_get_obs`, if that takes these two.

    Attributes:
        env: The environment that was given.
        model: x' = f(x, a, w), in the units of qpos and qvel per step of the environment.

    Raises:
        TypeError: If `env` is another kind of environment, or wrapped.
        SetDimensionError: If an index does not exist or comes twice.
        ModelError: If x is no state: it holds a quaternion of a free joint, a position without its
            velocity, or a joint whose acceleration depends on one that is left out; or an actuator
            has a state of its own.

    Warns:
        UserWarning: If bodies touch in short episodes of MuJoCo under random actions, or if there
            are more than 6 states.

    Example:
        >>> overrides = {"impl": "jax"}
        >>> env = mujoco_playground.registry.load("PendulumSwingup", config_overrides=overrides)
        >>> plant = PlaygroundPlant(env)
        >>> surrogate = fit_surrogate(plant, Box.symmetric([0.15, 1.0]), jax.random.PRNGKey(0))
    """

    def __init__(
        self,
        env: Any,
        *,
        q: Sequence[int] | None = None,
        qd: Sequence[int] | None = None,
        disturbed: Sequence[int] | None = None,
        observation: Callable[[Any, Any], Any] | None = None,
    ):
        _require_playground(env)
        self.env = env
        physics = env.mj_model
        self._joints = ChosenJoints.of(q, qd, disturbed, (physics.nq, physics.nv))
        self._observation = observation
        if observation is not None:
            function("observation", observation, "(data, info) -> observation")
        name = type(env).__name__
        self._joints.require_derivatives(name, physics)
        self._some_state = jax.jit(env.reset)(jax.random.PRNGKey(0))
        start = np.asarray(self._some_state.data.qpos, np.float64)
        self._joints.require_independence(name, physics, start)
        warn_of_many_states(f"`{name}`", self._joints.size, stacklevel=2)
        self.model = SimulatorModel(
            name=f"{name} (Playground)",
            step=self._step,
            state_size=self._joints.size,
            action_size=int(env.action_size),
            disturbance_size=self._joints.disturbances.shape[1],
            parameters={"dt": float(env.dt)},
            disturbance_matrix=self._joints.disturbances,
            watch=self._watch,
            state_names=self._joints.names(physics),
        )

    def state(self, env_state: Any) -> jax.Array:
        """x, shape (n,), of the environment's state."""
        return self._joints.read(env_state.data.qpos, env_state.data.qvel)

    def reset_to(self, x: jax.Array, rng: jax.Array) -> Any:
        """A reset of the environment, with the joints in x, shape (n,), put where x says; the rest
        of the state and the infos are that reset's, and the observation is the environment's of the
        state where it was put.

        Raises:
            ModelError: If the environment has no `_get_obs(data, info)` and no `observation` was
                given, or what it returns is no observation of the environment.
        """
        state = self._placed(self.env.reset(rng), x)
        observation = self._observe()(state.data, state.info)
        if _shapes(observation) != _shapes(state.obs):
            raise ModelError(
                f"The observation of `{type(self.env).__name__}` must be one like those of its "
                f"`reset`, {_shapes(state.obs)}, but it is {_shapes(observation)}. Give "
                "`observation=`, a function (data, info) -> observation."
            )
        return state.replace(obs=observation)

    def _observe(self) -> Callable[[Any, Any], Any]:
        if self._observation is not None:
            return self._observation
        own = getattr(self.env, "_get_obs", None)
        if own is None or len(inspect.signature(own).parameters) != 2:
            raise ModelError(
                f"`{type(self.env).__name__}` must have a method `_get_obs(data, info)`, of which "
                "`reset_to` takes the observation, but it has none. Give `observation=`, a "
                "function (data, info) -> observation."
            )
        return own

    def _placed(self, state: Any, x: jax.Array) -> Any:
        """The state with the joints in x put where x says, and all that follows from them."""
        qpos, qvel = self._joints.place(x, state.data.qpos, state.data.qvel)
        data = state.data.replace(
            qpos=qpos.astype(state.data.qpos.dtype), qvel=qvel.astype(state.data.qvel.dtype)
        )
        return state.replace(data=mjx.forward(self.env.mjx_model, data))

    def _watch(self, x: np.ndarray) -> Touching:
        positions = self._joints.positions(x, self._some_state.data.qpos)
        return touching_at(self.env.mj_model, positions)

    def _step(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        # As in `SafeguardWrapper`: accelerators may round matrix products to 10 bits.
        with jax.default_matmul_precision("highest"):
            # new dictionaries: the environments write into those they get
            state = self._placed(jax.tree.map(lambda leaf: leaf, self._some_state), x)
            after = self.env.step(state, action)
        return self.state(after).astype(x.dtype) + jnp.sum(
            self._joints.disturbances.astype(x.dtype) * disturbance, axis=1
        )


def _require_playground(env: Any) -> None:
    """Raises a TypeError that says what to write, unless it is a bare environment of Playground."""
    name = type(env).__name__
    parts = ("reset", "step", "mjx_model", "action_size")
    known = (
        not isinstance(env, envs.Env | gymnasium.Env)
        and all(hasattr(env, part) for part in parts)
        and isinstance(getattr(env, "mj_model", None), mujoco.MjModel)
    )
    if not known:
        hints = {
            envs.Env: "Write `BraxPlant(env)` for an environment of Brax.",
            gymnasium.Env: "Write `GymPlant(env)` for an environment of Gymnasium.",
            object: "Write a `Model` or an `ExplicitSystem` for one of another kind.",
        }
        hint = next(hint for kind, hint in hints.items() if isinstance(env, kind))
        raise TypeError(
            "`env` must be an environment of MuJoCo Playground, with `mj_model`, `mjx_model` and "
            f"states that hold `data`, but it is a `{name}`. {hint}"
        )
    if getattr(env, "unwrapped", env) is not env or hasattr(env, "safeguard"):
        raise TypeError(
            "`env` must be an environment of MuJoCo Playground without wrappers and without a "
            f"safeguard, but it is a `{name}`. Write `PlaygroundPlant(env.env)`."
        )


def _shapes(tree: Any) -> Any:
    return jax.tree.map(jnp.shape, tree)
