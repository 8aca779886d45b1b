"""The facets of a block as rows in virtual inputs: those of NumPy, facet by facet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.certificates import Block, SteadyEffects
from safe_wrappers.models import Affine
from safe_wrappers.safe_actions._facets import BlockFacets

STATES = (0, 3, 4)
N, D = 5, 2
W = sw.Box([-0.3, 0.1, -0.2], [0.1, 0.5, 0.4])
CENTER = np.array([0.5, 9.0, 9.0, -1.0, 0.25], np.float32)


def normals():
    """Facets that face each other with other room on each side, and some that stand alone."""
    H = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    H[2, 1] = 0.0
    H = np.concatenate([H, -H[[4, 2, 0]]])
    return H, np.linspace(0.7, 1.0, len(H)).astype(np.float32)


def effects(steady):
    """Of two inputs and three disturbances on five states, all the same or some not."""
    values = np.random.default_rng(1).normal(size=(N, D + 3)).astype(np.float32).astype(float)
    values[:, 1] = 0.0
    values[:, 3] = 0.0
    known = np.ones((N, D + 3), bool)
    if not steady:
        known[[0, 4], 0] = known[3, 1] = known[0, 4] = False
    found = Affine(
        jnp.asarray(np.random.default_rng(2).normal(size=N), jnp.float32),
        jnp.asarray(values[:, :D] + 0.1 * ~known[:, :D], jnp.float32),
        jnp.asarray(values[:, D:] + 0.1 * ~known[:, D:], jnp.float32),
    )
    return SteadyEffects(np.where(known, values, 0.0), known), found


def by_hand(H, room, found):
    """Slopes and bounds of each facet in float64."""
    c, B, E = (np.asarray(part, np.float64) for part in found)
    own, F = list(STATES), H.astype(np.float64)
    push = F @ E[own]
    taken = push @ np.asarray(W.center, float) + np.abs(push) @ np.asarray(W.radius, float)
    return F @ B[own], room - F @ (c - CENTER)[own] - taken


@pytest.mark.parametrize("steady", [True, False])
def test_rows_are_those_of_numpy(steady):
    H, room = normals()
    known, found = effects(steady)
    facets = BlockFacets.of(H, room, Block(STATES, (0,)), known, W)
    assert len(facets.facets.H) == 7
    assert facets.inputs == ([0] if steady else [0, 1])
    assert sorted(facets.pushed) == ([] if steady else [2])
    rows = jax.jit(lambda found: facets.at(found, CENTER))(found)
    slopes, b = facets.one_sided(rows)
    A, bound = by_hand(H, room, found)
    assert len(b) == len(H)
    for row, value in zip(A, bound, strict=True):
        of_inputs = [abs(slopes[j] - row[j]) for j in slopes]
        error = np.max([*of_inputs, abs(b - value)], axis=0)
        assert error.min() < 2e-6


def test_some_rows_are_those_of_all():
    facets = BlockFacets.of(*normals(), Block(STATES, (0,)), effects(False)[0], W)
    found = effects(False)[1]
    chosen = jnp.array([5, 0, 5])
    every, some = facets.at(found, CENTER), facets.at(found, CENTER, chosen)
    for whole, part in zip(jax.tree.leaves(every), jax.tree.leaves(some), strict=True):
        np.testing.assert_allclose(part, np.asarray(whole)[np.asarray(chosen)], atol=1e-6)


def test_what_another_input_may_do_is_left_out_at_its_worst():
    facets = BlockFacets.of(*normals(), Block(STATES, (0,)), effects(False)[0], W)
    rows = facets.at(effects(False)[1], CENTER)
    rest = rows.less(1, jnp.float32(-2.0), jnp.float32(0.5))
    assert list(rest.slopes) == [0]
    for v in np.linspace(-2.0, 0.5, 11):
        assert np.all(rest.above <= rows.above - rows.slopes[1] * v + 1e-6)
        assert np.all(rest.below <= rows.below + rows.slopes[1] * v + 1e-6)
    ends = np.stack([rows.slopes[1] * -2.0, rows.slopes[1] * 0.5])
    np.testing.assert_allclose(rest.above, rows.above - ends.max(axis=0), atol=1e-6)
    np.testing.assert_allclose(rest.below, rows.below + ends.min(axis=0), atol=1e-6)


def test_an_input_without_effect_has_rows_all_the_same():
    known, found = effects(True)
    facets = BlockFacets.of(*normals(), Block(STATES, (1,)), known, W)
    assert facets.inputs == [0, 1]
    assert np.all(np.asarray(facets.at(found, CENTER).slopes[1]) == 0.0)
