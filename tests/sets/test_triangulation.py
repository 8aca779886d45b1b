import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial import ConvexHull

from safe_wrappers.sets import Box, Polytope, Triangulation, outline

COUNT = 50_000
HEXAGON = Polytope(
    [[1.0, 0.1], [-1.0, 0.2], [0.0, 1.0], [0.3, -1.0], [1.0, 1.0], [-1.0, -1.5]],
    [1.0, 0.8, 1.2, 0.9, 1.4, 1.3],
)
SIMPLEX = Polytope(np.concatenate([-np.eye(4), np.ones((1, 4))]), [0.0, 0.0, 0.0, 0.0, 1.0])
CUBE = Polytope(*Box.symmetric(np.ones(4)).halfspaces())


def skewed():
    rng = np.random.default_rng(3)
    H = rng.normal(size=(12, 4)) / [2.4, 0.5, 6.0, 5.0]
    return Polytope(np.concatenate([H, -H]), np.ones(24))


# One key per point, as in the resets of environments: the draws of one key must be independent too.
DRAW = jax.jit(lambda fan, key: jax.vmap(fan.sample)(jax.random.split(key, COUNT)))


def sample(polytope, seed=0):
    return np.asarray(DRAW(polytope.triangulate(), jax.random.PRNGKey(seed)), np.float64)


def accept(counts, probabilities):
    """A chi-square test; the seeds are fixed, so that it fails only if something changes."""
    assert stats.chisquare(counts, np.asarray(probabilities) * np.sum(counts)).pvalue > 1e-3


def test_a_plane_polytope_is_filled_uniformly():
    corners = outline(HEXAGON)[:-1]
    points = sample(HEXAGON)
    # Cells that have nothing to do with the fan inside: triangles from one corner, each cut at half
    # of its area.
    spokes = corners[1:] - corners[0]
    areas = 0.5 * (spokes[:-1, 0] * spokes[1:, 1] - spokes[:-1, 1] * spokes[1:, 0])
    counts = np.zeros((len(areas), 2))
    for i, (one, other) in enumerate(itertools.pairwise(spokes)):
        weights = np.linalg.solve(np.column_stack([one, other]), (points - corners[0]).T)
        inside = np.all(weights >= 0, axis=0)
        far = weights.sum(axis=0) ** 2 > 0.5
        counts[i] = np.sum(inside & ~far), np.sum(inside & far)
    assert counts.sum() == pytest.approx(COUNT, abs=5)
    accept(counts.ravel(), np.repeat(areas / areas.sum() / 2, 2))


def test_a_simplex_in_4_d_has_dirichlet_marginals():
    points = sample(SIMPLEX)
    for coordinate in [*points.T, 1 - points.sum(axis=1)]:
        assert stats.kstest(coordinate, stats.beta(1, 4).cdf).pvalue > 1e-3
    # Covariance of Dirichlet(1, 1, 1, 1, 1): (delta_ij / 5 - 1 / 25) / 6.
    np.testing.assert_allclose(np.cov(points.T), (np.eye(4) / 5 - 1 / 25) / 6, atol=8e-4)


def test_a_cube_in_4_d_fills_its_cells_equally():
    cells = np.clip(np.floor((sample(CUBE) + 1) * 1.5), 0, 2).astype(int)
    accept(
        np.bincount(np.ravel_multi_index(tuple(cells.T), (3, 3, 3, 3)), minlength=81),
        np.full(81, 1 / 81),
    )


def test_a_skewed_polytope_in_4_d_has_the_moments_of_rejection_sampling():
    polytope = skewed()
    vertices = polytope.vertices()
    rng = np.random.default_rng(0)
    oracle = rng.uniform(vertices.min(axis=0), vertices.max(axis=0), (400_000, 4))
    oracle = oracle[np.all(oracle @ np.asarray(polytope.H).T <= 1, axis=1)]
    points = sample(polytope)
    assert len(oracle) > 20_000
    for power in (1, 2):
        here, there = [
            np.stack(
                [p[:, i] ** power * p[:, j] ** (power - 1) for i in range(4) for j in range(4)]
            )
            for p in (points, oracle)
        ]
        error = np.sqrt(here.var(axis=1) / here.shape[1] + there.var(axis=1) / there.shape[1])
        assert np.all(np.abs(here.mean(axis=1) - there.mean(axis=1)) < 4 * error)
    assert polytope.volume() == pytest.approx(ConvexHull(vertices).volume, rel=1e-9)


@pytest.mark.parametrize("polytope", [HEXAGON, CUBE, skewed()], ids=["hexagon", "cube", "skewed"])
def test_samples_lie_inside(polytope):
    H, h = np.asarray(polytope.H, np.float64), np.asarray(polytope.h, np.float64)
    values = sample(polytope, seed=1) @ H.T
    assert np.all(values <= (1 + 1e-6) * h)
    assert values.max(axis=0) == pytest.approx(h, rel=0.4)  # and they reach out to every facet


def test_sampling_maps_over_keys_and_bodies():
    fans = [HEXAGON.triangulate(), HEXAGON.scaled(2.0).triangulate()]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *fans)
    keys = jax.random.split(jax.random.PRNGKey(0), 5)
    points = jax.jit(jax.vmap(lambda fan, key: fan.sample(key, (3,)), in_axes=(0, None)))(
        batch, keys[0]
    )
    assert points.shape == (2, 3, 2)
    np.testing.assert_allclose(points[1], 2 * points[0], rtol=1e-5)
    points = jax.jit(jax.vmap(HEXAGON.sample))(keys)
    assert points.shape == (5, 2)
    assert len({tuple(p) for p in points.tolist()}) == 5


def test_flat_simplices_are_never_drawn():
    flat, full = [[5.0, 5.0], [6.0, 6.0], [7.0, 7.0]], [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    fan = Triangulation(
        np.array([flat, full, flat], np.float32), np.array([0.0, 0.5, 0.0], np.float32)
    )
    assert np.asarray(DRAW(fan, jax.random.PRNGKey(0))).max() <= 1


def test_a_segment():
    fan = Triangulation.of_hull(np.array([[1.0], [3.0], [2.0]]))
    assert fan.volume == 2
    points = np.asarray(DRAW(fan, jax.random.PRNGKey(0)))[:, 0]
    assert stats.kstest(points, stats.uniform(1, 2).cdf).pvalue > 1e-3
