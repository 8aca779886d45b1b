"""The interval that rows leave to an input, and the rows that decide it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.safe_actions._facets import Rows
from safe_wrappers.safe_actions._input_ends import ends

REACH = 3.0


def found(slope, above, below):
    """The interval of rows whose slopes a program knows, and of rows whose slopes it computes."""
    slope, above, below = (np.asarray(part, np.float32) for part in (slope, above, below))
    known = jax.jit(lambda a, b: ends(Rows({0: slope}, a, b), 0, REACH))(above, below)
    computed = jax.jit(lambda s, a, b: ends(Rows({0: s}, a, b), 0, REACH))(slope, above, below)
    # A compiler multiplies by the reciprocals of constants.
    for one, other in zip(known[:2], computed[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=3e-7)
    np.testing.assert_array_equal(known.rows, computed.rows)
    return computed


@pytest.mark.parametrize("m", [1, 5, 80])
def test_it_is_that_of_numpy(m):
    rng = np.random.default_rng(m)
    for _ in range(20):
        slope, above, below = rng.normal(size=m), rng.normal(size=m) + 2, rng.normal(size=m) + 2
        below[rng.random(m) < 0.3] = np.inf
        lower, upper, rows = found(slope, above, below)
        ends_up = np.where(slope > 0, above, below) / abs(slope)
        ends_down = -np.where(slope > 0, below, above) / abs(slope)
        np.testing.assert_allclose(upper, ends_up.min(), rtol=1e-5)
        np.testing.assert_allclose(lower, ends_down.max(), rtol=1e-5)
        np.testing.assert_allclose(ends_down[rows[0]], ends_down.max(), atol=1e-4)
        np.testing.assert_allclose(ends_up[rows[1]], ends_up.min(), atol=1e-4)


def test_a_row_without_slope_bounds_nothing_or_rules_out_all():
    lower, upper, _ = found([0.0, 2.0], [0.0, 1.0], [0.0, 4.0])
    assert (lower, upper) == (-2.0, 0.5)
    for above, below in ((-0.1, 1.0), (1.0, -0.1)):
        lower, upper, _ = found([0.0, 2.0], [above, 1.0], [below, 4.0])
        assert upper < lower
    lower, upper, _ = found([0.0], [1.0], [1.0])
    assert (lower, upper) == (-np.inf, np.inf)


@pytest.mark.parametrize("which", range(3))
def test_what_is_no_number_leaves_no_input(which):
    parts = [np.ones(40), np.ones(40), np.ones(40)]
    parts[which][7] = np.nan
    lower, upper, _ = found(*parts)
    assert not lower <= upper


@pytest.mark.parametrize("slope", [1e-30, 0.0, -1e-30, 1.0])
def test_derivatives_are_finite_and_those_of_the_deciding_row(slope):
    def sides(slope, above, below):
        lower, upper, _ = ends(Rows({0: slope}, above, below), 0, REACH)
        return jnp.stack([jnp.clip(lower, -9.0, 9.0), jnp.clip(upper, -9.0, 9.0)])

    parts = (jnp.array([slope, 2.0]), jnp.array([5.0, 1.0]), jnp.array([7.0, 3.0]))
    by_slope, by_above, by_below = jax.jacrev(sides, (0, 1, 2))(*parts)
    np.testing.assert_allclose(by_above, [[0.0, 0.0], [0.0, 0.5]])
    np.testing.assert_allclose(by_below, [[0.0, -0.5], [0.0, 0.0]])
    np.testing.assert_allclose(by_slope, [[0.0, 0.75], [0.0, -0.25]])
