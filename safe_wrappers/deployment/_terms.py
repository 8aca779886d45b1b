"""Expressions of Python source as the scalars of an arithmetic."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..models._arithmetic import Arithmetic

_COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_FUNCTIONS = {
    "abs": "np.abs",
    "acos": "np.arccos",
    "asin": "np.arcsin",
    "atan": "np.arctan",
    "atan2": "np.arctan2",
    "cbrt": "np.cbrt",
    "cos": "np.cos",
    "cosh": "np.cosh",
    "exp": "np.exp",
    "exp2": "np.exp2",
    "expm1": "np.expm1",
    "log": "np.log",
    "log1p": "np.log1p",
    "max": "np.maximum",
    "min": "np.minimum",
    "sign": "np.sign",
    "sin": "np.sin",
    "sinh": "np.sinh",
    "sqrt": "np.sqrt",
    "tan": "np.tan",
    "tanh": "np.tanh",
}


class Term:
    """An expression: a number, a variable, or an operation on other terms.

    Args:
        text: Its template, in which {} stands for each operand; `repr` of a number.
        operands: Other terms.
        value: The number, if it is one.
    """

    def __init__(
        self, text: str, operands: "tuple[Term, ...]" = (), value: float | None = None
    ) -> None:
        self.text, self.operands, self.value = text, operands, value


class Terms:
    """The expressions of one function; equal ones are the same object."""

    def __init__(self) -> None:
        self._known: dict[Any, Term] = {}

    def number(self, value: float) -> Term:
        value = float(value)
        text = repr(value) if np.isfinite(value) else f"np.{value!r}".replace("np.-", "-np.")
        # By its text: -0.0 and 0.0 are different numbers, and NaN is equal to itself.
        return self._term((text,), text, (), value)

    def variable(self, name: str) -> Term:
        return self._term((name, "variable"), name, ())

    def operation(self, template: str, *operands: Term) -> Term:
        key = (template, *map(id, operands))
        return self._term(key, template, operands)

    def _term(
        self, key: Any, text: str, operands: tuple[Term, ...], value: float | None = None
    ) -> Term:
        return self._known.setdefault(key, Term(text, operands, value))

    def add(self, first: Term, second: Term) -> Term:
        if first.value == 0:
            return second
        if second.value == 0:
            return first
        return self._folded(np.add, "({} + {})", first, second)

    def subtract(self, first: Term, second: Term) -> Term:
        if second.value == 0:
            return first
        return (
            self.negate(second)
            if first.value == 0
            else self._folded(np.subtract, "({} - {})", first, second)
        )

    def negate(self, term: Term) -> Term:
        if term.text == "(-{})":
            return term.operands[0]
        return self._folded(np.negative, "(-{})", term)

    def multiply(self, first: Term, second: Term) -> Term:
        for one, other in ((first, second), (second, first)):
            if one.value == 0:
                return one
            if one.value == 1:
                return other
            if one.value == -1:
                return self.negate(other)
        return self._folded(np.multiply, "({} * {})", first, second)

    def divide(self, first: Term, second: Term) -> Term:
        if second.value == 1:
            return first
        return self._folded(np.divide, "({} / {})", first, second)

    def power(self, base: Term, exponent: float) -> Term:
        if exponent == 1:
            return base
        exponent = int(exponent) if exponent == int(exponent) else exponent
        return self._folded(
            lambda value: np.power(value, float(exponent)), f"{{}}**{exponent!r}", base
        )

    def total(self, terms: Sequence[Term]) -> Term:
        result = self.number(0.0)
        for term in terms:
            result = self.add(result, term)
        return result

    def select(self, condition: Term, when_false: Term, when_true: Term) -> Term:
        if condition.text in ("True", "False"):
            return when_true if condition.text == "True" else when_false
        if when_true is when_false:
            return when_true
        return self.operation("({} if {} else {})", when_true, condition, when_false)

    def solve(self, matrix: np.ndarray, right: list[Term]) -> list[Term]:
        zero = self.number(0.0)
        entries = [zero if entry is None else entry for entry in matrix.ravel()]
        size = len(right)
        row = "[" + ", ".join(["{}"] * size) + "]"
        template = f"_solve([{', '.join([row] * size)}], {row})"
        solution = self.operation(template, *entries, *right)
        return [self.operation(f"{{}}[{i}]", solution) for i in range(size)]

    def function(self, name: str) -> Callable[..., Term]:
        function = getattr(np, name.removeprefix("np."))

        def apply(*operands: Term) -> Term:
            return self._folded(function, f"{name}({', '.join(['{}'] * len(operands))})", *operands)

        return apply

    def comparison(self, symbol: str) -> Callable[[Term, Term], Term]:
        return lambda first, second: self.operation(f"({{}} {symbol} {{}})", first, second)

    def truth(self, value: bool) -> Term:
        return self.variable(repr(value))

    def _folded(self, function: Callable[..., Any], template: str, *operands: Term) -> Term:
        """The operation, or its number where all operands are numbers."""
        values = [operand.value for operand in operands]
        if any(value is None for value in values):
            return self.operation(template, *operands)
        with np.errstate(all="ignore"):
            return self.number(float(function(*map(np.float64, values))))

    def arithmetic(self) -> Arithmetic:
        """The rules of these scalars."""
        one, two = self.number(1.0), self.number(2.0)
        sqrt, tanh = self.function("np.sqrt"), self.function("np.tanh")
        return Arithmetic(
            constant=self.number,
            operations={
                "add": self.add,
                "add_any": self.add,
                "sub": self.subtract,
                "neg": self.negate,
                "mul": self.multiply,
                "div": self.divide,
                "integer_pow": self.power,
                "pow": self.power,
                "select_n": self.select,
                "and": lambda a, b: self.operation("({} and {})", a, b),
                "or": lambda a, b: self.operation("({} or {})", a, b),
                "xor": lambda a, b: self.operation("({} != {})", a, b),
                "not": lambda a: self.operation("(not {})", a),
                "rsqrt": lambda a: self.divide(one, sqrt(a)),
                # By tanh, which does not overflow.
                "logistic": lambda a: self.multiply(
                    self.add(tanh(self.divide(a, two)), one), self.number(0.5)
                ),
                **{name: self.comparison(symbol) for name, symbol in _COMPARISONS.items()},
                **{name: self.function(numpy) for name, numpy in _FUNCTIONS.items()},
            },
            total=self.total,
            solve=self.solve,
            truth=self.truth,
        )
