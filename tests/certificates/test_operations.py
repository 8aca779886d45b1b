"""Each operation that the prover knows beyond sums and products: a true claim about it is proved, a
false one is refuted, and float32 stays within the bound of rounding.

The plant is x' = g(x) + 0.5 a + w for |x_i| <= 1, where some action keeps x' within 1 just if
|g_i(x)| + |w| <= 1.5. g is an operation written in JAX, scaled to |g| <= 1.3 by its twin in NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.certificates._branch_and_bound import Search
from safe_wrappers.certificates._coverage import cover
from safe_wrappers.certificates._goal import Goal
from safe_wrappers.certificates._rounding import rounding_bound
from safe_wrappers.models import Model, require_affine
from safe_wrappers.sets import Box, Polytope

LARGEST, AUTHORITY = 1.3, 0.5


def mass(xp, x):
    return xp.stack(
        [
            xp.stack([2.0 + 0.5 * xp.cos(x[0]), 0.3 * x[1]]),
            xp.stack([0.3 * x[1], 1.5 + 0.2 * x[0]]),
        ]
    )


def force(xp, x):
    return xp.stack([x[0] + 0.2, x[1] - 0.1])


def solved(x):
    matrix, right = np.moveaxis(mass(np, x), -1, 0), np.moveaxis(force(np, x), -1, 0)
    return np.linalg.solve(matrix, right[..., None])[..., 0].T


# In JAX, and in NumPy where that has not the same name.
ONE = {
    "abs": (lambda x: jnp.abs(x - 0.3), lambda x: np.abs(x - 0.3)),
    "quadratic drag": (lambda x: jnp.abs(x) * x, lambda x: np.abs(x) * x),
    "sign": (lambda x: x - 0.3 * jnp.sign(x), lambda x: x - 0.3 * np.sign(x)),
    "max": (lambda x: jnp.maximum(x, 0.5 - x), lambda x: np.maximum(x, 0.5 - x)),
    "min": (lambda x: jnp.minimum(x, 0.2) - x**2, lambda x: np.minimum(x, 0.2) - x**2),
    "clip": (lambda x: jnp.clip(2 * x, -0.7, 0.9), lambda x: np.clip(2 * x, -0.7, 0.9)),
    "relu": (lambda x: jax.nn.relu(x + 0.1), lambda x: np.maximum(x + 0.1, 0)),
    "where": (
        lambda x: jnp.where(x > 0.25, x - 0.2, 0.5 * x**2),
        lambda x: np.where(x > 0.25, x - 0.2, 0.5 * x**2),
    ),
    "two conditions": (
        lambda x: jnp.where((x > -0.5) & ~(x >= 0.5), 0.3, jnp.sin(x)),
        lambda x: np.where((x > -0.5) & (x < 0.5), 0.3, np.sin(x)),
    ),
    "one of two conditions": (
        lambda x: jnp.where((x < -0.5) | (x >= 0.5), x, 2.0 * x),
        lambda x: np.where((x < -0.5) | (x >= 0.5), x, 2.0 * x),
    ),
    "a condition as a number": (lambda x: x * (x > 0.125) - 0.25, lambda x: x * (x > 0.125) - 0.25),
    "cond": (
        lambda x: jax.lax.cond(x[0] > 0.125, jnp.cos, lambda x: x**2, x),
        lambda x: np.where(x > 0.125, np.cos(x), x**2),
    ),
    "pow": (lambda x: (1.5 + x) ** 1.5, lambda x: (1.5 + x) ** 1.5),
    "negative pow": (lambda x: (1.5 + x) ** -0.5, lambda x: (1.5 + x) ** -0.5),
    "pow of an absolute value": (lambda x: jnp.abs(x) ** 1.5, lambda x: np.abs(x) ** 1.5),
    "whole pow": (lambda x: x**3.0, lambda x: x**3),
    "rsqrt": (lambda x: jax.lax.rsqrt(1.5 + x), lambda x: 1 / np.sqrt(1.5 + x)),
    "sqrt at its end": (lambda x: jnp.sqrt(jnp.abs(x)), lambda x: np.sqrt(np.abs(x))),
    "cbrt": (lambda x: jnp.cbrt(2.0 + x), lambda x: np.cbrt(2.0 + x)),
    "exp2": (jnp.exp2, np.exp2),
    "expm1": (jnp.expm1, np.expm1),
    "log1p": (lambda x: jnp.log1p(0.5 * x), lambda x: np.log1p(0.5 * x)),
    "asin": (lambda x: jnp.arcsin(0.8 * x), lambda x: np.arcsin(0.8 * x)),
    "acos": (lambda x: jnp.arccos(0.8 * x), lambda x: np.arccos(0.8 * x)),
    "sinh": (jnp.sinh, np.sinh),
    "cosh": (jnp.cosh, np.cosh),
    "logistic": (lambda x: jax.nn.sigmoid(3 * x), lambda x: 1 / (1 + np.exp(-3 * x))),
    "softplus": (jax.nn.softplus, lambda x: np.log1p(np.exp(x))),
    "silu": (lambda x: jax.nn.silu(2 * x), lambda x: 2 * x / (1 + np.exp(-2 * x))),
}
TWO = {
    "atan2": (
        lambda x: jnp.arctan2(x, 1.5 + 0.3 * x[::-1]),
        lambda x: np.arctan2(x, 1.5 + 0.3 * x[::-1]),
    ),
    "hypot": (
        lambda x: jnp.stack([jnp.linalg.norm(jnp.append(x, 0.5)), x[0]]),
        lambda x: np.stack([np.sqrt(x[0] ** 2 + x[1] ** 2 + 0.25), x[0]]),
    ),
    "cumsum": (jnp.cumsum, lambda x: np.cumsum(x, axis=0)),
    "cumsum backwards": (
        lambda x: jax.lax.cumsum(x, reverse=True),
        lambda x: np.cumsum(x[::-1], axis=0)[::-1],
    ),
    "scatter-add": (
        lambda x: x.at[jnp.array([0, 0, 5])].add(0.5 * jnp.stack([x[1], x[0], x[0]]), mode="drop"),
        lambda x: np.stack([1.5 * x[0] + 0.5 * x[1], x[1]]),
    ),
    "largest element": (
        lambda x: jnp.stack([jnp.max(x), jnp.min(x**2)]),
        lambda x: np.stack([np.max(x, axis=0), np.min(x**2, axis=0)]),
    ),
    "all": (
        lambda x: jnp.where(jnp.all(x > 0.25), x, 0.5 * x),
        lambda x: np.where(np.all(x > 0.25, axis=0), x, 0.5 * x),
    ),
    "dynamic_update_slice": (
        lambda x: jax.lax.dynamic_update_slice(jnp.sin(x), x[:1] * x[1:], (1,)),
        lambda x: np.stack([np.sin(x[0]), x[0] * x[1]]),
    ),
    "pad": (
        lambda x: jnp.pad(x, (1, 0), constant_values=0.7)[:2],
        lambda x: np.stack([np.full(x.shape[1], 0.7), x[0]]),
    ),
    "solve": (
        lambda x: jnp.linalg.solve(mass(jnp, x), force(jnp, x)),
        solved,
    ),
    "solve by Cholesky factors": (
        lambda x: jax.scipy.linalg.solve(mass(jnp, x), force(jnp, x), assume_a="pos"),
        solved,
    ),
    "inv": (lambda x: jnp.linalg.inv(mass(jnp, x)) @ force(jnp, x), solved),
    "cholesky": (
        lambda x: jnp.linalg.cholesky(mass(jnp, x))[1],
        lambda x: np.linalg.cholesky(np.moveaxis(mass(np, x), -1, 0))[:, 1].T,
    ),
    "triangular_solve": (
        lambda x: jax.scipy.linalg.solve_triangular(mass(jnp, x), force(jnp, x), lower=True),
        lambda x: np.stack(
            [
                (x[0] + 0.2) / mass(np, x)[0, 0],
                (x[1] - 0.1 - mass(np, x)[1, 0] * (x[0] + 0.2) / mass(np, x)[0, 0])
                / mass(np, x)[1, 1],
            ]
        ),
    ),
}
CASES = {name: (1, *pair) for name, pair in ONE.items()} | {
    name: (2, *pair) for name, pair in TWO.items()
}


def states(n):
    """A grid over |x_i| <= 1, shape (n, states)."""
    axis = np.linspace(-1, 1, 4001 if n == 1 else 101)
    return np.stack(np.meshgrid(*[axis] * n, indexing="ij")).reshape(n, -1)


def plant(case):
    n, function, twin = CASES[case]
    scale = float(LARGEST / np.max(np.abs(twin(states(n)))))

    def step(x, a, w):
        return scale * function(x) + AUTHORITY * a + w

    return Model(case, step, n, n, n), lambda x: scale * twin(x)


def unit_box(n):
    H, h = Box.symmetric(np.ones(n)).halfspaces()
    return Polytope(np.asarray(H, np.float32), np.asarray(h, np.float32))


def decide(model, w):
    n = model.state_size
    S, W = unit_box(n), Box.symmetric(np.full(n, w, np.float32))
    require_affine(model)
    with np.errstate(all="ignore"):
        return Search(
            Goal(S, Box.symmetric(np.full(n, 1.1)), W, 2e-4, np.zeros(n)),
            model,
            cover(S, np.zeros(n)),
        ).run(20_000, 200)


@pytest.mark.parametrize("case", CASES)
def test_a_true_claim_is_proved_and_a_false_one_is_not(case):
    model, twin = plant(case)
    n = model.state_size
    room = 1 + AUTHORITY - LARGEST
    result = decide(model, 0.9 * room)
    assert result.proved, result.reason
    # The attack: no state of the grid is worse than what was proved.
    margins = 1 - 0.9 * room - np.maximum(np.abs(twin(states(n))) - AUTHORITY, 0).max(axis=0)
    assert result.margin <= margins.min() + 1e-6
    assert not decide(model, 1.02 * room).proved


@pytest.mark.parametrize("case", CASES)
def test_float32_stays_within_the_bound_of_rounding(case):
    model, twin = plant(case)
    n = model.state_size
    eps, _ = rounding_bound(
        model, unit_box(n), Box.symmetric(np.full(n, 0.1, np.float32)), np.zeros(n)
    )
    x = states(n).astype(np.float32)
    following = jax.jit(jax.vmap(lambda x: model.step(x, jnp.zeros(n), jnp.zeros(n))))(x.T)
    error = np.abs(np.asarray(following, np.float64).T - twin(x.astype(np.float64)))
    # Rows and step are both in the bound; the twin's constants are not rounded to float32.
    assert np.all(error.max(axis=1) <= eps[:n] + 1e-6)
    assert np.all(eps <= 2e-4) or case in ("sqrt at its end", "pow of an absolute value")
