"""Compiled programs, shared by content and freed with the objects that use them.

`jax.jit` with a static argument keys its programs by the identity of that argument and keeps both
for ever: equal environments would compile one by one, and none would ever be freed. Here a function
of an object is traced for each object, and its program is compiled once for all objects whose
traces are the same operations on the same numbers. So an object can never run the program of
another one that does something else, whatever its class says of itself.
"""

import dataclasses
import enum
import functools
import hashlib
import operator
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.core import Tracer
from jax.extend.core import jaxpr_as_fun

from ._fork import require_own_backend
from ._jaxpr_writer import JaxprWriter
from ._recent import Recent

Result = TypeVar("Result")

# About as many as two environments use: those who make one after the other compile once.
_KEPT = 8
_SHARED: Recent[Callable[..., Any]] = Recent(_KEPT)
_MEMO = "_compiled_programs"
# Of objects that cannot hold their own; they are kept, so that no other one gets their identity.
_SLOTTED: dict[int, dict[str, Any]] = {}
# Read while JAX traces, so that other values of them mean other programs.
_settings = operator.attrgetter(
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_default_prng_impl",
)


def compiled_by_content(function: Callable[..., Result]) -> Callable[..., Result]:
    """Decorates a pure function (owner, *arguments) of JAX: it is compiled once for all owners for
    which its program is the same.

    The owner is an object whose attributes do not change; its programs are freed with it, unless it
    has `__slots__` or a program calls back into it, where XLA keeps both. Arguments and results are
    pytrees of arrays. Inside jit the function is traced as it stands.
    """

    @functools.wraps(function)
    def call(owner: Any, *arguments: Any) -> Result:
        require_own_backend()
        leaves, tree = jax.tree.flatten(arguments)
        if jax.config.jax_disable_jit or any(isinstance(leaf, Tracer) for leaf in leaves):  # pyright: ignore[reportAttributeAccessIssue]
            return function(owner, *arguments)
        signature = (function, tree, tuple(map(_kind, leaves)), _settings(jax.config))
        memo = _memo(owner)
        found = memo.get(signature)
        if found is None:
            found = memo[signature] = _compiled(function, owner, tree, leaves)
        program, out_tree = found
        return jax.tree.unflatten(out_tree, program(*leaves))

    return call


def remembered(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """Decorates a function of an owner whose value is computed once and goes with the owner."""

    @functools.wraps(function)
    def call(owner: Any) -> Result:
        memo = _memo(owner)
        if function not in memo:
            memo[function] = function(owner)
        return memo[function]

    return call


class _Memo(dict[Any, Any]):
    """What was compiled or computed of one object. It stays behind when the object is copied or
    pickled.
    """

    def __init__(self, owner: int | None = None):
        super().__init__()
        self.owner = owner

    def __reduce__(self):
        return _Memo, ()


def _memo(owner: Any) -> _Memo:
    attributes = getattr(owner, "__dict__", None)
    if attributes is None:
        attributes = _SLOTTED.setdefault(id(owner), {"owner": owner})
    memo = attributes.get(_MEMO)
    # A shallow copy may have been changed since; it shares the dictionary of its original.
    if memo is None or memo.owner != id(owner):
        memo = attributes[_MEMO] = _Memo(id(owner))
    return memo


def _kind(leaf: Any) -> Any:
    """What JAX distinguishes of an argument beside its numbers."""
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False)
    return type(leaf)


def _compiled(
    function: Callable[..., Any], owner: Any, tree: Any, leaves: list[Any]
) -> tuple[Callable[..., Any], Any]:
    """The program of flat arrays, and the structure of its result."""
    closed_jaxpr, result = jax.make_jaxpr(
        lambda *leaves: function(owner, *jax.tree.unflatten(tree, leaves)), return_shape=True
    )(*leaves)

    def compiled() -> Callable[..., Any]:
        run = jaxpr_as_fun(closed_jaxpr)

        def program(*leaves: Any) -> Any:
            return run(*leaves)

        program.__name__ = f"program_{function.__name__}"  # as profilers and JAX's logs show it
        return jax.jit(program)

    digest = hashlib.sha256(repr(closed_jaxpr.in_avals).encode())
    contents = _Contents(digest)
    contents.write(closed_jaxpr)
    program = compiled() if contents.unique else _SHARED.get(digest.digest(), compiled)
    return program, jax.tree.structure(result)


class _Contents(JaxprWriter):
    """The content of a program that is to be run, not differentiated.

    What is neither a number nor a name, for example the function of a callback, may do anything:
    then the program is unique, and nobody else may run it.

    Attributes:
        unique: Whether it is.
    """

    skipped = JaxprWriter.skipped | {
        "jvp_jaxpr_fun",
        "jvp_jaxpr_thunk",
        "fwd_jaxpr_thunk",
        "bwd",
        "out_trees",
        "policy",
    }

    def __init__(self, digest: Any, outer: "_Contents | None" = None):
        super().__init__(digest)
        self._outer = outer
        self.unique = False

    def _inner(self) -> "_Contents":
        return _Contents(self._digest, self)

    def _other(self, value: Any) -> None:
        if isinstance(value, type(None) | bool | int | float | complex | str | bytes | enum.Enum):
            self._text(f"{type(value).__name__} {value!r}")
        elif isinstance(value, np.dtype):
            self._text(f"dtype {value!r}")
        elif _is_global(value):
            self._text(f"{value.__module__} {value.__qualname__}")
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self._other(type(value))
            self.write([getattr(value, field.name) for field in dataclasses.fields(value)])
        else:
            writer = self
            while writer is not None:
                writer.unique, writer = True, writer._outer


def _is_global(value: Any) -> bool:
    """Whether a function or a class is the one that its module has under its name."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return getattr(module, getattr(value, "__qualname__", ""), None) is value
