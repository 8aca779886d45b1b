import jax
import numpy as np
import pytest
from virtual_plants import lateral_set

import safe_wrappers as sw
from safe_wrappers.safe_actions._state_table import StateTable

REACH = np.array([2.0, 0.3, 1.5])


def test_points_lie_inside_and_fill_the_set():
    H = lateral_set()
    table = StateTable(sw.Polytope(H, np.ones(len(H))), -REACH, REACH)
    assert table.points.dtype == np.float32
    assert len(table.points) > 10_000
    reach = table.points.astype(np.float64) @ H.T.astype(np.float64)
    assert reach.max() <= 1
    # Uniform in three dimensions: the share within half the size is an eighth.
    assert abs(np.mean(reach.max(axis=1) <= 0.5) - 1 / 8) < 0.01
    point = table.sample(jax.random.PRNGKey(0))
    assert any(np.array_equal(point, row) for row in table.points)
    again = StateTable(sw.Polytope(H, np.ones(len(H))), -REACH, REACH)
    assert np.array_equal(again.points, table.points)


@pytest.mark.slow
def test_where_hardly_a_point_of_the_box_lies_inside_walks_fill_the_set():
    n = 8
    rows = np.array(np.meshgrid(*[[-1.0, 1.0]] * n)).reshape(n, -1).T  # |x_1| + ... + |x_n| <= 1
    table = StateTable(sw.Polytope(rows, np.ones(len(rows))), -np.ones(n), np.ones(n))
    size = np.abs(table.points).sum(axis=1)
    assert len(table.points) > 10_000
    assert size.max() <= 1
    assert abs(np.mean(size <= 0.9) - 0.9**n) < 0.03
    assert np.abs(table.points.mean(axis=0)).max() < 0.01
