"""Whether a model is affine in action and disturbance, decided on its jaxpr: sampling cannot decide
it.

A scalar is either free of (a, w) or affine in them with coefficients that depend on x in any way.
Sums keep this form, a product needs one factor free of (a, w), a quotient a free denominator, a
choice a free condition, linear equations a free matrix, and every other operation only free
operands. The rows of the safe action set are derivatives by (a, w), so no operand of a function
whose derivative is declared by hand may depend on these.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .._errors import ModelError
from ._arithmetic import Arithmetic
from ._interpreter import interpret
from ._model import Model
from ._scalars import object_array
from ._step import traced_step

_AFFINE_ONLY = "Write f(x, a, w) = c(x) + B(x) a + E(x) w, or bound what is left by a remainder."
_NO_OWN_DERIVATIVE = (
    "The derivative declared there need not be that of its value: apply it to the state only, or "
    "call the plain function."
)


class _Touched(Exception):
    """Something that depends on (a, w) was given to a primitive that must not get it."""

    def __init__(self, primitive: str, remedy: str = _AFFINE_ONLY):
        super().__init__(primitive)
        self.remedy = remedy


def require_affine(model: Model) -> None:
    """Checks that f(x, a, w) is affine in (a, w) for each x.

    Raises:
        ModelError: Naming the primitive through which action or disturbance enter in another way,
            one that does not compute in float32, or what else the step does
            that it must not: use NumPy, return another shape than (n,).
    """
    jaxpr = traced_step(model)
    sizes = (model.state_size, model.action_size, model.disturbance_size)
    inputs = [
        [touched] * size for touched, size in zip((_FREE, _AFFINE, _AFFINE), sizes, strict=True)
    ]
    try:
        interpret(jaxpr, _DEPENDENCE, *inputs)
    except _Touched as error:
        raise ModelError(
            f"The model {model.name!r} must be affine in (action, disturbance), but one of them "
            f"passes through `{error}`. {error.remedy}"
        ) from None


class _Dependence:
    """Marks a scalar or a truth value; not a number, so that the interpreter does not take it for a
    constant.
    """

    def __init__(self, touched: bool):
        self.touched = touched


_FREE, _AFFINE = _Dependence(False), _Dependence(True)


def _any(terms: Sequence[_Dependence]) -> _Dependence:
    return _AFFINE if any(term.touched for term in terms) else _FREE


def _linear(*operands: _Dependence) -> _Dependence:
    return _any(operands)


def _multiply(first: _Dependence, second: _Dependence) -> _Dependence:
    if first.touched and second.touched:
        raise _Touched("mul")
    return _any((first, second))


def _divide(numerator: _Dependence, denominator: _Dependence) -> _Dependence:
    if denominator.touched:
        raise _Touched("div")
    return numerator


def _power(name: str) -> Callable[[_Dependence, float], _Dependence]:
    def power(base: _Dependence, exponent: float) -> _Dependence:
        if base.touched and exponent not in (0, 1):
            raise _Touched(name)
        return base if exponent != 0 else _FREE

    return power


def _select(condition: _Dependence, *cases: _Dependence) -> _Dependence:
    if condition.touched:
        raise _Touched("select_n")
    return _any(cases)


def _solve(matrix: np.ndarray, right: list[_Dependence]) -> list[_Dependence]:
    if any(entry is not None and entry.touched for entry in matrix.ravel()):
        raise _Touched("custom_linear_solve")
    return [_any(right)] * len(right)


def _own_derivative(name: str, operands: list[np.ndarray]) -> None:
    if any(map(_touches, operands)):
        raise _Touched(name, _NO_OWN_DERIVATIVE)


def _other(
    name: str, operands: list[np.ndarray], shapes: list[tuple[int, ...]]
) -> list[np.ndarray]:
    """Any other primitive: of free operands it is free."""
    if any(map(_touches, operands)):
        raise _Touched(name)
    return [object_array([_FREE] * int(np.prod(shape))).reshape(shape) for shape in shapes]


def _touches(operand: np.ndarray) -> bool:
    return any(isinstance(element, _Dependence) and element.touched for element in operand.ravel())


_OPERATIONS: dict[str, Callable[..., _Dependence]] = {
    **dict.fromkeys(("add", "add_any", "sub", "neg"), _linear),
    "mul": _multiply,
    "div": _divide,
    "integer_pow": _power("integer_pow"),
    "pow": _power("pow"),
    "select_n": _select,
}
_DEPENDENCE = Arithmetic(
    constant=lambda value: _FREE,
    operations=_OPERATIONS,
    total=_any,
    solve=_solve,
    truth=lambda value: _FREE,
    own_derivative=_own_derivative,
    unknown=_FREE,
    otherwise=_other,
)
