"""A Gymnasium environment as a plant: its state, its steps, and starts at chosen states."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from brax import envs

from .._action_box import ActionBox
from .._errors import ModelError, SetDimensionError
from .._gate import as_numbers, function
from .._gym_layers import observers
from ..sets import Box
from ._memory import require_memoryless
from ._mujoco_model import Touching, has_joints, names_of_joints, quaternions
from ._support import PAGE, warn_of_many_states

_TOLERANCE = 1e-6  # of float32, in which some environments keep their state


class GymPlant:
    """A Gymnasium environment without a safeguard, as a plant: it is put into states and stepped,
    and needs no other ability.

    It may be written in anything, repeat an action over any number of frames, and have any
    observation, pixels too: only `get_state` counts. Its steps cannot be differentiated or put into
    a proof, so `fit_surrogate(plant, ...)` fits a polynomial model to them, with a disturbance set
    that covers the difference; sets are found and proved for that model, and `conform` tests that
    the environment steps it. What is said of the environment is tested, never proved.

    It is asked whether x is all that a step depends on: 8 short episodes are run, and every step of
    them is repeated from its x alone, with other steps before it. That, and every sampling, leaves
    the environment in some state: `reset` it before an episode of your own.

    Args:
        env: A single environment, as `gymnasium.make` returns it, with a bounded box of
            floating-point actions. Wrappers of observations and rewards may be around it, and those
            that `gymnasium.make` adds.
        get_state: env.unwrapped -> x, shape (n,), in units of your own. Default for MuJoCo's
            environments: x = (qpos, qvel).
        set_state: (env.unwrapped, x) -> the observation there: puts the environment into the state
            x. It may return nothing if the environment has a method `_get_obs`. Default for
            MuJoCo's environments: their own `set_state(qpos, qvel)`.

    Attributes:
        env: The environment that was given.
        name: Its name in Gymnasium's registry, or that of its class.
        state_size: n.
        action_size: d.
        action_box: The bounds of the action space, in its own units; those of the surrogate's
            model.
        state_names: Names of MuJoCo's joints and of their velocities; () for other environments.

    Raises:
        TypeError: If `env` is not a single Gymnasium environment, or one of the functions is
            missing or none.
        WrapperOrderError: If a wrapper may change, repeat or skip actions.
        CertificateError: If the action space is not a bounded box of floating-point numbers.
        SetDimensionError: If `get_state` does not return a vector of finite numbers.
        ModelError: If (qpos, qvel) is no state, since a free or ball joint has a quaternion or an
            actuator has a state of its own; if `get_state` does not return what `set_state` was
            given; or if steps from the same x under the same action differ by more than 1 % of what
            a step changes.

    Warns:
        UserWarning: If they differ by less, but by more than rounding; if bodies touch, as far as
            the environment is MuJoCo's; if there are more than 6 states.

    Example:
        >>> import gymnasium
        >>> def get_state(env):
        ...     return env.state
        >>> def set_state(env, x):
        ...     env.state = np.array(x)  # its observation is then env._get_obs()
        >>> plant = GymPlant(gymnasium.make("Pendulum-v1"), get_state, set_state)
        >>> plant.steps(np.array([[0.1, 0.0]]), np.array([[1.0]])).round(3)
        array([[0.119, 0.375]])
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        get_state: Callable[[Any], Any] | None = None,
        set_state: Callable[[Any, np.ndarray], Any] | None = None,
    ):
        if not isinstance(env, gymnasium.Env):
            raise TypeError(
                f"`env` must be a single `gymnasium.Env`, but it is a `{type(env).__name__}`. "
                + (
                    "Write `BraxPlant(env)` for an environment of Brax."
                    if isinstance(env, envs.Env)
                    else "Give one of the environments before they are vectorised."
                )
            )
        observers(
            env,
            below=type(self).__name__,
            instead="Give the environment inside it, and put the `{name}` around the safeguarded "
            "environment.",
        )
        self.env = env
        inside: Any = env.unwrapped
        self.name = inside.spec.id if inside.spec else type(inside).__name__
        self._mujoco = has_joints(inside)
        self.state_names: tuple[str, ...] = ()
        if (get_state is None) != (set_state is None):
            raise TypeError("`get_state` and `set_state` must be given together, or neither.")
        if get_state is None or set_state is None:
            if not self._mujoco:
                raise TypeError(
                    f"`GymPlant` must be told how to read and set the state of {self.name}, which "
                    "is none of MuJoCo's environments. Give `get_state`, a function env.unwrapped "
                    "-> x, and `set_state`, a function (env.unwrapped, x) -> observation."
                )
            _require_joints_are_the_state(self.name, inside.model)
            get_state, set_state = _joints, _set_joints
            sizes = inside.model.nq, inside.model.nv
            self.state_names = names_of_joints(inside.model, *map(range, sizes))
        function("get_state", get_state, "env.unwrapped -> x, shape (n,)")
        function("set_state", set_state, "(env.unwrapped, x) -> observation")
        self._get, self._set = get_state, set_state
        shape = env.action_space.shape or ()
        self.action_size = shape[0] if len(shape) == 1 else 1
        self._box = ActionBox(env.action_space, self.action_size)
        space: Any = env.action_space
        self.action_box = Box(space.low, space.high)
        env.reset(seed=0)
        self._ended = False
        self.state_size = len(self.state(inside))
        warn_of_many_states(self.name, self.state_size, stacklevel=2)
        touching = require_memoryless(self)
        touching.warn_of_contacts(self.name, "of short episodes", stacklevel=2)

    @property
    def disturbance_size(self) -> int:
        """n: what `fit_surrogate` is told to add to a step of the environment is added to x."""
        return self.state_size

    def state(self, env: Any) -> np.ndarray:
        """x, shape (n,), float64, of `env.unwrapped` of this plant or of an environment like it.

        Raises:
            SetDimensionError: If `get_state` returns something else.
        """
        x = np.asarray(as_numbers("get_state(env)", self._get(env)), np.float64)
        if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
            raise SetDimensionError(
                f"`get_state` must return finite numbers of shape (n,), but it returned {x!r}."
            )
        return x

    def set_state(self, env: Any, x: np.ndarray) -> Any:
        """Puts `env.unwrapped` into the state x, shape (n,), and returns the observation there:
        what `GymSafeguardWrapper` and `conform` take as `set_state` and `start`.
        """
        observation = self._set(env, np.array(x, np.float64))
        if observation is None and hasattr(env, "_get_obs"):
            observation = env._get_obs()
        return observation

    def steps(self, x: np.ndarray, action: np.ndarray) -> np.ndarray:
        """One step of the environment from each of these states.

        Args:
            x: States, shape (N, n).
            action: Actions, shape (N, d), -1 for `low` of the action space and 1 for `high`.

        Returns:
            The next states, shape (N, n), float64.

        Raises:
            ModelError: If the environment is not in the state in which it was put.
        """
        return self.watched_steps(x, action)[0]

    def watched_steps(self, x: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, Touching]:
        """`steps`, and which of the states, before and after, are in contact."""
        after, touching = np.empty(np.shape(x)), Touching()
        for i, (start, unit) in enumerate(zip(x, action, strict=True)):
            self._put(start)
            self._watch(touching)
            after[i], _ = self.advance(unit)
            self._watch(touching)
        return after, touching

    def advance(self, unit: np.ndarray) -> tuple[np.ndarray, bool]:
        """The state after a step from where the environment is under an action in units of
        [-1, 1]^d, shape (d,), and whether the episode ended with it.
        """
        env = self.env.unwrapped
        _, _, terminated, truncated, _ = env.step(self._box.physical(unit))
        self._ended = bool(terminated or truncated)
        return self.state(env), self._ended

    def _put(self, x: np.ndarray) -> None:
        env = self.env.unwrapped
        if self._ended:
            env.reset()  # some environments refuse to go on otherwise
        self.set_state(env, x)
        found = self.state(env)
        if found.shape != np.shape(x) or np.any(np.abs(found - x) > _TOLERANCE * (1 + np.abs(x))):
            raise ModelError(
                f"`get_state` must return the state that `set_state` put the environment into, "
                f"but for {self.name} it returned {found.tolist()} after {np.asarray(x).tolist()}. "
                "Set all that `get_state` reads, in the same order and units, and ask only for "
                "states that the environment can be in."
            )

    def _watch(self, touching: Touching) -> None:
        if self._mujoco:
            env: Any = self.env.unwrapped
            touching.see(env.model, env.data)


def _require_joints_are_the_state(name: str, model: Any) -> None:
    found = sorted(set(quaternions(model).values()))
    if found:
        raise ModelError(
            f"The state must be a vector whose parts have derivatives, but (qpos, qvel) of {name} "
            f"holds the quaternion of the {', the '.join(found)}. Give `get_state` and `set_state` "
            f"of coordinates that move on their own, if there are such. {PAGE}"
        )
    if model.na:
        raise ModelError(
            f"The state must be all that a step depends on, but {model.na} actuator(s) of {name} "
            "have a state of their own, `data.act`, beside (qpos, qvel). Give `get_state` and "
            f"`set_state` that hold it as well. {PAGE}"
        )


def _joints(env: Any) -> np.ndarray:
    return np.concatenate([env.data.qpos, env.data.qvel])


def _set_joints(env: Any, x: np.ndarray) -> None:
    env.set_state(*np.split(x, [env.model.nq]))
