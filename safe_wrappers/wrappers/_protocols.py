"""What an environment may know of itself, beside what its host asks of it."""

from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from brax import envs

from ..safe_actions import System
from ..safeguards import Safeguard


@runtime_checkable
class SystemEnv(Protocol):
    """An environment with a system of its own, as the bundled ones are."""

    @property
    def system(self) -> System:
        """The plant's model and safe set."""
        ...


@runtime_checkable
class SafeguardedEnv(SystemEnv, Protocol):
    """An environment that replaces actions by safe ones."""

    @property
    def safeguard(self) -> Safeguard:
        """How unsafe actions are mapped to safe ones."""
        ...

    @property
    def regularisation(self) -> float:
        """The weight of the squared correction that the reward is reduced by."""
        ...


@runtime_checkable
class HasBraxEnv(Protocol):
    """A safeguarded environment of another host that steps a `SafeguardWrapper` inside."""

    @property
    def env(self) -> Any:
        """The environment that is safeguarded."""
        ...

    @property
    def as_brax_env(self) -> envs.Env:
        """The `SafeguardWrapper`."""
        ...


@runtime_checkable
class StartableEnv(Protocol):
    """An environment that can be put into a given state."""

    def reset_to(self, x: jax.Array, rng: jax.Array, /) -> Any:
        """The environment's state at x, shape (n,); `rng` seeds what else is random."""
        ...


@runtime_checkable
class BoundedEnv(Protocol):
    """An environment that knows from which states the guarantee covers its episodes, and how large
    its observations are then.
    """

    def admissible(self, x: jax.Array, /) -> jax.Array:
        """Whether the guarantee covers episodes from x, shape (n,). Shape (), bool."""
        ...

    def observation_bound(self) -> np.ndarray:
        """What |observation| is at most, in each component. Shape (observation_size,)."""
        ...
