"""A plant that carries a plan: the next inputs of some of its blocks, which are put right as
disturbances come.

Of a block let y be the states, v its inputs and y' = A y + B v + ... its linear form, in
coordinates in which the centre is 0. Beside the plant's states the state has N inputs v_0, ...,
v_(N-1) of the block. From y they lead to z_1, ..., z_N along z_(k+1) = A z_k + B v_k. What the
plant really does in a step, e = y' - z_1, other blocks included, is answered with a gain K: with
Ac = A + B K

    v'_j = v_(j+1) + K Ac^j e,  with v_N = K z_N,

so that the new plan passes z_(k+1) + Ac^k e, and ends with the gain. Taking the input v_0 in every
step is one linear gain for the states (y, v), and the largest set that it keeps is the set of
states whose plan keeps all limits, whatever comes, until the gain's own set is reached (robust
model predictive control with constraint tightening, L. Chisci, J. A. Rossiter and G. Zappa, 2001,
without a program to solve).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from .._errors import ModelError, SetDimensionError
from .._gate import as_integer, instance_of, shown
from .._products import reduced
from ._model import Model
from ._virtual import VirtualInputs


class BlockPlan(NamedTuple):
    """What the plan of a block of n_b states and d_b inputs is made of.

    Args:
        states: Indices of the block's states.
        inputs: Indices of its inputs: virtual inputs, or actions of a plant without any.
        A: Of the block's linear form, shape (n_b, n_b); for actions in [-1, 1]^d.
        B: The same, shape (n_b, d_b).
        K: The gain that answers and ends a plan, shape (d_b, n_b).
        center: Where the linear form holds best, shape (n_b,).
        hold: The input that holds the block there, shape (d_b,).
    """

    states: tuple[int, ...]
    inputs: tuple[int, ...]
    A: np.ndarray
    B: np.ndarray
    K: np.ndarray
    center: np.ndarray
    hold: np.ndarray


def carried_plan(model: Model, plans: Sequence[BlockPlan], horizon: int) -> Model:
    """The plant with N d_b more states for each block that has a plan, in the order of `plans`.

    Args:
        model: x' = f(x, a, w) with n states.
        plans: One for each block that is to have a plan.
        horizon: N, at least 1.

    Raises:
        TypeError: If `model` is no model, or `horizon` no number.
        ValueError: If `horizon` is below 1.
        ModelError: If there is no plan, or the shapes of one do not fit.
    """
    instance_of("model", model, Model)
    horizon = as_integer("horizon", horizon, 1)
    if not plans:
        raise ModelError("`plans` must hold the plan of at least one block, but it is empty.")
    n, virtual = model.state_size, model.virtual
    names, parts = [*(model.state_names or model.state_labels)], []
    for plan in plans:
        parts.append(_Numbers.of(_checked(plan, model), horizon, n + sum(p.size for p in parts)))
        of_input = [
            f"input {i + 1}" if virtual is not None else model.action_labels[i] for i in plan.inputs
        ]
        names += [f"plan {j + 1}: {name}" for j in range(horizon) for name in of_input]
    carried = _Carried(model.step if virtual is None else virtual.step, n, tuple(parts))
    if virtual is not None:
        virtual = VirtualInputs(
            virtual.size,
            carried,
            functools.partial(_of_plant, virtual.matrix, n),
            functools.partial(_of_plant, virtual.offset, n),
            virtual.least,
        )
    return Model(
        f"{model.name}, with a plan of {horizon} steps",
        carried if virtual is None else virtual.plant,
        n + sum(part.size for part in parts),
        model.action_size,
        model.disturbance_size,
        parameters={**model.parameters, "horizon": horizon},
        action_box=model.action_box,
        state_names=tuple(names),
        action_names=model.action_names,
        units=model.units,
        virtual=virtual,
    )


def next_plan(model: Model, x: ArrayLike, after: ArrayLike, share: ArrayLike = 1.0) -> np.ndarray:
    """The next state of a plant that carries a plan, where the plant itself was measured: of a
    robot, or of a simulator that knows nothing of the plan. In NumPy and float64.

    Where a step of the model is one of way and not of time, a slow plant makes a part of it. The
    set is convex, so a plant that makes a part of the way to a safe state, with its plan, is safe:
    `share` says which part, and the plan goes the same part of the way to the next plan.

    Args:
        model: Of `carried_plan`, or of the certificate of `sw.carry_plan`; the plant has n states.
        x: The state before the step, with its plan, shape (..., n + N d).
        after: The plant's own state after it, shape (..., n).
        share: The part of the model's step that was made, in [0, 1], shape (...,).

    Returns:
        `after` with its plan, shape (..., n + N d), float64.

    Raises:
        TypeError: If `model` is no model.
        ModelError: If it carries no plan.
        SetDimensionError: If a shape does not fit.
    """
    instance_of("model", model, Model)
    carried = model.step if model.virtual is None else model.virtual.step
    if not isinstance(carried, _Carried):
        raise ModelError(
            f"`model` must carry a plan, but {model.name!r} carries none. Use the model of "
            "`sw.carry_plan(...)`, `certificate.claim.model`."
        )
    x, after, part = (np.asarray(value, np.float64) for value in (x, after, share))
    sizes = x.shape[-1:], after.shape[-1:]
    if sizes != ((model.state_size,), (carried.size,)) or x.shape[:-1] != after.shape[:-1]:
        raise SetDimensionError(
            f"`x` and `after` must have shapes (..., {model.state_size}) and "
            f"(..., {carried.size}), but they have {x.shape} and {after.shape}."
        )
    part = np.broadcast_to(part, x.shape[:-1])[..., None]
    return np.concatenate([after, *(p.measured(x, after, part) for p in carried.plans)], axis=-1)


def _checked(plan: BlockPlan, model: Model) -> BlockPlan:
    n, d = len(plan.states), len(plan.inputs)
    inside = set(plan.states) <= set(range(model.state_size))
    if not (inside and set(plan.inputs) <= set(range(model.action_size)) and n and d):
        raise ModelError(
            f"A plan must be of states and inputs of {model.name!r}, which has "
            f"{model.state_size} and {model.action_size}, but it is of {plan.states} and "
            f"{plan.inputs}."
        )
    shapes = {"A": (n, n), "B": (n, d), "K": (d, n), "center": (n,), "hold": (d,)}
    for name, shape in shapes.items():
        if np.shape(getattr(plan, name)) != shape:
            raise ModelError(
                f"`{name}` must have shape {shape}, but it is {shown(getattr(plan, name))}."
            )
    return plan


def _of_plant(part: Callable[[jax.Array], jax.Array], size: int, x: jax.Array) -> jax.Array:
    """A function of the plant's state, of the state with the plan."""
    return part(x[:size])


class _Numbers(NamedTuple):
    """The plan of a block as the program computes it, in float32 numbers.

    Attributes:
        states: Indices of the block's states.
        first: Where the plan begins in the state.
        A: Shape (n_b, n_b).
        B: Shape (n_b, d_b).
        K: Shape (d_b, n_b).
        answers: K Ac^j for all j, shape (N d_b, n_b).
        center: Shape (n_b,).
        hold: Shape (d_b,).
    """

    states: tuple[int, ...]
    first: int
    A: np.ndarray
    B: np.ndarray
    K: np.ndarray
    answers: np.ndarray
    center: np.ndarray
    hold: np.ndarray

    @classmethod
    def of(cls, plan: BlockPlan, horizon: int, first: int) -> "_Numbers":
        """Its plan of N steps begins at the index `first`."""
        A, B, K = (np.asarray(part, np.float64) for part in (plan.A, plan.B, plan.K))
        powers = [np.linalg.matrix_power(A + B @ K, j) for j in range(horizon)]
        answers = np.concatenate([K @ power for power in powers])
        numbers = (A, B, K, answers, plan.center, plan.hold)
        rounded = (np.asarray(number, np.float32) for number in numbers)
        return cls(plan.states, first, *rounded)

    @property
    def size(self) -> int:
        """N d_b, the length of the plan."""
        return len(self.answers)

    def following(self, x: jax.Array, after: jax.Array) -> jax.Array:
        """The next plan in JAX, shape (N d_b,), for the plant's next state."""
        A, B, K, answers, center, hold = (jnp.asarray(part, x.dtype) for part in self[2:])
        plan = x[self.first : self.first + self.size].reshape(-1, len(hold)) - hold
        z = self._own(x) - center
        reached = []
        for v in plan:
            z = reduced(A, z) + reduced(B, v)
            reached.append(z)
        error = self._own(after) - center - reached[0]
        shifted = jnp.concatenate([plan[1:], reduced(K, z)[None]])
        return (shifted + reduced(answers, error).reshape(plan.shape) + hold).ravel()

    def _own(self, x: jax.Array) -> jax.Array:
        return jnp.stack([x[i] for i in self.states])

    def measured(self, x: np.ndarray, after: np.ndarray, share: np.ndarray) -> np.ndarray:
        """The same in NumPy after a share of a step, shapes (..., n + N d), (..., n), (..., 1)."""
        A, B, K, answers, center, hold = (part.astype(np.float64) for part in self[2:])
        plan = x[..., self.first : self.first + self.size]
        inputs = plan.reshape(*plan.shape[:-1], -1, len(hold)) - hold
        own = list(self.states)
        y = x[..., own] - center
        first = z = y @ A.T + inputs[..., 0, :] @ B.T
        for j in range(1, inputs.shape[-2]):
            z = z @ A.T + inputs[..., j, :] @ B.T
        last = (z @ K.T)[..., None, :]
        shifted = (np.concatenate([inputs[..., 1:, :], last], axis=-2) + hold).reshape(plan.shape)
        # share times the error of a whole step, without a division by it.
        error = after[..., own] - x[..., own] + share * (y - first)
        return plan + share * (shifted - plan) + error @ answers.T


@dataclasses.dataclass(frozen=True, eq=False)
class _Carried:
    """The step of the plant with its plans: of a plant with virtual inputs by these, else by its
    actions.
    """

    plant: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    size: int
    plans: tuple[_Numbers, ...]

    def __call__(self, x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        after = self.plant(x[: self.size], action, disturbance)
        return jnp.concatenate([after, *(plan.following(x, after) for plan in self.plans)])
