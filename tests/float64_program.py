"""The float32 program of a function, run in float64: with the float32 constants, but without
rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from safe_wrappers.models._interpreter import scan_sizes
from safe_wrappers.models._trace import trace

_CALLS = {
    "jit": "jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "closed_call": "call_jaxpr",
}


def exactly(function, *sizes):
    """`function` with the constants that it has in float32; call it with `jax_enable_x64` on."""
    closed_jaxpr = trace(function, *sizes)

    def run(*arguments):
        outputs = _run(closed_jaxpr, arguments)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return run


def _wide(value, dtype):
    return jnp.asarray(value, jnp.float64 if dtype == np.float32 else dtype)


def _run(jaxpr, arguments):
    consts = jaxpr.consts if isinstance(jaxpr, ClosedJaxpr) else ()
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    values = {
        variable: _wide(np.asarray(value).astype(variable.aval.dtype), variable.aval.dtype)
        for variable, value in zip(jaxpr.constvars, consts, strict=True)
    }
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom):
        if hasattr(atom, "val"):
            return _wide(np.asarray(atom.val, atom.aval.dtype), atom.aval.dtype)
        return values[atom]

    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        name, params = equation.primitive.name, dict(equation.params)
        if name in _CALLS:
            outputs = _run(params[_CALLS[name]], operands)
        elif name == "cond":
            branches = [lambda *o, inner=inner: _run(inner, o) for inner in params["branches"]]
            outputs = jax.lax.switch(operands[0], branches, *operands[1:])
        elif name == "scan":
            outputs = _looped(params, operands)
        elif name == "custom_linear_solve":
            outputs = [_solved(params, operands)]
        else:
            for key in ("new_dtype", "preferred_element_type", "dtype"):
                if params.get(key) == np.float32:
                    params[key] = np.dtype(np.float64)
            outputs = equation.primitive.bind(*operands, **params)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _solved(params, operands):
    lengths, b = params["const_lengths"], operands[-1]
    consts = operands[: lengths.matvec]
    matrix = jax.jacfwd(
        lambda x: _run(params["jaxprs"].matvec, [*consts, x.reshape(b.shape)])[0].ravel()
    )(b.ravel())
    return jnp.linalg.solve(matrix, b.ravel()).reshape(b.shape)


def _looped(params, operands):
    first, carried = scan_sizes(params, len(operands))
    end = first + carried
    consts, carry, rows = operands[:first], operands[first:end], operands[end:]
    turns, collected = range(params["length"]), []
    for i in reversed(turns) if params["reverse"] else turns:
        outputs = _run(params["jaxpr"], [*consts, *carry, *(row[i] for row in rows)])
        carry = outputs[:carried]
        collected.append(outputs[carried:])
    if not collected:
        shapes = [v.aval.shape for v in params["jaxpr"].jaxpr.outvars[carried:]]
        return [*carry, *(jnp.zeros((0, *shape)) for shape in shapes)]
    collected = collected[::-1] if params["reverse"] else collected
    return [*carry, *(jnp.stack(column) for column in zip(*collected, strict=True))]
