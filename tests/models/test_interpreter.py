import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64_program import exactly

from safe_wrappers import ModelError
from safe_wrappers.models._arithmetic import Arithmetic
from safe_wrappers.models._interpreter import interpret
from safe_wrappers.models._trace import trace


class Exact:
    """A scalar that is only a number: interpretation must give what JAX gives."""

    def __init__(self, value):
        self.value = value


def lifted(function):
    return lambda *operands: Exact(function(*(o.value for o in operands)))


NUMBERS = Arithmetic(
    constant=Exact,
    operations={
        "add": lifted(operator.add),
        "sub": lifted(operator.sub),
        "mul": lifted(operator.mul),
        "div": lifted(operator.truediv),
        "neg": lifted(operator.neg),
        "sin": lifted(np.sin),
        "integer_pow": lambda base, exponent: Exact(base.value**exponent),
    },
    total=lambda terms: Exact(sum(t.value for t in terms)),
)

cubed = jax.custom_jvp(lambda x: x**3)
cubed.defjvp(lambda primals, tangents: (cubed(*primals), 3 * primals[0] ** 2 * tangents[0]))
cubed_backwards = jax.custom_vjp(lambda x: x**3)
cubed_backwards.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))
MATRIX = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, 1.0]])

FUNCTIONS = {
    "unpacking": lambda x, y: jnp.stack([x[0] * y[1], x[2] - y[0]]),
    "unpacking nothing": lambda x, y: jnp.stack([*x[:0], *y]),
    "matrix product": lambda x, y: jnp.asarray(MATRIX) @ x + y,
    "vector product": lambda x, y: jnp.dot(x, x) * y,
    "batched product": lambda x, y: jnp.einsum("ij,ik->kj", jnp.outer(y, x), jnp.asarray(MATRIX)),
    "reverse and transpose": lambda x, y: jnp.outer(x[::-1], y).T.reshape(3, 2),
    "strided slice": lambda x, y: jnp.concatenate([x[::2], y, x[1:]]),
    "constant gather": lambda x, y: x[jnp.array([2, 0, 0])],
    "dynamic slice at a constant": lambda x, y: jax.lax.dynamic_slice(x, (1,), (2,)) + y,
    "scatter": lambda x, y: x.at[1].set(y[0]),
    "constant choice": lambda x, y: jnp.where(jnp.array([True, False]), y, x[:2]),
    "sum over an axis": lambda x, y: jnp.sum(jnp.outer(x, y), axis=0) + jnp.sum(x),
    "jitted and powers": lambda x, y: jax.jit(lambda u: u**3 - u**2)(x),
    "custom derivative": lambda x, y: cubed(x) + y[0],
    "other custom derivative": lambda x, y: cubed_backwards(x) + y[0],
    "rematerialised": lambda x, y: jax.checkpoint(jnp.sin)(x) * y[1],
    "identity matrix": lambda x, y: jnp.eye(3) @ x,
    "split": lambda x, y: jnp.split(x, 3)[1] / y,
    "broadcast": lambda x, y: jnp.broadcast_to(y[:, None], (2, 3)) * x,
    "constant output": lambda x, y: jnp.array([1.5, 2.0]),
    "loop": lambda x, y: jax.lax.fori_loop(0, 3, lambda i, z: 1.0 + z * y[0] + jnp.sin(z[i]), x),
    "loop over rows": lambda x, y: jax.lax.scan(
        lambda z, row: (z + row[0], z * row[1]), y[0], jnp.stack([x, 2.0 * x], axis=1)
    )[1],
    "loop backwards": lambda x, y: jnp.stack(
        [*jax.lax.scan(lambda z, u: (0.5 * z + u, z), y[1], x, reverse=True)[1], 1.0]
    ),
    "loop of no turns": lambda x, y: jax.lax.scan(lambda z, u: (z + u, z), y, jnp.zeros((0, 2)))[0],
    "rows of a loop of no turns": lambda x, y: jnp.append(
        jnp.sum(jax.lax.scan(lambda z, u: (z, u), y, jnp.zeros((0, 2)))[1], axis=0) + y, x[0]
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_numbers_give_what_jax_gives(case):
    function = FUNCTIONS[case]
    x, y = np.array([0.3, -1.2, 2.0]), np.array([0.7, -0.4])
    (result,) = interpret(trace(function, 3, 2), NUMBERS, map_exact(x), map_exact(y))
    program = exactly(function, 3, 2)
    with jax.enable_x64():
        expected = np.asarray(program(jnp.asarray(x), jnp.asarray(y)))
    assert result.shape == expected.shape
    np.testing.assert_allclose(
        np.vectorize(lambda e: e.value, otypes=[float])(result), expected, rtol=1e-14
    )


def map_exact(values):
    return [Exact(v) for v in values]


def test_constants_are_those_of_float32():
    (result,) = interpret(trace(lambda x: 0.1 * x, 1), NUMBERS, [Exact(1.0)])
    assert result[0].value == float(np.float32(0.1))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("cos", jnp.cos),
        ("while", lambda x: jax.lax.while_loop(lambda y: y[0] < 2.0, lambda y: y + 1.0, x)),
        ("gather|dynamic_slice|lt|convert_element_type", lambda x: x[x[0].astype(int)]),
        ("scatter-mul|scatter_mul", lambda x: x.at[0].multiply(x[1])),
    ],
)
def test_primitives_without_a_rule_are_refused_by_name(name, function):
    with pytest.raises(ModelError, match=f"`({name})`"):
        interpret(trace(function, 2), NUMBERS, map_exact([1.0, 2.0]))
