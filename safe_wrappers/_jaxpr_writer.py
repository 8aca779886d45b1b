"""The content of a program as bytes: what two traces of equal functions have in common."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Parameters that name things for people, or say where and by what compiler options they run: equal
# programs may differ in them.
_NAMES = frozenset(
    (
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
)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class JaxprWriter:
    """Feeds a hash with an unambiguous text of jaxprs: each variable is the number of its first
    mention.

    Attributes:
        skipped: Names of the parameters of operations that do not count.
    """

    skipped = _NAMES

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
        else:
            self._other(value)

    def _other(self, value: Any) -> None:
        """Feeds what is neither a jaxpr nor made of numbers."""
        if callable(value) and not isinstance(value, type):
            # What a rule for differentiation does is in the program of the derivative.
            self._text("function")
        else:
            self._text(_ADDRESS.sub("", f"{type(value).__name__} {value!r}"))

    def _inner(self) -> "JaxprWriter":
        """The writer of a jaxpr inside, whose variables are counted anew."""
        return type(self)(self._digest)

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
        inner = self._inner()
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
            for key in sorted(equation.params.keys() - self.skipped):
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
