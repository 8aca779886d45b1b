"""Brax environments as Gymnasium ones, one at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from brax import envs
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from .._errors import CertificateError, SetDimensionError, WrapperOrderError
from .._flat_info import flattened
from .._frozen import Frozen
from .._gate import as_flag, as_integer, as_numbers, as_reward, instance_of, one_of
from .._host_arrays import from_jax, require_array, to_action, to_numpy
from .._programs import compiled_by_content, remembered
from .._seeds import draw_seed, key_of
from ..wrappers import BoundedEnv, SafeguardWrapper, StartableEnv, SystemEnv

METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}

Draw = Callable[[np.ndarray, Mapping[str, Any]], np.ndarray]
Info = dict[str, Any]


class Seen(NamedTuple):
    """What a Gymnasium environment sees of a Brax state.

    Attributes:
        observation: The observation for the agent.
        info: The info for the agent.
        x: The system's state, shape (n,).
    """

    observation: jax.Array
    info: Info
    x: jax.Array


Transition = tuple[envs.State, Seen, jax.Array, jax.Array]


class GymEnv(Frozen, gymnasium.Env[Any, Any]):
    """A Brax environment with a system, safeguarded or not, as a `gymnasium.Env`.

    It adds nothing to what `SafeguardWrapper` guarantees. Actions lie in [-1, 1]^d. A safeguarded
    environment gets every request as it came, NaN and oversized ones included, and flags it; for an
    unsafeguarded one NaN counts as 0 and the action is clipped to the box. The environment's own
    termination is reported, of which the bundled ones have none; truncation is up to
    `gymnasium.wrappers.TimeLimit`. The first reset and the first step compile.

    Observations and infos are arrays of the kind `array`, on the device where the environment runs;
    actions may be of any kind. No gradient crosses this border: for gradients step the Brax
    environment itself.

    Args:
        env: A `SafeguardWrapper`, or a bare environment with a `system`, which has no guarantee.
        array: "numpy", "jax" or "torch"; torch tensors are copies, so that writing to them changes
            nothing here.
        render_mode: None or "rgb_array".
        draw: (state x, info) -> picture, shape (height, width, 3), uint8: what `render` returns.
        flat_info: Whether infos hold no dictionaries: `info["safeguard/action"]` instead of
            `info["safeguard"]["action"]`, for agents that take no others.

    Raises:
        WrapperOrderError: If `env` is in a wrapper of Brax: episodes, batches and resets are
            Gymnasium's here.
        TypeError: If it is no Brax environment, or its observations are not vectors.
        CertificateError: If it has no `system`.
        ValueError: If the kind of array or the render mode is unknown, or rendering needs a
            function `draw` and there is none.
        MissingDependencyError: If `array` is "torch" and torch is not installed.

    Info:
        The Brax environment's own info, without random keys; safeguarded, "safeguard" and "cost"
        of `SafeguardWrapper`. Flags are 0 or 1, float32. The same entries from reset and step. And,
        if the environment reports nothing under these names:
        state: x, shape (n,), float32.
        task_reward: The reward without regularisation.

    Example:
        >>> import safe_wrappers as sw
        >>> pendulum = sw.envs.get_environment("safe_pendulum")
        >>> env = GymEnv(sw.SafeguardWrapper(pendulum, sw.BoundaryProjection()))
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        >>> float(info["safeguard"]["inside"])
        1.0
    """

    may_change = frozenset({"_np_random", "_np_random_seed", "spec", "_state", "_seen"})
    metadata = METADATA

    def __init__(
        self,
        env: envs.Env,
        *,
        array: str = "numpy",
        render_mode: str | None = None,
        draw: Draw | None = None,
        flat_info: bool = False,
    ):
        require_array(array)
        require_render_mode(render_mode, draw)
        require_single(env)
        self.env: Any = env
        self.array = array
        self.render_mode = render_mode
        self.draw = draw
        self.flat_info = as_flag("flat_info", flat_info)
        self.metadata = self.metadata | frames_per_second(env)
        self.observation_space, self.action_space = spaces_of(env)
        self._state: Any = None
        # what was last returned, on the device
        self._seen: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode at a random state of the safe set.

        Args:
            seed: An integer of at least 0 starts the random stream again; None continues it.
            options: {"x": state}, shape (n,): the state to start at.

        Raises:
            ValueError: If that state is outside the safe set, the environment cannot be started at
                given states, or an option is unknown.
            TypeError: If the seed is no integer, or `options` no dictionary.
            SetDimensionError: If the state has another shape, or is not made of real numbers.
            CertificateError: If a safeguarded environment did not start in the safe set.
        """
        options = reset_options(options, ("x",))
        super().reset(seed=None if seed is None else as_integer("seed", seed, 0))
        draw = draw_seed(self.np_random)
        if "x" in options:
            started = reset_to(self.env, draw, start_states(self.env, options["x"]))
        else:
            started = reset(self.env, draw)
        self._state, self._seen, _, _ = started
        require_inside(self.env, self._seen)
        return self._returned()

    def step(self, action: ArrayLike) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step under the safe replacement of `action`, shape (d,).

        Raises:
            SetDimensionError: If the action has another shape, or is not made of real numbers;
                nothing has happened then.
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        request = to_action(action, (self.env.action_size,))
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call `reset` before the first `step`.")
        self._state, self._seen, reward, terminated = step(self.env, self._state, request)
        observation, info = self._returned()
        return observation, float(reward), bool(terminated), False, info

    def _returned(self) -> tuple[Any, dict[str, Any]]:
        observation, info = from_jax(self._seen[:2], self.array)
        return observation, flattened(info, self.flat_info)

    def render(self) -> np.ndarray | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The picture of the current state, shape (height, width, 3), uint8; None without a render
        mode.
        """
        if not self.draw or not self.render_mode:
            return None
        if self._state is None:
            raise gymnasium.error.ResetNeeded("Call `reset` before the first `render`.")
        seen = to_numpy(self._seen)
        return self.draw(seen.x, seen.info)


def require_single(env: Any) -> None:
    """Raises an error that says why, if `env` is not a single Brax environment with a system and
    vectors as observations.
    """
    name = type(env).__name__
    if isinstance(env, envs.Wrapper):
        raise WrapperOrderError(
            "`env` must be without wrappers of Brax, since Gymnasium has its "
            f"own, but it is a `{name}`; give the environment inside it."
        )
    if not isinstance(env, envs.Env):
        raise TypeError(
            "`env` must be a `brax.envs.Env`, safeguarded or with a `system`, but it "
            f"is a `{name}`. For environments of Gymnasium there is `GymSafeguardWrapper`."
        )
    if not isinstance(env, SystemEnv):
        raise CertificateError(
            f"`{name}` has no `system`; write `SafeguardWrapper(env, safeguard, system=...)`."
        )
    if not isinstance(env.observation_size, int | np.integer):
        raise TypeError(
            f"The observations of `env` must be vectors, but those of `{name}` have "
            f"the sizes {env.observation_size}."
        )


def frames_per_second(env: Any) -> dict[str, int]:
    """The metadata of an environment that knows the duration `dt` of its steps, else none."""
    return {"render_fps": round(1 / env.dt)} if hasattr(env, "dt") else {}


def require_inside(env: Any, seen: Seen, among: NDArray[np.bool_] | bool = True) -> None:
    """Raises a CertificateError if a safeguarded environment was reset to a state outside its safe
    set; or one of many, of a mask.
    """
    if not isinstance(env, SafeguardWrapper):
        return
    outside = (np.atleast_1d(seen.info["safeguard"]["inside"]) < 1) & among
    if outside.any():
        raise env.no_safe_start(np.atleast_2d(seen.x)[outside][0])


def spaces_of(env: Any) -> tuple[spaces.Box, spaces.Box]:
    """Observation and action space: observations of a safeguarded environment are bounded, because
    its states are.
    """
    bound = (
        env.observation_bound()
        if isinstance(env, SafeguardWrapper)
        else np.full(env.observation_size, np.inf)
    )
    bound = bound.astype(np.float32)
    return spaces.Box(-bound, bound, dtype=np.float32), spaces.Box(
        -1.0, 1.0, (env.action_size,), np.float32
    )


def require_render_mode(render_mode: str | None, draw: Draw | None) -> None:
    """Raises a ValueError if the mode is unknown or there is nothing to draw with."""
    if render_mode is not None:
        one_of("render_mode", render_mode, ("rgb_array",), " Or give None.")
    if render_mode and draw is None:
        raise ValueError(
            "`render_mode='rgb_array'` needs a function `draw(x, info)` that returns the picture; "
            "give it as `draw=`."
        )


def reset_options(options: Any, valid: Sequence[str]) -> dict[str, Any]:
    """The options of a reset.

    Raises:
        TypeError: If they are no dictionary.
        ValueError: If one is unknown.
    """
    if options is None:
        return {}
    instance_of("options", options, dict)
    for name in options:
        one_of("options", name, valid)
    return options


def start_states(env: envs.Env, x: ArrayLike, num_envs: int | None = None) -> NDArray[np.float32]:
    """Chosen states to start at, shape (n,), or (num_envs, n) for a vector environment, to which
    one state is broadcast.

    Raises:
        SetDimensionError: If the shape is another one, or x is not made of real numbers.
        ValueError: If a state is outside the safe set, or the environment cannot be started at
            given states.
    """
    if not isinstance(env, StartableEnv) or not isinstance(env, BoundedEnv):
        raise ValueError(
            f"`options={{'x': ...}}` needs an environment with `reset_to` and "
            f"`admissible`, but `{type(env).__name__}` has not both; leave the option out, or give "
            "`SafeguardWrapper(..., reset_to=)` for the environment inside."
        )
    n = _state_size(env)
    shape = (n,) if num_envs is None else (num_envs, n)
    with np.errstate(over="ignore"):
        given = np.asarray(as_numbers("options['x']", x, overflow=True)).astype(np.float32)
    if given.shape not in (shape, (n,)):
        raise SetDimensionError(
            f"`options['x']` must have shape {shape}, but its shape is {given.shape}."
        )
    states = np.broadcast_to(given, shape)
    outside = np.atleast_2d(states)[~np.atleast_1d(_admissible(env, states))]
    if len(outside):
        raise ValueError(
            "`options['x']` must lie in the safe set, where the guarantee holds, but "
            f"{outside[0].tolist()} does not. `env.system.margin(x)` is at least 0 inside."
        )
    return states


# Each is compiled once for environments of equal content, and pure.
@compiled_by_content
def reset(env: envs.Env, seed: jax.Array) -> Transition:
    """A fresh state; `seed` as from `draw_seed`."""
    return _seen(env, env.reset(key_of(seed)))


@compiled_by_content
def reset_to(env: envs.Env, seed: jax.Array, x: jax.Array) -> Transition:
    """A given state x, shape (n,)."""
    return _seen(env, env.reset_to(x, key_of(seed)))  # pyright: ignore[reportAttributeAccessIssue]


@compiled_by_content
def step(env: envs.Env, state: envs.State, action: jax.Array) -> Transition:
    """The next state, and what is seen of it; the reward, and whether it is terminal."""
    # A safeguard must see the request as it came. Without one, an actuator has its limits all the
    # same, and rests where it is told nothing.
    if not isinstance(env, SafeguardWrapper):
        action = jnp.clip(jnp.where(jnp.isnan(action), 0.0, action), -1.0, 1.0)
    return _seen(env, env.step(state, action))


def _seen(env: Any, state: envs.State) -> Transition:
    x = env.system.state(state)
    reward = jnp.asarray(as_reward(env, state.reward))
    task_reward = state.metrics.get("safeguard/task_reward", reward)
    own = {name: value for name, value in state.info.items() if not _is_random_key(name, value)}
    info = {"state": x, "task_reward": task_reward, **own}
    observation = jnp.asarray(state.obs, jnp.float32)
    return state, Seen(observation, info, x), reward, state.done > 0  # pyright: ignore[reportReturnType, reportArgumentType, reportOperatorIssue]


def _is_random_key(name: str, value: Any) -> bool:
    """Whether an info is a random key of JAX, which is of no use in NumPy."""
    if not hasattr(value, "dtype"):
        return False
    typed = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return typed or (name == "key" and value.dtype == jnp.uint32)


@remembered
def _state_size(env: Any) -> int:
    return jax.eval_shape(
        lambda key: env.system.state(env.reset(key)), jax.random.PRNGKey(0)
    ).shape[0]


@compiled_by_content
def _admissible(env: Any, x: jax.Array) -> jax.Array:
    return env.admissible(x) if x.ndim == 1 else jax.vmap(env.admissible)(x)
