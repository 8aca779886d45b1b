"""Whether a model is affine in action and disturbance, decided on its jaxpr: sampling cannot decide
it.

A scalar is either free of (a, w) or affine in them with coefficients that depend on x in any way.
Sums keep this form, a product needs one factor free of (a, w), a quotient a free denominator, and
every other operation only free operands.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .._errors import ModelError
from ._interpreter import Arithmetic, interpret, trace
from ._model import Model


class _Touched(Exception):
    """A primitive that is not affine was applied to something that depends on (a, w)."""


def require_affine(model: Model) -> None:
    """Checks that f(x, a, w) is affine in (a, w) for each x.

    Raises:
        ModelError: Naming the primitive through which action or disturbance enter in another way.
    """
    jaxpr = trace(model.step, model.state_size, model.action_size, model.disturbance_size)
    sizes = (model.state_size, model.action_size, model.disturbance_size)
    inputs = [
        [touched] * size for touched, size in zip((_FREE, _AFFINE, _AFFINE), sizes, strict=True)
    ]
    try:
        interpret(jaxpr, _DEPENDENCE, *inputs)
    except _Touched as error:
        raise ModelError(
            f"The model {model.name!r} must be affine in (action, disturbance), but one of them "
            f"passes through `{error}`. "
            "Write f(x, a, w) = c(x) + B(x) a + E(x) w, or bound what is left by a remainder."
        ) from None


class _Dependence:
    """Marks a scalar; not a number, so that the interpreter does not take it for a constant."""

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


def _power(base: _Dependence, exponent: int) -> _Dependence:
    if base.touched and exponent not in (0, 1):
        raise _Touched("integer_pow")
    return base if exponent != 0 else _FREE


def _other(
    name: str, operands: list[np.ndarray], shapes: list[tuple[int, ...]]
) -> list[np.ndarray]:
    """Any other primitive: of free operands it is free; only a choice by a free predicate keeps
    affine ones affine.
    """
    touched = [
        any(isinstance(element, _Dependence) and element.touched for element in operand.ravel())
        for operand in operands
    ]
    if any(touched) and (name != "select_n" or touched[0]):
        raise _Touched(name)
    return [_filled(shape, _AFFINE if any(touched) else _FREE) for shape in shapes]


def _filled(shape: tuple[int, ...], value: _Dependence) -> np.ndarray:
    array = np.empty(shape, object)
    array.fill(value)
    return array


_OPERATIONS: dict[str, Callable[..., _Dependence]] = {
    **dict.fromkeys(("add", "add_any", "sub", "neg"), _linear),
    "mul": _multiply,
    "div": _divide,
    "integer_pow": _power,
}
_DEPENDENCE = Arithmetic(
    constant=lambda value: _FREE, operations=_OPERATIONS, total=_any, otherwise=_other
)
