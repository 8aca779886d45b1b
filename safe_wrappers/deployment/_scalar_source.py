"""NumPy source for small functions of a state: one scalar expression for each number.

The function is interpreted as the prover interprets a model, over scalars that are expressions.
So every operation that the prover knows has a translation, loops and linear equations included, and
the numbers in the source are the float32 constants of the program that is proved, written exactly.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..models._interpreter import interpret
from ..models._trace import trace
from ._terms import Term, Terms

# An expression that is used once stands where it is used, unless the line would become long.
_INLINE = 40
_WIDTH = 100
# Room for what follows the last line of an array.
_ENDING = len("], np.float64")
_INDENT = "    "


def scalar_source(
    name: str,
    function: Callable[..., Any],
    arguments: dict[str, int],
    docstring: str,
) -> str:
    """The source of a NumPy function that computes what `function` does, in float64.

    Args:
        name: Its name.
        function: A function of vectors, in JAX; it returns an array or a tuple of arrays.
        arguments: Name and size of each argument.
        docstring: Docstring of the written function.

    Returns:
        The text of `def name(...)`, which needs `np` and `_solve`.

    Raises:
        ModelError: If an operation has no rule; it is named.
    """
    terms = Terms()
    variables = [
        [terms.variable(f"{argument}{i}") for i in range(size)]
        for argument, size in arguments.items()
    ]
    outputs = interpret(trace(function, *arguments.values()), terms.arithmetic(), *variables)
    lines = _Lines(outputs)
    body = [
        *(
            f"{_INDENT}{', '.join(f'{argument}{i}' for i in range(size))} = {argument}"
            if size > 1
            else f"{_INDENT}{argument}0 = {argument}[0]"
            for argument, size in arguments.items()
            if size
        ),
        *lines.statements,
    ]
    results = [_array(output.tolist(), lines.text) for output in outputs]
    if len(results) == 1:
        results[0][-1] = results[0][-1].rstrip(",")
    signature = ", ".join(f"{argument}: np.ndarray" for argument in arguments)
    kind = (
        "np.ndarray" if len(results) == 1 else f"tuple[{', '.join(['np.ndarray'] * len(results))}]"
    )
    head = [f"def {name}({signature}) -> {kind}:", f'{_INDENT}"""{docstring}"""']
    end = [f"{_INDENT}return (", *itertools.chain(*results), f"{_INDENT})"]
    return "\n".join([*head, *body, *end]) + "\n"


class _Lines:
    """The statements of a function's body.

    Args:
        outputs: Its results, arrays of terms.
    """

    def __init__(self, outputs: Sequence[np.ndarray]) -> None:
        self.statements: list[str] = []
        self._uses: dict[int, int] = {}
        self._texts: dict[int, str] = {}
        for term in self._order([term for output in outputs for term in output.ravel()]):
            self._place(term)

    def text(self, term: Term) -> str:
        """The term where it is used."""
        return self._texts[id(term)]

    def _order(self, roots: Sequence[Term]) -> list[Term]:
        """All terms, operands first; and counts how often each is used."""
        order: list[Term] = []
        stack = [(term, False) for term in reversed(roots)]
        seen: set[int] = set()
        self._count(roots)
        while stack:
            term, done = stack.pop()
            if done:
                order.append(term)
            elif id(term) not in seen:
                seen.add(id(term))
                self._count(term.operands)
                stack.append((term, True))
                stack.extend((operand, False) for operand in reversed(term.operands))
        return order

    def _count(self, terms: Sequence[Term]) -> None:
        for term in terms:
            self._uses[id(term)] = self._uses.get(id(term), 0) + 1

    def _place(self, term: Term) -> None:
        text = term.text.format(*(self._texts[id(operand)] for operand in term.operands))
        simple = not term.operands or term.text.startswith("{}[")
        if not simple and (self._uses[id(term)] > 1 or len(text) > _INLINE):
            name = f"t_{len(self.statements)}"
            self.statements.append(_wrapped(f"{_INDENT}{name} = {_outer(text)}"))
            text = name
        self._texts[id(term)] = text


def _outer(text: str) -> str:
    """Without parentheses around all of it."""
    depth = 0
    for i, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return text[1:-1] if letter == ")" and text[0] == "(" and i == len(text) - 1 else text
    return text


def _wrapped(line: str) -> str:
    """The statement, broken after commas and before operators if it is too long."""
    if len(line) <= _WIDTH:
        return line
    target, _, text = line.partition(" = ")
    inner = "\n".join(_filled(text, 2))
    return f"{target} = (\n{inner}\n{_INDENT})"


def _filled(text: str, depth: int = 3) -> list[str]:
    """The expression in lines that are broken after commas."""
    parts, lines = text.replace(", ", ",\n").split("\n"), [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(part) > _WIDTH - 4 * depth - _ENDING:
            lines.append("")
        lines[-1] += f" {part}" if lines[-1] else part
    return [f"{_INDENT * depth}{line}" for line in lines]


def _array(elements: Any, text: Callable[[Term], str]) -> list[str]:
    """The lines of an array that is returned, a row each if it is a matrix."""
    if isinstance(elements, Term):
        return [f"{_INDENT * 2}np.float64({_outer(text(elements))}),"]
    rows = elements if elements and isinstance(elements[0], list) else [elements]
    lines = [_filled(_nested(row, text), 3) for row in rows]
    if rows is elements:
        lines[0][0] = lines[0][0].replace("[", "[[", 1)
        for line in lines[:-1]:
            line[-1] += ","
        lines[-1][-1] += "]"
    lines[-1][-1] += ", np.float64"
    return [f"{_INDENT * 2}np.array(", *itertools.chain(*lines), f"{_INDENT * 2}),"]


def _nested(elements: Any, text: Callable[[Term], str]) -> str:
    """Nested lists of terms as Python writes them."""
    if isinstance(elements, Term):
        return _outer(text(elements))
    return f"[{', '.join(_nested(part, text) for part in elements)}]"
