"""Virtual inputs: what an agent's actions do to a plant, in coordinates in which the plant falls
into blocks.

A plant moves by x' = g(x, v, w), where v, its virtual input, is what the actuators bring about: the
accelerations of joints, of a body. The actions that bring it about are affine in it,

    a = P(x) v + p(x),

so that the plant's own step is f(x, a, w) = g(x, P(x)^-1 (a - p(x)), w). A safe set is sought and
proved in terms of v (`certificates`), where blocks of states do not disturb one another, or little.
The step is composed of these parts and nothing else, so there is no second formula of the plant.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._products import reduced
from ._linear_solve import solve, solve_positive, symmetric

if TYPE_CHECKING:
    from ._model import Affine, Model


@dataclasses.dataclass(frozen=True, eq=False)
class VirtualInputs:
    """The parts of a step that acts through virtual inputs, in natural units.

    Args:
        size: d, the number of virtual inputs and of actions.
        step: g in JAX: (x, v, w) -> x', affine in (v, w).
        matrix: x -> P, shape (d, d), whose leading blocks are far from singular.
        offset: x -> p, shape (d,).
        least: Where P is symmetric, and P(x) - diag(least) positive semidefinite at every x: these
            d positive numbers, such as the inertias of the motors of an arm. Then only the lower
            triangle of P is read. Default: None, nothing is known.
    """

    size: int
    step: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    matrix: Callable[[jax.Array], jax.Array]
    offset: Callable[[jax.Array], jax.Array]
    least: tuple[float, ...] | None = None

    def parts(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """P and p at a state, shapes (d, d) and (d,)."""
        matrix = self.matrix(x)
        return matrix if self.least is None else symmetric(matrix), self.offset(x)

    def actions(self, x: jax.Array, v: jax.Array) -> jax.Array:
        """The actions that bring v about at x, shape (d,)."""
        matrix, offset = self.parts(x)
        return reduced(matrix, v) + offset

    def of_actions(self, x: jax.Array, action: jax.Array) -> jax.Array:
        """What an action brings about at x, shape (d,)."""
        matrix, offset = self.matrix(x), self.offset(x)
        solver = solve if self.least is None else solve_positive
        return solver(matrix, action - offset)

    def plant(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        """The plant's step f(x, a, w), shape (n,)."""
        return self.step(x, self.of_actions(x, action), disturbance)


# A limit that a full input reaches in fewer steps only makes corners.
_STEPS_TO_LIMIT = 8


def useful_inputs(stepped: "Model", center: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """The largest inputs that a set within limits has use for: larger ones would take a state from
    the middle to its limit in less than eight steps. Shape (d,), infinite for an input that moves
    no state.

    Args:
        stepped: The model in virtual inputs, `InVirtualInputs.stepped`.
        center: The middle, shape (n,).
        reach: How far the limits are from it, shape (n,).
    """
    with jax.enable_x64():
        B = np.abs(np.asarray(stepped.affine(jnp.asarray(center, jnp.float64)).B))
    with np.errstate(divide="ignore"):
        return np.min(np.where(B > 0, reach[:, None] / (_STEPS_TO_LIMIT * B), np.inf), axis=0)


class Inputs(NamedTuple):
    """What actions u in [-1, 1]^d bring about at one state: v = c + G u, shapes (d,) and (d, d)."""

    c: jax.Array
    G: jax.Array


class InVirtualInputs:
    """A model as it runs in virtual inputs; those of a model without any are its actions in
    [-1, 1]^d.

    Args:
        model: x' = f(x, a, w), n states, d actions, k disturbances.
    """

    def __init__(self, model: "Model"):
        self.model = model
        self.virtual = model.virtual

    def step(self, x: jax.Array, v: jax.Array, disturbance: jax.Array) -> jax.Array:
        """g(x, v, w), shape (n,)."""
        step = self.model.unit_step if self.virtual is None else self.virtual.step
        return step(x, v, disturbance)

    def actions(self, x: jax.Array, v: jax.Array) -> jax.Array:
        """The action in [-1, 1]^d that brings v about, shape (d,); beyond the box if none does."""
        if self.virtual is None:
            return v
        return self.model.unit_action(self.virtual.actions(x, v))

    def of_actions(self, x: jax.Array, action: jax.Array) -> jax.Array:
        """What an action in [-1, 1]^d brings about, shape (d,)."""
        if self.virtual is None:
            return action
        return self.virtual.of_actions(x, self.model.natural_action(action))

    def inputs(self, x: jax.Array) -> Inputs:
        """The affine form of `of_actions` at x."""
        zero = jnp.zeros(self.model.action_size, x.dtype)
        c, push = jax.linearize(lambda u: self.of_actions(x, u), zero)
        return Inputs(c, jax.vmap(push, out_axes=1)(np.eye(len(zero), dtype=x.dtype)))

    @property
    def stepped(self) -> "Model":
        """The model with the virtual inputs as its actions, without limits: x' = g(x, v, w)."""
        from ._model import Model

        model = self.model
        return Model(
            f"{model.name}, in virtual inputs",
            self.step,
            model.state_size,
            model.action_size,
            model.disturbance_size,
            state_names=model.state_names,
            units={name: model.units[name] for name in model.state_names if name in model.units},
        )

    def affine(self, x: jax.Array) -> "Affine":
        """c, B and E at x of g = c + B v + E w."""
        return self.stepped.affine(x)
