"""That the parts of a step in virtual inputs are what they are taken for: their affine forms are
the derivatives of what is enclosed, and the action of a virtual input brings it about.
"""

import numpy as np

from .._errors import ModelError
from ..models import InVirtualInputs, Model, VirtualInputs, require_affine
from ..models._interpreter import interpret
from ..models._trace import trace
from ._branches import HULLS
from ._claim import Claim
from ._derivative import require_derivative, require_own_methods
from ._intervals import Interval
from ._taylor import Taylor, spread

_STATES = 64


def require_virtual_derivatives(claim: Claim) -> None:
    """Checks the plant's step and its parts at states of X.

    Raises:
        ModelError: If a subclass computes a part by itself, a part is not affine, or two forms of
            one function disagree.
    """
    model, virtual = claim.model, claim.model.virtual
    require_own_methods(model)
    if virtual is not None and type(virtual) is not VirtualInputs:
        raise ModelError(
            f"The virtual inputs of the model {model.name!r} must be `VirtualInputs`, but "
            f"{type(virtual).__name__} may replace a part of the step."
        )
    x = Interval.point(_states(claim))
    require_derivative(model, x)
    if virtual is None:
        return
    stepped = InVirtualInputs(model).stepped
    require_affine(stepped)
    require_derivative(stepped, x)
    _require_inverse(model, claim, x)
    _require_rows(model, x)


def _require_inverse(model: Model, claim: Claim, x: Interval) -> None:
    """Checks that actions bring their inputs about: an identity of how the library composes both,
    which a singular matrix would break.
    """
    assert claim.virtual is not None
    parts, (n, count), d = InVirtualInputs(model), x.lo.shape, model.action_size
    lower, upper = (
        np.asarray(end, np.float64)[:, None]
        for end in (claim.virtual.inputs.lower, claim.virtual.inputs.upper)
    )
    v = lower + np.random.default_rng(1).uniform(size=(d, count)) * (upper - lower)
    states, given = ([Taylor(Interval.point(row)) for row in rows] for rows in (x.lo, v))
    with np.errstate(all="ignore"):
        (actions,) = interpret(trace(parts.actions, n, d), HULLS, states, given)
        (back,) = interpret(trace(parts.of_actions, n, d), HULLS, states, list(actions))
    for j, value in enumerate(back):
        found = value.value
        if not np.all((found.lo <= v[j]) & (v[j] <= found.hi)):
            raise ModelError(
                f"The action of a virtual input of the model {model.name!r} must bring it about, "
                f"but at some state input {j} is not what it was: `matrix` must be regular."
            )


def _require_rows(model: Model, x: Interval) -> None:
    """Checks that the affine form of what actions bring about is that of the function."""
    parts, (n, count), d = InVirtualInputs(model), x.lo.shape, model.action_size
    states = [Taylor(Interval.point(row)) for row in x.lo]
    still = Interval.point(np.zeros(count))
    u = [Taylor.variable(still, j, order=1) for j in range(d)]
    with np.errstate(all="ignore"):
        (expected,) = interpret(trace(parts.of_actions, n, d), HULLS, states, u)
        c, G = interpret(trace(lambda x: tuple(parts.inputs(x)), n), HULLS, states)
    for j, value in enumerate(expected):
        slopes = spread(value.gradient, value.support, tuple(range(d)))
        pairs = [(c[j].value, value.value)]
        pairs += [(G[j, i].value, slopes[i]) for i in range(d)] if slopes is not None else []
        if any(np.any((one.lo > other.hi) | (one.hi < other.lo)) for one, other in pairs):
            raise ModelError(
                f"The rows of input {j} of the model {model.name!r} must be the derivative of what "
                "its actions bring about. Look for a function in `matrix` or `offset` whose "
                "derivative is declared by hand."
            )


def _states(claim: Claim) -> np.ndarray:
    """The centre of S, and states of X, every other one a corner, shape (n, states)."""
    X = claim.constraint_set
    lower, upper = (np.asarray(end, np.float64)[:, None] for end in (X.lower, X.upper))  # pyright: ignore[reportAttributeAccessIssue]
    at = np.random.default_rng(0).uniform(size=(len(lower), _STATES))
    at = np.where(np.arange(_STATES) % 2, np.round(at), at)
    states = lower + at * (upper - lower)
    states[:, 0] = claim.center
    return states.astype(np.float32).astype(np.float64)
