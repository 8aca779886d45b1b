import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64_program import exactly

from safe_wrappers import ModelError
from safe_wrappers.certificates._branches import HULLS
from safe_wrappers.certificates._intervals import Interval
from safe_wrappers.certificates._rounded import ROUNDING, Rounded
from safe_wrappers.certificates._taylor import Taylor
from safe_wrappers.models._interpreter import interpret
from safe_wrappers.models._trace import trace

X = np.array([0.3, -0.7, 0.9])


def matrix(x):
    """Not symmetric, and with pivots that are not in order."""
    return jnp.array([[0.1 * x[0], 1.0, 0.3], [2.0 + x[1], 0.2, x[2]], [0.4, jnp.cos(x[0]), 3.0]])


def symmetric(x):
    root = matrix(x)
    return root @ root.T + jnp.eye(3)


SOLVERS = {
    "solve": lambda x: jnp.linalg.solve(matrix(x), x),
    "solve for columns": lambda x: jnp.linalg.solve(matrix(x), jnp.outer(x, x)),
    "inv": lambda x: jnp.linalg.inv(matrix(x)),
    "solve twice": lambda x: jnp.linalg.solve(matrix(x), jnp.linalg.solve(symmetric(x), x)),
    "a constant matrix": lambda x: jnp.linalg.solve(np.diag([1.0, 2.0, 4.0])[[1, 2, 0]], x),
    "blocks": lambda x: jnp.linalg.solve(jnp.diag(x + 2.0), x),
    "by Cholesky factors": lambda x: jax.scipy.linalg.solve(symmetric(x), x, assume_a="pos"),
    "by Cholesky factors of a half": lambda x: jax.scipy.linalg.solve(
        matrix(x) @ jnp.diag(jnp.array([0.0, 0.0, 1.0])) + 5 * jnp.eye(3), x, assume_a="pos"
    ),
    "cho_solve": lambda x: jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(symmetric(x)), x),
    "cholesky": lambda x: jnp.linalg.cholesky(symmetric(x)),
    "the upper factor": lambda x: jax.scipy.linalg.cholesky(symmetric(x)),
    "lower triangle": lambda x: jax.scipy.linalg.solve_triangular(
        symmetric(x), x, lower=True, unit_diagonal=True
    ),
    "upper triangle, transposed": lambda x: jax.scipy.linalg.solve_triangular(
        symmetric(x), x, trans=1
    ),
    "from the right": lambda x: jax.lax.linalg.triangular_solve(
        symmetric(x), jnp.outer(x, x), left_side=False
    ),
    "a rule of the user": lambda x: jax.lax.custom_linear_solve(
        lambda v: 4.0 * v, x, lambda _, b: b / 4.0
    ),
    "a wrong rule of the user": lambda x: jax.lax.custom_linear_solve(
        lambda v: 4.0 * v, x, lambda _, b: b / 2.0
    ),
}


def half(x):
    """Of a matrix that is not symmetric, Cholesky factors hold the upper half."""
    upper = np.diag([5.0, 5.0, 8.0])
    upper[:2, 2] = [float(np.float32(0.3)), x[2]]
    return np.linalg.solve(upper + np.triu(upper, 1).T, x)


# What the solver of these computes is not the solution of the equations that they name.
WITHOUT_EQUATIONS = {
    "by Cholesky factors of a half": half,
    "a wrong rule of the user": lambda x: x / 2.0,
}


def scalars(width=0.0):
    return [Interval(np.array([x - width]), np.array([x + width])) for x in np.float32(X) * 1.0]


@pytest.mark.parametrize("case", SOLVERS)
def test_the_enclosure_holds_the_solution_of_the_program(case):
    function = SOLVERS[case]
    (result,) = interpret(trace(function, 3), HULLS, [Taylor(x) for x in scalars()])
    (wide,) = interpret(trace(function, 3), HULLS, [Taylor(x) for x in scalars(0.01)])
    expected = np.asarray(function(jnp.asarray(X, jnp.float32)), np.float64)
    for element, around, value in zip(result.flat, wide.flat, expected.flat, strict=True):
        # The program itself is off by float32 rounding.
        assert np.all(abs(element.value.middle - value) <= 2e-5 * (1 + abs(value)))
        assert np.all(element.value.width <= 1e-12)
        assert np.all(around.value.lo <= element.value.lo)
        assert np.all(element.value.hi <= around.value.hi)


@pytest.mark.parametrize("case", SOLVERS)
def test_the_error_of_float32_stays_within_its_bound(case):
    function = SOLVERS[case]
    rng = np.random.default_rng(0)
    x = np.float32(X) + rng.uniform(-0.01, 0.01, (500, 3)).astype(np.float32)
    (bound,) = interpret(
        trace(function, 3), ROUNDING, [Rounded(value, 0.0) for value in scalars(0.011)]
    )
    found = np.asarray(jax.jit(jax.vmap(function))(x), np.float64)
    if case in WITHOUT_EQUATIONS:
        expected = np.stack([WITHOUT_EQUATIONS[case](v) for v in x.astype(np.float64)])
    else:
        program = exactly(function, 3)
        with jax.enable_x64():
            expected = np.asarray(jax.jit(jax.vmap(program))(x.astype(np.float64)))
    error = np.abs(found - expected).max(axis=0)
    limits = np.array([float(np.max(b.error)) for b in bound.flat]).reshape(bound.shape)
    assert np.all(error <= limits)
    assert np.all(limits <= 1e-3)


MISUSED = {
    "pivots that depend on the state": lambda x: jax.lax.linalg.lu(matrix(x))[0] @ x,
    "factors of another matrix": lambda x: _with_factors_of(symmetric(x), matrix(x), x),
    "another use of the factors": lambda x: _with_factors_of(matrix(x), matrix(x), x, twice=True),
}


def _with_factors_of(factored, of_equations, x, twice=False):
    factors, _, permutation = jax.lax.linalg.lu(factored)

    def solve(_, b):
        half = jax.lax.linalg.triangular_solve(
            factors, b[permutation][:, None], left_side=True, lower=True, unit_diagonal=True
        )
        whole = jax.lax.linalg.triangular_solve(factors, half, left_side=True)[:, 0]
        return whole + factors[0, 0] if twice else whole

    return jax.lax.custom_linear_solve(lambda v: of_equations @ v, x, solve)


@pytest.mark.parametrize("case", MISUSED)
def test_factors_whose_pivots_are_unknown_are_refused_by_name(case):
    with pytest.raises(ModelError, match=r"uses `(lu|custom_linear_solve)`, which has no rule"):
        interpret(trace(MISUSED[case], 3), HULLS, [Taylor(x) for x in scalars()])
