"""What an interpretation computes with: the rules of its scalars."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .._errors import ModelError
from ._scalars import Unusable

_NUMBERS = (bool, int, float, np.number, np.bool_)


class Arithmetic(NamedTuple):
    """How scalars are computed with.

    Args:
        constant: Makes a scalar from a float.
        operations: Scalar functions by primitive name (`add`, `mul`, `sin`, ...). `integer_pow` and
            `pow` also take the exponent, a number; comparisons return truth values; `select_n`
            takes a truth value and two scalars, the first for false.
        total: The sum of a sequence of scalars, in an unspecified order.
        solve: The solution of linear equations, from a square object array of scalars and a list
            of them.
        truth: Makes a truth value from a bool.
        own_derivative: Called with (name, operand arrays) for a function whose derivative is
            declared by hand.
        unknown: The scalar that stands for a number of which nothing is known; None if there is
            none, and a function that computes with one is refused.
        otherwise: Called with (name, operand arrays, output shapes) for a primitive without a rule;
            returns the output arrays, or None to refuse it.
    """

    constant: Callable[[float], Any]
    operations: Mapping[str, Callable[..., Any]]
    total: Callable[[Sequence[Any]], Any]
    solve: Callable[[np.ndarray, list[Any]], list[Any]] | None = None
    truth: Callable[[bool], Any] = bool
    own_derivative: Callable[[str, list[np.ndarray]], None] = lambda *_: None
    unknown: Any = None
    otherwise: Callable[[str, list[np.ndarray], list[tuple[int, ...]]], list[np.ndarray] | None] = (
        lambda *_: None
    )

    def scalar(self, element: Any) -> Any:
        """The scalar of an element of an array."""
        if isinstance(element, _NUMBERS):
            return self.constant(float(element))
        if isinstance(element, Unusable):
            if self.unknown is None:
                raise unknown_operation(element.primitive, self.operations)
            return self.unknown
        return element

    def decision(self, element: Any) -> Any:
        """The truth value of an element of a boolean array."""
        return self.truth(bool(element)) if isinstance(element, _NUMBERS) else element


def unknown_operation(name: str, known: Iterable[str]) -> ModelError:
    """The refusal of a primitive by name."""
    return ModelError(
        "The model must be built from known operations only, but it uses "
        f"`{name}`, which has no rule here. Known: {', '.join(sorted(known))}."
    )
