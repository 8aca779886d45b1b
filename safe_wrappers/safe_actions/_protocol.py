"""What a safeguard needs to know of a plant: the one plug-in point for users."""

from typing import Any, Protocol, runtime_checkable

import jax
from jaxtyping import Bool, Float, Int32

from ..models import Model
from ..sets import Box
from ._action_set import SafeActionSet


@runtime_checkable
class System(Protocol):
    """What the safeguards and wrappers use.

    `ModelSystem` implements it for a model and a polytope, `ExplicitSystem` for safe action sets
    given as rows.
    """

    @property
    def action_size(self) -> int:
        """Number of actions d; actions live in [-1, 1]^d."""
        ...

    @property
    def neutral_action(self) -> Float[jax.Array, " d"]:
        """What is executed, flagged, when the state itself is not finite. Shape (d,)."""
        ...

    def state(self, env_state: Any, /) -> Float[Any, " n"]:
        """The model's state x, shape (n,), read from the environment's state."""
        ...

    def safe_action_set(self, x: Float[jax.Array, " n"], /) -> SafeActionSet:
        """The actions that keep the next state safe for every admissible disturbance."""
        ...

    def margin(self, x: Float[jax.Array, " n"], /) -> Float[jax.Array, ""]:
        """At least 0 inside the safe set, in the scale where its centre has margin 1. Shape ()."""
        ...

    def violation(self, x: Float[jax.Array, " n"], /) -> Float[jax.Array, ""]:
        """1 if x violates the state constraints, else 0. Shape ()."""
        ...

    def sample_initial(self, key: jax.Array, /) -> Float[jax.Array, " n"]:
        """A state in the safe set, shape (n,)."""
        ...


@runtime_checkable
class FacetedSystem(System, Protocol):
    """A system that can give single rows of its safe action sets, without the others."""

    @property
    def facets(self) -> int:
        """How many rows its safe action sets have, which are those of `facet_rows`; 0 if it cannot
        give single ones.
        """
        ...

    def facet_rows(
        self, x: Float[jax.Array, " n"], facets: Int32[jax.Array, " r"] | None = None, /
    ) -> tuple[Float[jax.Array, "r d"], Float[jax.Array, " r"]]:
        """The rows (A, b) of the safe action set at x with these indices; default: all."""
        ...


@runtime_checkable
class SteppingSystem(System, Protocol):
    """A system that can tell by a step of its model, and not by its rows, what an action does."""

    def stays(
        self, x: Float[jax.Array, " n"], action: Float[jax.Array, " d"], /
    ) -> Bool[jax.Array, ""]:
        """Whether the step at x with an action in [-1, 1]^d ends in the safe set for every
        admissible disturbance. Shape ().
        """
        ...


@runtime_checkable
class ModelBased(Protocol):
    """A system or an environment with a model and the set of the model's disturbances."""

    @property
    def model(self) -> Model:
        """The one-step model."""
        ...

    @property
    def disturbance_set(self) -> Box:
        """W, shape (k,)."""
        ...
