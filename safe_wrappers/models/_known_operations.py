"""Whether a proof can follow every operation of a model: a question for before the search.

What a proof does with an operation stands in `certificates`; here are the names only, and a test
compares both.
"""

from .._errors import ModelError
from ._arithmetic import Arithmetic
from ._interpreter import interpret
from ._model import Model
from ._step import traced_step
from ._trace import trace

SCALAR_OPERATIONS = frozenset(
    "abs acos add add_any and asin atan atan2 cbrt cos cosh div eq exp exp2 expm1 ge gt "
    "integer_pow le log log1p logistic lt max min mul ne neg not or pow rsqrt select_n sign sin "
    "sinh sqrt sub tan tanh xor".split()
)


def require_known_operations(model: Model) -> None:
    """Checks that a proof can follow every operation of a model's step and of its affine form. A
    search for a safe set can take minutes; this takes less than a second.

    Args:
        model: The model.

    Raises:
        ModelError: Naming the first operation without a rule, and those that are known; or if the
            step cannot be traced.
    """
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    of_step, of_affine = traced_step(model), trace(lambda x: tuple(model.affine(x)), n)
    x, a, w = ([_SOMETHING] * size for size in (n, d, k))
    try:
        interpret(of_step, _NAMES, x, a, w)
        interpret(of_affine, _NAMES, x)
    except ModelError as error:
        raise ModelError(
            f"No proof can follow the model {model.name!r}: {error} Write `step` with those, or "
            "leave the operation out and bound what it does by `models.enclosed`."
        ) from error


class _Something:
    """Any number or truth value."""


_SOMETHING = _Something()
_NAMES = Arithmetic(
    constant=lambda value: _SOMETHING,
    operations=dict.fromkeys(SCALAR_OPERATIONS, lambda *operands: _SOMETHING),
    total=lambda terms: _SOMETHING,
    solve=lambda matrix, right: [_SOMETHING] * len(right),
    truth=lambda value: _SOMETHING,
)
