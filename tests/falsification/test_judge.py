"""What judges a step: exact margins, and a float32 filter that lets no exit through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from falsification.unsafe import CLAIM, ENV, Bare
from off_center import drone_claim, plane_claim
from plants import disturbance_vertices, facets, offsets

import safe_wrappers as sw
from safe_wrappers import Box, Claim, Model, Polytope
from safe_wrappers.falsification._judge import ClaimJudge, MarginJudge
from safe_wrappers.falsification._subject import subject_of
from safe_wrappers.falsification._window import Windows

# Two obstacles of the seeker, in the clear.
LAYOUT = (-4.0, 0.3, 2.3, 4.0, 0.0, 2.0)
CLAIMS = {"pendulum": CLAIM, "drone": drone_claim(), "plane": plane_claim()}


def judge_of(claim):
    return ClaimJudge(claim, Bare(claim).system)


@pytest.mark.parametrize("name", CLAIMS)
def test_no_state_outside_has_a_float32_margin_above_the_threshold(name):
    claim = CLAIMS[name]
    judge, rng = judge_of(claim), np.random.default_rng(0)
    center = np.asarray(claim.center, np.float64)
    way = rng.standard_normal((200_000, len(center)))
    edge = way / (way @ facets(claim).T).max(axis=1, keepdims=True)
    far = np.concatenate([1 + 1e-6 * rng.standard_normal(150_000), rng.uniform(1, 3, 50_000)])
    x = (center + far[:, None] * edge).astype(np.float32)
    computed = np.asarray(jax.jit(jax.vmap(judge.margin))(x))
    exact = (offsets(claim) - x.astype(np.float64) @ facets(claim).T).min(axis=1)
    np.testing.assert_array_equal(judge.exact(x), exact)
    outside = exact < 0
    assert 10_000 < outside.sum() < 190_000
    assert computed[outside].max() <= judge.threshold
    assert computed[outside].max() >= 0  # without a threshold some would pass
    assert judge.threshold < 1e-5


def test_what_is_no_number_has_left():
    x = np.array([[np.nan, 0], [np.inf, 0], [0, -np.inf], [0, 0]], np.float32)
    assert judge_of(CLAIM).exact(x).tolist() == [-np.inf, -np.inf, -np.inf, 1.0]
    seeker = MarginJudge(sw.envs.SafeSeeker())
    x = np.array([[np.nan, 0, *LAYOUT], [0, 0, *LAYOUT]], np.float32)
    assert seeker.exact(x)[0] == -np.inf
    assert seeker.exact(x)[1] > 0
    assert seeker.covers(x).tolist() == [False, True]


def test_margins_of_a_system_without_a_claim_are_those_of_float64():
    judge = MarginJudge(sw.envs.SafeSeeker())
    x = np.array([[-1.1, -2.7, *LAYOUT]], np.float32)
    p, (c1, c2, r) = x[0, :2].astype(np.float64), x[0, 2:5].astype(np.float64)
    expected = (np.hypot(p[0] - c1, p[1] - c2) - r) / 8
    np.testing.assert_allclose(judge.exact(x), expected, rtol=1e-14)
    assert judge.threshold == np.inf  # so that every state is judged so


def test_the_candidates_are_the_vertices_of_W_or_the_worst_for_every_facet():
    vertices = judge_of(CLAIM).candidates(jnp.zeros(2), jnp.zeros(1))
    np.testing.assert_array_equal(vertices, disturbance_vertices(CLAIM).astype(np.float32))
    gains = np.linspace(-1, 1.5, 8)
    model = Model("many", lambda x, a, w: x + 0.1 * a + 1e-3 * jnp.sum(gains * w), 1, 1, 8)
    claim = Claim(
        model,
        safe_state_set=Polytope(*Box.symmetric([1.0]).halfspaces()),
        constraint_set=Box.symmetric([1.0]),
        disturbance_set=Box.symmetric([1.0] * 8),
    )
    worst = np.asarray(judge_of(claim).candidates(jnp.zeros(1), jnp.zeros(1)))
    moved = np.sort(worst @ gains)
    np.testing.assert_allclose(moved, [-np.abs(gains).sum(), np.abs(gains).sum()], rtol=1e-6)


def test_samples_are_covered():
    windows = Windows(subject_of(ENV, "none", None))
    assert windows.judge.covers(windows.sample(1024, 0)).all()
