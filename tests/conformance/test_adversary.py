import numpy as np

from safe_wrappers.conformance._adversary import bang_bang, boundary_states, extreme, neighbours


def in_disc(x):
    return np.sum(x * x, axis=1) <= 1


def test_boundary_states_are_safe_and_at_the_boundary():
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.7, 0.7, (200, 2))
    found = boundary_states(in_disc, x, rng)
    assert in_disc(found).all()
    # a state that was paired with itself stays
    assert np.quantile(np.linalg.norm(found, axis=1), 0.05) > 1 - 1e-6


def test_bang_bang_requests_are_vertices_that_are_held():
    requests = bang_bang((2000, 3, 2), np.random.default_rng(0), hold=4.0)
    assert set(np.unique(requests)) == {-1.0, 1.0}
    assert 0.2 < np.mean(requests[1:] != requests[:-1]) < 0.3


def test_the_extreme_steps_are_those_of_each_sign_and_the_unexplained_ones():
    disturbance, excess = np.zeros((100, 2)), np.zeros(100)
    disturbance[3, 0], disturbance[5, 1], disturbance[7, 1], excess[9] = 1, -1, np.nan, 2
    assert {3, 5, 7, 9} <= set(extreme(disturbance, excess))


def test_neighbours_stay_safe_and_in_the_action_box():
    rng = np.random.default_rng(0)
    x, action = np.array([[1.0, 0.0], [0.0, 0.5]]), np.array([[1.0], [0.0]])
    near, requests = neighbours(
        in_disc, x, action, count=300, width=np.array([0.1, 0.1, 0.5]), rng=rng
    )
    assert in_disc(near).all()
    assert np.abs(requests).max() == 1
    nearest = np.linalg.norm(near[:, None] - x, axis=2).min(axis=1)
    assert 0.05 < nearest.mean() < 0.2
