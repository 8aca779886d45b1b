import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse.csgraph import dijkstra

from safe_wrappers.envs import SafeSeeker, seeker
from safe_wrappers.envs._detour import shorter_way

POINTS = 96  # on each circle
LAYOUTS = 200


def shortest(start, goal, discs):
    """Length of the shortest way over points on the circles that see each other, in float64."""
    angles = np.arange(POINTS) * 2 * np.pi / POINTS
    start, goal, discs = (np.asarray(part, np.float64) for part in (start, goal, discs))
    points = [np.stack([start, goal])]
    for *centre, radius in discs:
        outside = radius / np.cos(np.pi / POINTS)  # a chord between neighbours touches the circle
        points.append(centre + outside * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    points = np.concatenate(points)
    way = points[None] - points[:, None]
    square = np.sum(way**2, axis=-1) + 1e-300
    seen = np.ones(square.shape, bool)
    for *centre, radius in discs:
        along = np.clip(np.sum((centre - points[:, None]) * way, axis=-1) / square, 0, 1)
        nearest = points[:, None] + along[..., None] * way
        seen &= np.linalg.norm(nearest - centre, axis=-1) >= radius - 1e-7
    return dijkstra(np.where(seen, np.sqrt(square), 0), indices=0)[1]


@pytest.fixture(scope="module")
def layouts():
    """Starts (N, 2), goals (N, 2) and obstacles with their berth (N, 2, 3), as resets draw them."""
    env = SafeSeeker()
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(3), LAYOUTS))
    x = np.asarray(jax.vmap(env.system.state)(state))
    obstacles = x[:, 2:].reshape(-1, 2, 3) + np.float32([0, 0, seeker.BERTH])
    return x[:, :2], np.asarray(state.info["goal"]), obstacles


@pytest.fixture(scope="module")
def ways(layouts):
    return jax.jit(jax.vmap(shorter_way))(*layouts)


def test_ways_are_as_long_as_the_shortest_one_over_points_that_see_each_other(layouts, ways):
    found = np.array([shortest(*parts) for parts in zip(*layouts, strict=True)])
    straight = np.linalg.norm(layouts[1] - layouts[0], axis=1)
    assert np.all(np.asarray(ways.length) > straight)  # an obstacle is always in the way
    error = np.asarray(ways.length) / found - 1
    assert np.abs(error).max() < 0.01
    assert np.median(np.abs(error)) < 2e-4


def test_whoever_flies_along_the_heading_arrives_after_the_length_and_stays_outside(layouts, ways):
    step = 0.01

    @jax.jit
    def fly(start, goal, obstacles):
        def move(position, _):
            heading = shorter_way(position, goal, obstacles).heading
            away = jnp.sqrt(jnp.sum((goal - position) ** 2))
            moved = position + jnp.minimum(step, away) * heading
            clear = jnp.sqrt(jnp.sum((moved - obstacles[:, :2]) ** 2, axis=1)) - obstacles[:, 2]
            return moved, (away, jnp.min(clear))

        return jax.lax.scan(move, start, None, length=2500)[1]

    away, clear = (np.asarray(part) for part in jax.vmap(fly)(*layouts))
    arrived = away < 2 * step
    assert np.all(arrived.any(axis=1))
    flown = step * arrived.argmax(axis=1)
    assert np.all(flown < 1.01 * np.asarray(ways.length) + 0.05)
    assert clear.min() > -0.02  # within the berth of 0.1 m


def test_nothing_in_the_way_means_the_straight_line():
    discs = jnp.array([[3.0, 4.0, 1.0], [-3.0, 0.0, 2.0]])
    way = shorter_way(jnp.zeros(2), jnp.array([4.0, -3.0]), discs)
    assert float(way.length) == pytest.approx(5)
    np.testing.assert_allclose(way.heading, [0.8, -0.6], rtol=1e-6)


def test_around_one_disc_the_way_has_two_tangents_and_an_arc():
    # From (-2, 0) to (2, h) around the unit disc: below, since the goal is below.
    disc = jnp.array([[0.0, 0.0, 1.0], [50.0, 50.0, 1.0]])
    way = shorter_way(jnp.array([-2.0, 0.0]), jnp.array([2.0, -0.1]), disc)
    far, turn = np.hypot(2, 0.1), np.arctan2(0.1, 2)
    arc = np.pi - turn - np.arccos(1 / 2) - np.arccos(1 / far)
    assert float(way.length) == pytest.approx(np.sqrt(3) + np.sqrt(far**2 - 1) + arc, rel=1e-5)
    np.testing.assert_allclose(way.heading, [np.cos(np.pi / 6), -0.5], atol=1e-5)


def test_the_length_falls_as_fast_as_one_flies_along_the_heading(layouts, ways):
    slope = jax.jit(jax.vmap(jax.grad(lambda *parts: shorter_way(*parts).length)))(*layouts)
    np.testing.assert_allclose(np.asarray(slope), -np.asarray(ways.heading), atol=2e-3)


@pytest.mark.parametrize("place", [(0.0, 0.0), (1.0, 0.0), (-0.5, 0.2), (4.0, 0.0)])
def test_lengths_and_headings_are_finite_wherever_the_start_is(place):
    discs, goal = jnp.array([[0.0, 0.0, 1.0], [6.0, 0.0, 2.0]]), jnp.array([4.0, 0.0])
    way = shorter_way(jnp.array(place), goal, discs)
    assert np.isfinite(way.length)
    assert np.all(np.isfinite(way.heading))
