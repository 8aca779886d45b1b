"""A plant that carries a plan: its next actions, which are put right as disturbances come.

Beside the plant's state x the state has N actions v_0, ..., v_(N-1). From x they lead to z_1, ...,
z_N along the linear form z_(k+1) = A z_k + B v_k, in coordinates in which the centre is 0. What the
plant really does in a step, e = x' - z_1, is answered with a gain K: with Ac = A + B K

    v'_j = v_(j+1) + K Ac^j e,  with v_N = K z_N,

so that the new plan passes z_(k+1) + Ac^k e, and ends with the gain. Taking the action v_0 in every
step is one linear gain for the state (x, v), and the largest set that it keeps is the set of states
whose plan keeps all limits, whatever comes, until the gain's own set is reached (robust model
predictive control with constraint tightening, L. Chisci, J. A. Rossiter and G. Zappa, 2001, without
a program to solve).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from .._gate import as_integer, shown
from .._products import dot
from ._model import Model


def carried_plan(
    model: Model,
    A: np.ndarray,
    B: np.ndarray,
    K: np.ndarray,
    horizon: int,
    *,
    center: np.ndarray,
    hold: np.ndarray,
) -> Model:
    """The plant with N more times d states, its plan in [-1, 1]^d.

    Args:
        model: x' = f(x, a, w) with n states and d actions, without virtual inputs.
        A: Of its linear form in states and actions of [-1, 1]^d, shape (n, n).
        B: The same, shape (n, d).
        K: The gain that ends a plan, shape (d, n).
        horizon: N, at least 1.
        center: Where the linear form holds best, shape (n,).
        hold: The action in [-1, 1]^d that holds it there, shape (d,).

    Raises:
        TypeError: If `horizon` is no number.
        ValueError: If `horizon` is below 1.
        ModelError: If the model has virtual inputs, or a shape does not fit.
    """
    horizon = as_integer("horizon", horizon, 1)
    n, d = model.state_size, model.action_size
    if model.virtual is not None:
        raise ModelError(
            f"A plan is carried for plants whose inputs are their actions, but {model.name!r} has "
            "virtual inputs."
        )
    for name, value, shape in (
        ("A", A, (n, n)),
        ("B", B, (n, d)),
        ("K", K, (d, n)),
        ("center", center, (n,)),
        ("hold", hold, (d,)),
    ):
        if np.shape(value) != shape:
            raise ModelError(f"`{name}` must have shape {shape}, but it is {shown(value)}.")
    closed = A + B @ K
    powers = [np.linalg.matrix_power(closed, j) for j in range(horizon)]
    step = functools.partial(
        _step,
        model,
        A=np.asarray(A, np.float64),
        B=np.asarray(B, np.float64),
        K=np.asarray(K, np.float64),
        answers=np.concatenate([K @ power for power in powers]),
        center=np.asarray(center, np.float64),
        hold=np.asarray(hold, np.float64),
    )
    labels = [f"plan {j + 1}: {name}" for j in range(horizon) for name in model.action_labels]
    return Model(
        f"{model.name}, with a plan of {horizon} steps",
        step,
        n + horizon * d,
        d,
        model.disturbance_size,
        parameters={**model.parameters, "horizon": horizon},
        action_box=model.action_box,
        state_names=(*model.state_labels, *labels),
        action_names=model.action_names,
        units=model.units,
    )


def _step(
    model: Model,
    x: jax.Array,
    action: jax.Array,
    disturbance: jax.Array,
    *,
    A: np.ndarray,
    B: np.ndarray,
    K: np.ndarray,
    answers: np.ndarray,
    center: np.ndarray,
    hold: np.ndarray,
) -> jax.Array:
    n, d = B.shape
    as_here = functools.partial(jnp.asarray, dtype=x.dtype)
    after = model.step(x[:n], action, disturbance)
    plan = x[n:].reshape(-1, d) - as_here(hold)
    z = x[:n] - as_here(center)
    reached = []
    for j in range(len(plan)):
        z = dot(as_here(A), z) + dot(as_here(B), plan[j])
        reached.append(z)
    error = after - as_here(center) - reached[0]
    shifted = jnp.concatenate([plan[1:], dot(as_here(K), reached[-1])[None]])
    answer = dot(as_here(answers), error).reshape(-1, d)
    return jnp.concatenate([after, (shifted + answer + as_here(hold)).ravel()])
