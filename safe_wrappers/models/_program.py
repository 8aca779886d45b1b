"""The identity of the program that a model runs."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._model import Model

# Parameters that name things for people, or say where and by what compiler options they run: equal
# programs may differ in them.
_NAMES = (
    "name",
    "debug_info",
    "debug",
    "sharding",
    "out_sharding",
    "in_shardings",
    "out_shardings",
    "in_layouts",
    "out_layouts",
    "keep_unused",
    "inline",
    "compiler_options_kvs",
    "ctx_mesh",
    "donated_invars",
)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def program_digest(model: Model) -> str:
    """SHA-256 of the programs of `step` and `affine` in float32, with their constants.

    Two models have the same digest if JAX traces them to the same operations on the same numbers,
    bit by bit, in whatever process; names of functions and variables and lines of source do not
    count. A JAX release may trace one function to other operations, so a digest that differs says
    nothing about what the models compute.

    Args:
        model: Any model that can be traced, also one of a simulator.

    Returns:
        "sha256:" and 64 hexadecimal digits.
    """
    sizes = (model.state_size, model.action_size, model.disturbance_size)
    shapes = [jax.ShapeDtypeStruct((size,), jnp.float32) for size in sizes]
    with jax.default_matmul_precision("highest"):
        # Traced anew each time, see `trace`.
        step = jax.make_jaxpr(lambda *arguments: model.unit_step(*arguments))(*shapes)
        affine = jax.make_jaxpr(lambda x: tuple(model.affine(x)))(shapes[0])
    return jaxpr_digest(step, affine)


def jaxpr_digest(*programs: Any) -> str:
    """SHA-256 of closed jaxprs with their constants, as in `program_digest`.

    Args:
        *programs: What `jax.make_jaxpr(function)(*arguments)` returns.

    Returns:
        "sha256:" and 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for program in programs:
        _Writer(digest).write(program)
    return "sha256:" + digest.hexdigest()


class _Writer:
    """Feeds a hash with an unambiguous text of jaxprs: each variable is the number of its first
    mention.
    """

    def __init__(self, digest: Any):
        self._digest = digest
        self._numbers: dict[Any, int] = {}

    def write(self, value: Any) -> None:
        """Feeds a value of a parameter, or a jaxpr."""
        if hasattr(value, "eqns"):
            self._jaxpr(getattr(value, "jaxpr", value), getattr(value, "consts", ()))
        elif isinstance(value, (np.ndarray, np.generic, jax.Array)):
            self._array(value)
        elif isinstance(value, Mapping):
            self._sequence("map", [part for pair in sorted(value.items()) for part in pair])
        elif isinstance(value, (tuple, list)):
            self._sequence(type(value).__name__, value)
        elif callable(value) and not isinstance(value, type):
            # What a rule for differentiation does is in the program of `affine`.
            self._text("function")
        else:
            self._text(_ADDRESS.sub("", f"{type(value).__name__} {value!r}"))

    def _text(self, text: str) -> None:
        self._digest.update(f"{len(text)}:{text}".encode())

    def _array(self, value: Any) -> None:
        if jnp.issubdtype(value.dtype, jax.dtypes.extended):
            value = jax.random.key_data(value)
        array = np.asarray(value)
        self._text(f"array {array.dtype} {array.shape}")
        self._digest.update(array.tobytes())

    def _sequence(self, kind: str, parts: Any) -> None:
        self._text(f"{kind} {len(parts)}")
        for part in parts:
            self.write(part)

    def _jaxpr(self, jaxpr: Any, consts: Any) -> None:
        inner = _Writer(self._digest)
        inner._text("jaxpr")
        inner._variables(jaxpr.constvars)
        # A jaxpr that is not closed holds no constants.
        for variable, const in zip(jaxpr.constvars, consts, strict=False):
            # As it runs, whatever the type in which it is held.
            extended = jnp.issubdtype(variable.aval.dtype, jax.dtypes.extended)
            inner._array(const if extended else np.asarray(const).astype(variable.aval.dtype))
        inner._variables(jaxpr.invars)
        for equation in jaxpr.eqns:
            inner._text(equation.primitive.name)
            inner._variables(equation.invars)
            for key in sorted(equation.params.keys() - set(_NAMES)):
                inner._text(key)
                inner.write(equation.params[key])
            inner._variables(equation.outvars)
        inner._text("out")
        inner._variables(jaxpr.outvars)

    def _variables(self, atoms: Any) -> None:
        self._text(str(len(atoms)))
        for atom in atoms:
            if hasattr(atom, "val"):
                self._array(np.asarray(atom.val, atom.aval.dtype))
            else:
                number = self._numbers.setdefault(atom, len(self._numbers))
                self._text(f"{number} {atom.aval.dtype} {atom.aval.shape}")
