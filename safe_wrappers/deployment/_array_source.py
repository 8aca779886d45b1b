"""NumPy source for a policy: one line for each operation on arrays.

Where `_scalar_source` writes an expression for every number, a network has too many of them. Its
program is flattened, what depends on no input is computed now and stored as an array, and the rest
becomes a line of NumPy each.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from ..models._interpreter import CALLS
from ..models._moves import moved

_UNARY = {
    "abs": "np.abs({})",
    "acos": "np.arccos({})",
    "asin": "np.arcsin({})",
    "atan": "np.arctan({})",
    "cbrt": "np.cbrt({})",
    "ceil": "np.ceil({})",
    "cos": "np.cos({})",
    "cosh": "np.cosh({})",
    "exp": "np.exp({})",
    "exp2": "np.exp2({})",
    "expm1": "np.expm1({})",
    "floor": "np.floor({})",
    "is_finite": "np.isfinite({})",
    "log": "np.log({})",
    "log1p": "np.log1p({})",
    "logistic": "0.5 * (np.tanh(0.5 * {}) + 1.0)",
    "neg": "-{}",
    "not": "~{}",
    "rsqrt": "1.0 / np.sqrt({})",
    "sign": "np.sign({})",
    "sin": "np.sin({})",
    "sinh": "np.sinh({})",
    "sqrt": "np.sqrt({})",
    "square": "{0} * {0}",
    "tan": "np.tan({})",
    "tanh": "np.tanh({})",
}
_NOTHING = ("copy", "copy_p", "optimization_barrier", "stop_gradient")
_BINARY = {
    "add": "{} + {}",
    "add_any": "{} + {}",
    "and": "{} & {}",
    "atan2": "np.arctan2({}, {})",
    "div": "{} / {}",
    "eq": "{} == {}",
    "ge": "{} >= {}",
    "gt": "{} > {}",
    "le": "{} <= {}",
    "lt": "{} < {}",
    "max": "np.maximum({}, {})",
    "min": "np.minimum({}, {})",
    "mul": "{} * {}",
    "ne": "{} != {}",
    "or": "{} | {}",
    "pow": "{} ** {}",
    "sub": "{} - {}",
    "xor": "{} ^ {}",
}
_REDUCTIONS = {
    "reduce_and": "np.all",
    "reduce_max": "np.max",
    "reduce_min": "np.min",
    "reduce_or": "np.any",
    "reduce_prod": "np.prod",
    "reduce_sum": "np.sum",
}


def array_source(
    name: str, function: Callable[[jax.Array], jax.Array], size: int, docstring: str
) -> tuple[str, dict[str, np.ndarray]]:
    """The source of a NumPy function that computes what `function` does, in float64.

    Args:
        name: Its name.
        function: A function in JAX: a vector of `size` numbers -> an array.
        size: Number of its inputs.
        docstring: Docstring of the written function.

    Returns:
        The text of `def name(x, p)`, which needs `np`, and the arrays p that it reads, in the
        precision in which they are.

    Raises:
        ModelError: If an operation has no translation; it is named.
    """
    program = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((size,), jnp.float32))
    writer = _Writer()
    (result,) = writer.run(program.jaxpr, program.consts, ["x"])
    lines, arrays = writer.needed(result)
    head = [
        f"def {name}(x: np.ndarray, p: Mapping[str, np.ndarray]) -> np.ndarray:",
        f'    """{docstring}"""',
    ]
    body = [f"    {target} = {text}" for target, text in lines]
    return "\n".join([*head, *body, f"    return {result}"]) + "\n", arrays


class _Writer:
    """Collects the lines of a program. A value is the name of a variable, or an array."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, list[str]]] = []
        self._arrays: dict[str, np.ndarray] = {}
        self._known: dict[str, str] = {}

    def run(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The outputs of a program, flattened into the lines."""
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, map(np.asarray, consts), strict=True))
        values.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Any:
            return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else values[atom]

        for equation in jaxpr.eqns:
            outputs = self._equation(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def needed(self, result: Any) -> tuple[list[tuple[str, str]], dict[str, np.ndarray]]:
        """The lines and arrays on which the result depends."""
        wanted, lines = {self._name(result)}, []
        for target, text, operands in reversed(self._lines):
            if target in wanted:
                wanted.update(operands)
                lines.append((target, text))
        arrays = {name: array for name, array in self._arrays.items() if f'p["{name}"]' in wanted}
        return lines[::-1], arrays

    def _equation(self, equation: Any, operands: list[Any]) -> list[Any]:
        name, params = equation.primitive.name, equation.params
        if name in CALLS and CALLS[name] in params:
            inner = params[CALLS[name]]
            consts, inner = getattr(inner, "consts", ()), getattr(inner, "jaxpr", inner)
            return self.run(inner, consts, operands)
        if not any(isinstance(operand, str) for operand in operands):
            with jax.ensure_compile_time_eval():
                bound = equation.primitive.bind(*map(jnp.asarray, operands), **params)
            return [np.asarray(value) for value in _listed(equation, bound)]
        if name in _NOTHING:
            return operands
        if name == "split":
            return self._split(params, operands[0])
        if name in ("gather", "dynamic_slice") and isinstance(operands[0], str):
            taken = self._taken(equation, operands)
            if taken is not None:
                return [taken]
        names = [self._name(operand) for operand in operands]
        text = _text(equation, names)
        return [self._line(text, names)]

    def _taken(self, equation: Any, operands: list[Any]) -> str | None:
        """The elements at constant indices; None if an index is not constant or out of bounds."""
        shape = equation.invars[0].aval.shape
        if any(isinstance(operand, str) for operand in operands[1:]):
            return None
        places = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
        found = moved(equation, [places, *operands[1:]])
        if found is None or not np.all(np.isfinite(found[0])):
            return None
        names = [operands[0], self._name(np.asarray(found[0].astype(np.int64)))]
        return self._line(f"np.ravel({names[0]})[{names[1]}]", names)

    def _split(self, params: Any, operand: str) -> list[str]:
        ends = np.cumsum(params["sizes"])
        before = ":, " * params["axis"]
        return [
            self._line(f"{operand}[{before}{end - size}:{end}]", [operand])
            for end, size in zip(ends, params["sizes"], strict=True)
        ]

    def _line(self, text: str, operands: list[str]) -> str:
        if text not in self._known:
            self._known[text] = f"v{len(self._lines)}"
            self._lines.append((self._known[text], text, operands))
        return self._known[text]

    def _name(self, value: Any) -> str:
        """How the source reads a value: a variable, a number, or an array that is stored."""
        if isinstance(value, str):
            return value
        if value.ndim == 0:
            number = repr(value.item())
            number = number if np.isfinite(value) else f"np.{number}".replace("np.-", "-np.")
            return f"({number})" if number.startswith("-") else number
        for name, array in self._arrays.items():
            if array.dtype == value.dtype and np.array_equal(array, value):
                return f'p["{name}"]'
        name = f"array_{len(self._arrays)}"
        self._arrays[name] = value
        return f'p["{name}"]'


def _listed(equation: Any, bound: Any) -> list[Any]:
    return bound if equation.primitive.multiple_results else [bound]


def _text(equation: Any, names: list[str]) -> str:
    """The operation as NumPy writes it.

    Raises:
        ModelError: If it has no translation.
    """
    name, params = equation.primitive.name, equation.params
    shape = equation.outvars[0].aval.shape
    if name in _UNARY:
        return _UNARY[name].format(*names)
    if name in _BINARY:
        return _BINARY[name].format(*names)
    if name in _REDUCTIONS:
        return f"{_REDUCTIONS[name]}({names[0]}, axis={tuple(params['axes'])})"
    if name == "integer_pow":
        return f"{names[0]} ** {float(params['y'])}"
    if name == "convert_element_type":
        kind = "np.float64" if jnp.issubdtype(params["new_dtype"], jnp.inexact) else "np.int64"
        kind = "bool" if params["new_dtype"] == jnp.bool_ else kind
        return f"np.asarray({names[0]}, {kind})"
    if name == "select_n" and len(names) == 3:
        return f"np.where({names[0]}, {names[2]}, {names[1]})"
    if name == "clamp":
        return f"np.minimum(np.maximum({names[1]}, {names[0]}), {names[2]})"
    if name == "broadcast_in_dim":
        if equation.invars[0].aval.shape == shape:
            return names[0]
        kept = [1] * len(shape)
        for axis, length in zip(
            params["broadcast_dimensions"], equation.invars[0].aval.shape, strict=True
        ):
            kept[axis] = length
        return f"np.broadcast_to(np.reshape({names[0]}, {tuple(kept)}), {shape})"
    if name in ("reshape", "squeeze", "expand_dims"):
        return f"np.reshape({names[0]}, {shape})"
    if name == "transpose":
        return f"np.transpose({names[0]}, {tuple(params['permutation'])})"
    if name == "rev":
        return f"np.flip({names[0]}, {tuple(params['dimensions'])})"
    if name == "concatenate":
        return f"np.concatenate([{', '.join(names)}], axis={params['dimension']})"
    if name == "slice":
        strides = params["strides"] or (1,) * len(params["start_indices"])
        parts = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
        return f"{names[0]}[{', '.join(f'{a}:{b}:{step}' for a, b, step in parts)}]"
    if name == "dot_general" and not params["dimension_numbers"][1][0]:
        (left, right), _ = params["dimension_numbers"]
        if (left, right) == ((0,), (0,)) and len(equation.invars[0].aval.shape) == 1:
            return f"{names[0]} @ {names[1]}"
        return f"np.tensordot({names[0]}, {names[1]}, axes=({list(left)}, {list(right)}))"
    raise ModelError(
        f"The policy cannot be written in NumPy, because it uses `{name}`, which has no "
        "translation. Use the exported JAX program, or leave the policy out of the NumPy "
        "controller and give it requests."
    )
