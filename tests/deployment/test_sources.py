"""NumPy source that is written from programs in JAX computes what these compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.deployment._array_source import array_source
from safe_wrappers.deployment._numpy_rows import _solve
from safe_wrappers.deployment._scalar_source import scalar_source

X = np.array([0.3, -0.7, 1.2])


def scalar(function, size=3):
    text = scalar_source("f", function, {"x": size}, "What it is.")
    names = {"np": np, "_solve": _solve}
    exec(compile("from __future__ import annotations\n" + text, "written", "exec"), names)
    assert max(map(len, text.splitlines())) <= 100
    return names["f"], text


def both(function):
    """The results of the source and of the program in float64."""
    found, _ = scalar(function)
    with jax.enable_x64():
        expected = jax.jit(function)(jnp.asarray(X))
    return found(X), np.asarray(expected)


UNARY = {
    "trigonometric": lambda x: jnp.sin(x) + jnp.cos(x) * jnp.tan(x),
    "inverse": lambda x: jnp.arctan(x) + jnp.arcsin(x / 2) + jnp.arccos(x / 3),
    "hyperbolic": lambda x: jnp.tanh(x) + jnp.sinh(x) - jnp.cosh(x),
    "exponential": lambda x: jnp.exp(x) + jnp.expm1(x) + jnp.exp2(x),
    "logarithm": lambda x: jnp.log(x + 1) + jnp.log1p(x),
    "roots": lambda x: jnp.sqrt(x + 1) + jax.lax.rsqrt(x + 2) + jnp.cbrt(x),
    "sigmoid": lambda x: jax.nn.sigmoid(20 * x),
    "powers": lambda x: x**3 + (x + 2) ** 2.5 + x**-2,
    "pieces": lambda x: jnp.abs(x) + jnp.sign(x) + jnp.maximum(x, 0.1) - jnp.minimum(x, -0.1),
    "choices": lambda x: jnp.where((x > 0) & ~(x > 1), x, 2 * x) + jnp.where(x == x[0], 1.0, 0.0),
    "clip": lambda x: jnp.clip(x, -0.5, 0.5) * jnp.array([1.0, jnp.e, -2.0]),
    "angle": lambda x: jnp.arctan2(x, x[::-1] + 3),
}


@pytest.mark.parametrize("name", UNARY)
def test_every_operation(name):
    found, expected = both(UNARY[name])
    # Constants are those of float32, as in the program that is proved.
    np.testing.assert_allclose(found, expected, rtol=2e-7)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.linalg.solve(jnp.eye(3) * 2 + x[:, None] * x, x),
        lambda x: jax.lax.scan(lambda y, _: (y + 0.1 * jnp.sin(y), None), x, None, 5)[0],
        lambda x: jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
        lambda x: x.at[1].add(x[0]) @ jnp.arange(9.0).reshape(3, 3),
        lambda x: jnp.stack([jnp.sum(x * x), x[2], 3.0]),
    ],
    ids=["linear equations", "a loop", "a branch", "an update and a product", "a stack"],
)
def test_every_structure(function):
    found, expected = both(function)
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_equations_without_a_solution_give_no_number():
    found, _ = scalar(lambda x: jnp.linalg.solve(x[:2, None] * x[None, :2], x[:2]))
    assert np.isnan(found(np.zeros(3))).all()


def test_a_common_part_is_computed_once_and_constants_are_folded():
    _, text = scalar(
        lambda x: jnp.stack([jnp.sin(x[0]) * jnp.cos(0.0 * x[2]), jnp.sin(x[0]) + 0.0 * x[1]])
    )
    assert text.count("np.sin") == 1
    assert "np.cos" not in text
    assert "0.0" not in text


def test_division_by_zero_is_as_in_floating_point():
    found, _ = scalar(lambda x: x / (x - x[0]))
    with np.errstate(all="ignore"):
        result = found(X)
    assert np.isposinf(result[0])
    assert np.isfinite(result[1:]).all()


def test_an_operation_without_a_rule_is_named():
    with pytest.raises(sw.ModelError, match="`round`"):
        scalar(jnp.round)


NETWORKS = {
    "elu": lambda x, w: jax.nn.elu(x @ w),
    "layer norm": lambda x, w: (x @ w - jnp.mean(x @ w)) * jax.lax.rsqrt(jnp.var(x @ w) + 1e-6),
    "softmax": lambda x, w: jax.nn.softmax(x @ w),
    "swish": lambda x, w: jax.nn.swish(x @ w) + jax.nn.relu(w.T @ x) - jax.nn.softplus(w.T @ x),
    "gelu": lambda x, w: jax.nn.gelu(x @ w),
    "pieces": lambda x, w: jnp.concatenate([jnp.split(x @ w, 2)[0], jnp.clip(x, -0.2, 0.2)[::-1]]),
    "shapes": lambda x, w: jnp.transpose(jnp.outer(x, x)).reshape(-1)[::2] * jnp.max(x),
    "integers": lambda x, w: x[jnp.arange(3) % 2] + (x > 0) * 1.0,
    "a matrix": lambda x, w: jnp.tensordot(jnp.outer(x, x), w, axes=[[1], [0]]).ravel(),
    "powers": lambda x, w: jnp.abs(x) ** 1.5 + x**3 + jnp.logical_not(x > 0) * jnp.minimum(x, 0),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    weights = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

    def function(x):
        return NETWORKS[name](x, weights)

    text, arrays = array_source("f", function, 3, "What it is.")
    names = {"np": np}
    exec(compile("from __future__ import annotations\n" + text, "written", "exec"), names)
    found = names["f"](X, arrays)
    np.testing.assert_allclose(found, function(jnp.asarray(X, jnp.float32)), rtol=1e-5, atol=1e-6)


def test_arrays_that_nothing_depends_on_are_left_out():
    weights = np.ones((3, 2), np.float32)
    _, arrays = array_source("f", lambda x: jnp.tanh(x @ weights + 0 * (x @ (2 * weights))), 3, "")
    assert len(arrays) == 2
    _, arrays = array_source("f", lambda x: (x @ weights, x @ (2 * weights))[0], 3, "")
    assert len(arrays) == 1


def test_a_policy_with_an_operation_without_a_translation_is_refused_by_name():
    with pytest.raises(sw.ModelError, match=r"`sort`.*JAX program"):
        array_source("f", jnp.sort, 3, "")
