"""The program that runs: a JAX function traced in float32, as environments and safeguards call it.

Nothing is traced under another setting of `jax_enable_x64` than the user's: that would leave
programs in JAX's caches that his own calls then find. So the numbers in a jaxpr are those that run:
float32 constants, and integers of the width that they have at run time. Where a user switches
64-bit types on, a function that follows the dtype of its arguments still is a float32 program; one
that does not is refused here, by the operation that leaves float32.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from .._errors import ModelError

# Precisions of a product at which its operands are not rounded: `None` is the precision of the
# context, in which the library runs models at the highest one.
_FULL_PRECISION = ("None", "HIGHEST", "F32_F32_F32")


def trace(function: Callable[..., Any], *sizes: int) -> ClosedJaxpr:
    """The jaxpr of `function` of float32 vectors of these sizes.

    Raises:
        ModelError: If an operation does not compute in float32; it is named.
    """
    with jax.default_matmul_precision("highest"):
        # A function of its own each time: JAX remembers the program of one that it has seen, and a
        # step may read a variable that has changed since.
        closed_jaxpr = jax.make_jaxpr(lambda *arguments: function(*arguments))(
            *(jax.ShapeDtypeStruct((size,), jnp.float32) for size in sizes)
        )
    _require_float32(closed_jaxpr.jaxpr)
    return closed_jaxpr


def inner_jaxprs(value: Any) -> Iterator[Any]:
    """The jaxprs, without their constants, that a parameter of an equation holds."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from inner_jaxprs(part)
    elif hasattr(getattr(value, "jaxpr", value), "eqns"):
        yield getattr(value, "jaxpr", value)


def _require_float32(jaxpr: Any) -> None:
    for variable in (*jaxpr.constvars, *jaxpr.invars):
        _require_dtype(variable.aval.dtype, "a constant or an argument", "is")
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        for variable in (*equation.invars, *equation.outvars):
            _require_dtype(variable.aval.dtype, f"`{name}`", "has")
        preferred = equation.params.get("preferred_element_type")
        if preferred is not None:
            _require_dtype(jnp.dtype(preferred), f"`{name}`", "prefers")
        _require_precision(name, equation.params.get("precision"))
        if name == "reduce_precision":
            raise ModelError(
                "The model must compute in float32, the program that is proved and run, but "
                "`reduce_precision` rounds to fewer bits. Leave it out of `step`."
            )
        for inner in inner_jaxprs(tuple(equation.params.values())):
            _require_float32(inner)


def _require_dtype(dtype: Any, where: str, verb: str) -> None:
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        raise ModelError(
            f"The model must be a function of numbers, but {where} {verb} the dtype {dtype}. "
            "Give what is random to `step` as its disturbance."
        )
    if jnp.issubdtype(dtype, jnp.inexact) and dtype != jnp.float32:
        remedy = (
            "Write constants as Python numbers or with `x.dtype`, or switch `jax_enable_x64` off."
            if dtype == jnp.float64
            else "Compute all of `step` in the dtype of its arguments."
        )
        raise ModelError(
            "The model must compute in float32, the program that is proved and run, but "
            f"{where} {verb} the dtype {dtype}. {remedy}"
        )


def _require_precision(name: str, precision: Any) -> None:
    for part in precision if isinstance(precision, tuple) else (precision,):
        if getattr(part, "name", str(part)) not in _FULL_PRECISION:
            raise ModelError(
                f"The model must multiply at full float32 precision, but `{name}` asks for "
                f"{part}. Leave `precision=` out; models are run at the highest one."
            )
