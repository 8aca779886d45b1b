"""Safeguards for environments of MuJoCo Playground; needs the extra `playground`."""

from collections.abc import Callable
from typing import Any

import brax.envs
import jax

from .._errors import CertificateError, MissingDependencyError, WrapperOrderError
from .._frozen import Frozen
from ..certificates import Guarantee
from ..safe_actions import System
from ..safeguards import Safeguard
from ._brax_wrapper import SafeguardWrapper
from ._core import tested

try:
    from mujoco_playground import MjxEnv, State, wrapper  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise MissingDependencyError(
        "`PlaygroundSafeguardWrapper` needs MuJoCo Playground; run `pip install "
        '"safe-wrappers[playground]"`.'
    ) from error


class PlaygroundSafeguardWrapper(Frozen, MjxEnv):
    """`SafeguardWrapper` for MuJoCo Playground: every action is replaced by a safe one before the
    environment sees it.

    The core, the metrics and the info are those of `SafeguardWrapper`; `system.state` reads x from
    Playground's state, for example `jnp.concatenate([state.data.qpos, state.data.qvel])`. The
    result is a `mujoco_playground.MjxEnv` again: `mujoco_playground.wrapper.wrap_for_brax_training`
    prepares it for Brax's trainers.

    The guarantee is *tested*, not proved: that MuJoCo's step is the model's with a disturbance in W
    is the caller's claim. It says nothing of contacts and limits that the model does not have; keep
    them out of the safe set.

    It is its own `unwrapped` and refuses to have its `_mjx_model` replaced, so that domain
    randomisation cannot step around it.

    Attributes:
        as_brax_env: The same safeguarded environment for code that steps Brax environments.

    Args:
        env: A single environment, without any wrapper around it: this wrapper must be innermost.
            For derivatives load it with `config_overrides={"impl": "jax"}`.
        safeguard: How unsafe actions are mapped to safe ones.
        system: The plant's model and safe set.
        regularisation: c >= 0; subtracts c |a_s - a|^2 (a the sanitised request) from the reward.
        reset_to: (x, key) -> the environment's state at x, for example that of a
            `PlaygroundPlant`, with which episodes start at random in the safe set; as in
            `SafeguardWrapper`.
        diagnostics: Whether to report what the safeguard does to the gradient; see
            `diagnose_gradient`.
        monitor: Whether to report which steps the model and W do not explain.

    Raises:
        WrapperOrderError: If `env` is wrapped or safeguarded already.
        CertificateError: If the system has another number of actions, or on an attempt to replace
            the environment's physics.
        ValueError: If `regularisation` is negative or not finite.

    Example:
        >>> overrides = {"impl": "jax"}
        >>> env = mujoco_playground.registry.load("CartpoleBalance", config_overrides=overrides)
        >>> env = PlaygroundSafeguardWrapper(env, BoundaryProjection(), system=system)
        >>> env = mujoco_playground.wrapper.wrap_for_brax_training(env, episode_length=1000)
    """

    def __init__(
        self,
        env: MjxEnv,
        safeguard: Safeguard,
        *,
        system: System,
        reset_to: Callable[[jax.Array, jax.Array], Any] | None = None,
        regularisation: float = 0.0,
        diagnostics: bool = False,
        monitor: bool = False,
    ):
        if isinstance(env, wrapper.Wrapper | brax.envs.Wrapper):
            name = type(env).__name__
            raise WrapperOrderError(
                "`PlaygroundSafeguardWrapper` must be the innermost wrapper, but `env` is a "
                f"`{name}`. "
                "Write `wrap_for_brax_training(PlaygroundSafeguardWrapper(env, ...))`, not the "
                "other way around."
            )
        if isinstance(env, PlaygroundSafeguardWrapper):
            raise WrapperOrderError(
                "`env` must not be safeguarded already, but it is a "
                "`PlaygroundSafeguardWrapper`; wrap `env.env` instead."
            )
        if not isinstance(env, MjxEnv):
            raise TypeError(
                f"`env` must be a `mujoco_playground.MjxEnv`, but it is a `{type(env).__name__}`. "
                "Use `SafeguardWrapper` for Brax and `GymSafeguardWrapper` for Gymnasium."
            )
        self.env = env
        self.system = system
        self.safeguard = safeguard
        self.regularisation = regularisation
        self.as_brax_env = SafeguardWrapper(
            _AsBraxEnv(env),
            safeguard,
            system=system,
            reset_to=reset_to,
            regularisation=regularisation,
            diagnostics=diagnostics,
            monitor=monitor,
        )

    def reset(self, rng: jax.Array) -> State:
        """Resets the environment; `rng` is a PRNGKey of either kind."""
        return self.as_brax_env.reset(rng)  # pyright: ignore[reportReturnType]

    def reset_to(self, x: jax.Array, rng: jax.Array) -> State:
        """Starts at a given state x, shape (n,), by the argument `reset_to`."""
        return self.as_brax_env.reset_to(x, rng)  # pyright: ignore[reportReturnType]

    def step(self, state: State, action: jax.Array) -> State:
        """Steps the environment with the safe replacement of `action`, shape (d,)."""
        return self.as_brax_env.step(state, action)  # pyright: ignore[reportReturnType, reportArgumentType]

    @property
    def guarantee(self) -> Guarantee:
        """What stands behind the safety of this environment."""
        return tested(self.env, self.system)

    @property
    def observation_size(self):
        return self.env.observation_size

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def xml_path(self) -> str:
        return self.env.xml_path

    @property
    def mj_model(self) -> Any:
        return self.env.mj_model

    @property
    def mjx_model(self) -> Any:
        return self.env.mjx_model

    @property
    def _mjx_model(self) -> Any:
        return self.env.mjx_model

    @_mjx_model.setter
    def _mjx_model(self, value: Any) -> None:
        raise CertificateError(
            "The physics of a safeguarded environment must stay what the certificate speaks about, "
            "but `_mjx_model` was to be replaced "
            "(domain randomisation?). Randomise the disturbance inside W instead, or certify a set "
            "that covers all variants."
        )

    @property
    def unwrapped(self) -> "PlaygroundSafeguardWrapper":
        return self

    def render(self, *args: Any, **kwargs: Any) -> Any:
        return self.env.render(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.env, name)


class _AsBraxEnv(brax.envs.Env):
    """What `SafeguardWrapper` steps: the two kinds of state have all fields that it touches."""

    def __init__(self, env: MjxEnv):
        self.env = env

    def reset(self, rng: jax.Array) -> Any:
        return self.env.reset(rng)

    def step(self, state: Any, action: jax.Array) -> Any:
        # Playground's environments write into the dictionaries that they are given.
        return self.env.step(state.replace(metrics={**state.metrics}, info={**state.info}), action)

    @property
    def observation_size(self) -> Any:
        return self.env.observation_size

    @property
    def action_size(self) -> int:
        return self.env.action_size

    @property
    def backend(self) -> str:
        return "mjx"
