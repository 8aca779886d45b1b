"""That the rows of the safe action set are the derivative of the function that is proved.

The safeguard takes c, B and E at a state from `Model.affine`, the proof from the interval
derivatives of `step`. Both are the same function of the state: `affine` is JAX's derivative of
`step` by (a, w), and no rule for differentiation that was declared by hand lies between
(`require_affine` refuses those). What remains is that a subclass replaces `affine` or the step, or
that JAX differentiates an operation in another way. The first is refused; the second is looked for
by enclosing the program of `affine` and the derivative of `step` at states of S, where two
enclosures of one number must meet.
"""

import numpy as np

from .._errors import ModelError
from ..models import Model
from ..models._interpreter import interpret
from ..models._trace import trace
from ..sets import Polytope
from ._branches import HULLS
from ._enclosure import ModelEnclosure, stack
from ._intervals import Interval
from ._taylor import Taylor

# States at which both programs are enclosed; all of them together cost little more than one.
_STATES = 64


def require_one_derivative(model: Model, safe_state_set: Polytope, center: np.ndarray) -> None:
    """Checks that c, B and E of `model.affine` are value and derivatives of `model.unit_step`.

    Args:
        model: An affine model with n states.
        safe_state_set: S, from which states are taken.
        center: One more state of S, shape (n,).

    Raises:
        ModelError: If a subclass computes the step or its affine form by itself, or both disagree
            at a state of S.
    """
    require_own_methods(model)
    require_derivative(model, Interval.point(_states(safe_state_set, center)))


def require_own_methods(model: Model) -> None:
    """Checks that a subclass leaves the affine form and the step as `Model` defines them.

    Raises:
        ModelError: Naming what it replaces.
    """
    for name in ("affine", "unit_step", "natural_action", "__call__"):
        if getattr(getattr(model, name), "__func__", None) is not getattr(Model, name):
            raise ModelError(
                f"The model {model.name!r} must leave `{name}` as `Model` defines it, since what "
                f"is proved are `step` and its derivative, but {type(model).__name__} replaces it. "
                "Write all of the dynamics in `step`."
            )


def require_derivative(model: Model, x: Interval) -> None:
    """Checks `affine` at states.

    Args:
        model: An affine model with n states.
        x: Points, shape (n, states).

    Raises:
        ModelError: If both disagree at a state.
    """
    n, count = x.lo.shape
    with np.errstate(all="ignore"):
        derivative = _derivative(model, x)
        jaxpr = trace(lambda x: tuple(model.affine(x)), n)
        program = interpret(jaxpr, HULLS, [Taylor(x[i]) for i in range(n)])
    for name, found, expected in zip("cBE", program, derivative, strict=True):
        values = stack([element.value for element in found.ravel()], (count,))
        lo, hi = (end.reshape(-1, count) for end in (expected.lo, expected.hi))
        # A NaN bound says that nothing is known, and the proof fails there by itself.
        apart = (values.lo > hi) | (values.hi < lo)
        if apart.any():
            row, state = np.argwhere(apart)[0]
            raise ModelError(
                f"`affine` of the model {model.name!r} must be the derivative of its `step`, but "
                f"at x = {x.lo[:, state]} an entry of {name} is {values.middle[row, state]:.6g} "
                f"instead of {0.5 * (lo + hi)[row, state]:.6g}. Look for a function in `step` "
                "whose derivative is declared by hand."
            )


def _derivative(model: Model, x: Interval) -> tuple[Interval, Interval, Interval]:
    """c, B and E of the enclosed `step` at states of shape (n, states)."""
    enclosure = ModelEnclosure(model, np.zeros(model.disturbance_size))
    c, B = enclosure.affine_in_action(x)
    return c, B, enclosure.disturbance_matrix(x)


def _states(safe_state_set: Polytope, center: np.ndarray) -> np.ndarray:
    """States of S, shape (n, states): between its vertices, some of them near the boundary."""
    vertices = np.asarray(safe_state_set.vertices(), np.float64)
    rng = np.random.default_rng(0)
    sharpness = np.where(np.arange(_STATES) % 2, 0.1, 1.0)[:, None]
    weights = rng.gamma(sharpness, size=(_STATES, len(vertices))) + 1e-300
    states = weights / weights.sum(axis=1, keepdims=True) @ vertices
    states[0] = center
    return states.T
