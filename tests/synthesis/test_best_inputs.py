import numpy as np
import pytest
from scipy.optimize import linprog

from safe_wrappers.synthesis._best_inputs import best_inputs


@pytest.mark.parametrize("size", [1, 2])
def test_inputs_minimise_the_largest_row(size):
    rng = np.random.default_rng(0)
    offset, slope = rng.standard_normal((30, 8)), rng.standard_normal((30, 8, size))
    inputs = best_inputs(offset, slope)
    assert inputs.shape == (30, size)
    assert np.abs(inputs).max() <= 1
    found = (offset + np.einsum("qmd,qd->qm", slope, inputs)).max(axis=1)
    for q in range(30):
        program = linprog(
            [*[0.0] * size, 1.0],
            A_ub=np.column_stack([slope[q], -np.ones(8)]),
            b_ub=-offset[q],
            bounds=[(-1, 1)] * size + [(None, None)],
        )
        assert found[q] == pytest.approx(program.fun, abs=1e-8)


def test_an_input_without_effect_stays_in_the_box():
    assert np.abs(best_inputs(np.ones((2, 3)), np.zeros((2, 3, 1)))).max() <= 1
