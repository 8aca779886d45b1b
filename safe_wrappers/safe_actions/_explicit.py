"""Systems whose safe action sets are given as rows, not derived from a set of safe states."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._errors import SetDimensionError
from .._gate import as_integer, as_state, function
from ._action_set import SafeActionSet
from ._common import BoxSystem


@dataclasses.dataclass(frozen=True, eq=False)
class ExplicitSystem(BoxSystem):
    """A system with explicit safe action sets {a in [-1, 1]^d : A(x) a <= b(x)}: plain JAX
    functions of the state.

    You are responsible for the following, which the library does not check: for every x with
    margin(x) >= 0,

    1. every such action leads to a next state with margin >= 0, whatever the admissible
       disturbance, in the arithmetic of the environment (b has room for rounding);
    2. the anchor satisfies the rows, with at least (4 d + 12) machine eps times the length of each
       row to spare.

    Then no trajectory that starts with margin >= 0 ever leaves that set, as for `ModelSystem`. Call
    the guarantee "tested" unless you have proved both; `envs.SafeSeeker` is an example with a
    proof.

    Args:
        action_size: Number of actions d.
        rows: x (n,) -> A (m, d), b (m,), without the rows of the box; differentiable if gradients
            are wanted.
        margin: x (n,) -> (), at least 0 exactly on the safe states, in the scale where their centre
            has 1.
        sample_initial: Random key -> a safe state (n,).
        state: Reads x from the environment's state. Everything that `rows` needs must be in it.
        anchor: x (n,) -> a safe action (d,). Default: the action of largest margin, by a small
            linear program.

    Raises:
        TypeError: If `action_size` is no integer, or a function none.
        ValueError: If `action_size` is not positive.
        SetDimensionError: At trace time, if `rows` or `anchor` have other shapes.

    Example:
        >>> system = ExplicitSystem(
        ...     action_size=1,
        ...     rows=lambda x: (jnp.array([[0.1], [-0.1]]), jnp.array([0.99 - x[0], 0.99 + x[0]])),
        ...     margin=lambda x: 1 - jnp.abs(x[0]),
        ...     sample_initial=lambda key: jax.random.uniform(key, (1,), minval=-0.9, maxval=0.9),
        ...     state=lambda env_state: env_state.obs,
        ... )
        >>> system.safe_action_set(jnp.array([0.95])).anchor
        Array([-1.], dtype=float32)
    """

    action_size: int
    rows: Callable[[Float[jax.Array, " n"]], tuple[Float[jax.Array, "m d"], Float[jax.Array, " m"]]]
    margin: Callable[[Float[jax.Array, " n"]], Float[jax.Array, ""]]
    sample_initial: Callable[[jax.Array], Float[jax.Array, " n"]]
    state: Callable[[Any], Float[Any, " n"]]
    anchor: Callable[[Float[jax.Array, " n"]], Float[jax.Array, " d"]] | None = None

    def __post_init__(self):
        object.__setattr__(self, "action_size", as_integer("action_size", self.action_size, 1))
        function("rows", self.rows, "x -> A (m, d), b (m,)")
        function("margin", self.margin, "x -> ()")
        function("sample_initial", self.sample_initial, "random key -> x (n,)")
        function("state", self.state, "(environment's state) -> x (n,)")
        if self.anchor is not None:
            function("anchor", self.anchor, "x -> a safe action (d,)")

    def safe_action_set(self, x: ArrayLike) -> SafeActionSet:
        """The rows at x, shape (n,), and the anchor, which is a constant for derivatives."""
        x = as_state("x", x, None)
        A, b = self.rows(x)
        m, d = jnp.size(b), self.action_size
        if jnp.shape(A) != (m, d) or jnp.shape(b) != (m,):
            raise SetDimensionError(
                f"`rows` must return shapes (m, {d}) and (m,), but they are "
                f"{jnp.shape(A)} and {jnp.shape(b)}."
            )
        if self.anchor is None:
            return SafeActionSet.from_rows(A, b)
        anchor = jax.lax.stop_gradient(self.anchor(x))
        if jnp.shape(anchor) != (d,):
            raise SetDimensionError(
                f"`anchor` must return shape ({d},), but its shape is {jnp.shape(anchor)}."
            )
        return SafeActionSet(A, b, anchor)

    def violation(self, x: ArrayLike) -> Float[jax.Array, ""]:
        """1 if the margin at x is negative or NaN, else 0, float32, shape ()."""
        return 1.0 - (self.margin(as_state("x", x, None)) >= 0).astype(jnp.float32)
