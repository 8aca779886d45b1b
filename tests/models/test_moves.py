import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.models._arithmetic import Arithmetic
from safe_wrappers.models._interpreter import interpret
from safe_wrappers.models._trace import trace


class Exact:
    """A scalar that is only a number."""

    def __init__(self, value):
        self.value = value


SUMS = Arithmetic(
    constant=Exact,
    operations={"mul": lambda a, b: Exact(a.value * b.value)},
    total=lambda terms: Exact(sum(t.value for t in terms)),
)
# Distinct, none of them the number of an element or a usual fill value.
X = np.array([0.25, 5.5, -7.75, 11.5], np.float32)
FILLS = [0.0, 1.0, 2.0, 4.0, 5.0, -1.0, None]
INDICES = [[0, 3], [3, 4], [7, -1], [-4, -5], [1, 1]]


def moved(function):
    (result,) = interpret(trace(function, len(X)), SUMS, [Exact(float(value)) for value in X])
    return np.vectorize(lambda e: e.value, otypes=[float])(result)


@pytest.mark.parametrize("mode", ["fill", "clip", "promise_in_bounds"])
@pytest.mark.parametrize("indices", INDICES)
def test_gathers_are_those_of_jax_for_every_fill_value(mode, indices):
    if mode == "promise_in_bounds" and not set(indices) <= {0, 1, 2, 3}:
        indices = [2, 0]
    for fill in FILLS:

        def function(x, fill=fill):
            return x.at[jnp.array(indices)].get(mode=mode, fill_value=fill)

        np.testing.assert_array_equal(moved(function), function(jnp.asarray(X)))


MOVES = {
    "rows beyond the end": lambda x: (
        x.reshape(2, 2).at[jnp.array([1, 2])].get(mode="fill", fill_value=3.0)
    ),
    "scatter that drops": lambda x: x.at[jnp.array([1, 9])].set(x[:2], mode="drop"),
    "scatter a constant": lambda x: x.at[2].set(1.0),
    "scatter to the last": lambda x: x.at[-1].set(x[0]),
    "pad": lambda x: jnp.pad(x, (1, 2), constant_values=1.0),
    "pad inside and cut": lambda x: jax.lax.pad(x, 2.0, [(-1, 1, 1)]),
    "roll": lambda x: jnp.roll(x, 3),
    "dynamic slice beyond the end": lambda x: jax.lax.dynamic_slice(x, (3,), (2,)),
    "dynamic update beyond the end": lambda x: jax.lax.dynamic_update_slice(x, x[:2], (3,)),
    "tile": lambda x: jnp.tile(x, 2),
    "triangle": lambda x: jnp.triu(x.reshape(2, 2)),
    "diagonal": lambda x: jnp.diag(x),
    "one of several": lambda x: jax.lax.select_n(jnp.array([0, 1, 2, 1]), x, x[::-1], 3 * X),
    "transposed": lambda x: x.reshape(2, 2).T,
    "constants among elements": lambda x: jnp.concatenate([x, jnp.arange(3.0)])[jnp.array([6, 0])],
    "integers that choose": lambda x: x[jnp.array([1, 2]) * 3 % 4],
    "scatter-add": lambda x: x.at[jnp.array([0, 0, 3, 9])].add(x[::-1], mode="drop"),
    "scatter-add of a window": lambda x: x.reshape(2, 2).at[1].add(x[:2]),
    "scatter-sub": lambda x: x.at[2].add(-1.0 * x[0]),
    "cumsum": jnp.cumsum,
    "cumsum of columns": lambda x: jax.lax.cumsum(x.reshape(2, 2), axis=0, reverse=True),
    "sum of nothing": lambda x: x[:0].sum(keepdims=True),
}


@pytest.mark.parametrize("case", MOVES)
def test_moves_and_sums_are_those_of_jax(case):
    function = MOVES[case]
    np.testing.assert_array_equal(moved(function), function(jnp.asarray(X)))


WIDTHS = {
    "wraps around": lambda x: x[:2] * (jnp.array([50_000, 3]) ** 2 * 7),
    "is rounded to float32": lambda x: x[:2] * jnp.array([2**31 - 1, 2]).astype(jnp.float32),
    "unsigned": lambda x: x[:2] * (jnp.array([1, 2], jnp.uint32) - jnp.uint32(2)),
    "eight bits": lambda x: x[:2] * (jnp.array([100, 2], jnp.int8) * jnp.int8(3)),
    "bits": lambda x: x[:2] * ((jnp.array([6, 2]) & 3) | (jnp.array([1, 8]) ^ 5)),
    "shifted": lambda x: x[:2] * (jnp.array([1, 2]) << 31),
    "divided": lambda x: x[:2] * (jnp.array([-7, 7]) // 2 % 3),
    "compared": lambda x: jnp.where(jnp.array([1, 3]) * 2**30 > 0, x[:2], x[2:]),
}


@pytest.mark.parametrize("case", WIDTHS)
def test_integers_are_those_of_jax(case):
    function = WIDTHS[case]
    np.testing.assert_array_equal(moved(function), function(jnp.asarray(X)))
