import numpy as np
import pytest
from scipy.optimize import linprog

from safe_wrappers.certificates._inputs import best_inputs, margins, steady_inputs


def problems(d, count=300, m=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, d, count)), rng.uniform(0.2, 2.0, size=(m, count))


def oracle(A, b):
    m, d = A.shape
    program = linprog(
        [*[0.0] * d, -1.0],
        A_ub=np.column_stack([A, np.ones(m)]),
        b_ub=b,
        bounds=[(-1, 1)] * d + [(None, None)],
    )
    return -program.fun


@pytest.mark.parametrize("d", [1, 2, 3])
def test_best_inputs_have_the_margin_of_a_linear_program(d):
    A, b = problems(d)
    u, margin = best_inputs(A, b)
    assert np.all(np.abs(u) <= 1)
    np.testing.assert_allclose(
        margin, [oracle(A[..., v], b[:, v]) for v in range(A.shape[2])], atol=1e-8
    )


@pytest.mark.parametrize("d", [1, 2])
def test_steady_inputs_keep_half_of_the_best_margin_and_the_preferred_input_where_they_can(d):
    A, b = problems(d, seed=1)
    preferred = np.random.default_rng(2).uniform(-1, 1, (d, A.shape[2]))
    u, best = steady_inputs(A, b, preferred)
    positive = best > 0
    assert np.all(np.abs(u) <= 1)
    assert np.all(margins(A, b, u)[positive] >= 0.5 * best[positive] - 1e-9)
    fine = positive & (margins(A, b, preferred) >= 0.5 * best)
    assert fine.any()
    np.testing.assert_allclose(u[:, fine], preferred[:, fine], atol=1e-7)
