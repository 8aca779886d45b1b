"""Zonotope in zonotope; the oracle is every vertex of the inner set against every half-space of the
outer one.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers._errors import SetDimensionError
from safe_wrappers.sets import Zonotope, zonotope_in_zonotope

SEEDS = st.integers(0, 2**32 - 1)


def random_pair(rng, n, k_inner, k_outer):
    """An outer zonotope and an inner one of about the size that just fits."""
    outer = Zonotope(rng.normal(size=n), rng.normal(size=(n, k_outer)))
    inner = Zonotope(outer.center + 0.1 * rng.normal(size=n), rng.normal(size=(n, k_inner)))
    scale = rng.uniform(0.5, 1.3) / max(
        1e-9, excess(Zonotope(outer.center, inner.generators), outer)
    )
    return Zonotope(inner.center, inner.generators * scale), outer


def excess(inner, outer):
    """The largest value of the outer set's half-spaces, scaled to 1 about its centre, over the
    inner set's vertices: contained if at most 1.
    """
    H, h = outer.halfspaces()
    corners = (
        inner.center
        + np.array(list(itertools.product([-1.0, 1.0], repeat=inner.generators.shape[1])))
        @ np.asarray(inner.generators).T
    )
    return float(((corners - outer.center) @ H.T / (h - H @ outer.center)).max())


@given(seed=SEEDS, size=st.sampled_from([(2, 2, 4), (2, 5, 3), (3, 3, 5), (3, 4, 3), (4, 3, 6)]))
@settings(deadline=None, max_examples=80)
def test_what_is_called_contained_is_contained(seed, size):
    inner, outer = random_pair(np.random.default_rng(seed), *size)
    result = zonotope_in_zonotope(inner, outer)
    assert result.contained == (result.slack >= 0)
    if result.contained:
        assert excess(inner, outer) <= 1 + 1e-12
    G = np.asarray(outer.generators)
    np.testing.assert_allclose(G @ result.gamma, inner.generators, atol=1e-12)
    np.testing.assert_allclose(G @ result.beta, np.asarray(outer.center) - inner.center, atol=1e-12)
    sums = np.abs(result.gamma).sum(axis=1) + np.abs(result.beta)
    assert result.slack == pytest.approx(1 - sums.max(), abs=1e-12)


@given(seed=SEEDS, n=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_containment_in_a_parallelotope_is_decided(seed, n):
    inner, outer = random_pair(np.random.default_rng(seed), n, n + 1, n)
    result = zonotope_in_zonotope(inner, outer)
    assert result.slack == pytest.approx(1 - excess(inner, outer), abs=1e-9)


@pytest.mark.parametrize("n", [2, 3])
def test_the_encoding_rarely_misses_containment(n):
    """It is sufficient only.

    Among sets that fit within 10 % it found all in the plane, and almost all in space.
    """
    rng, contained, missed = np.random.default_rng(0), 0, 0
    for _ in range(200):
        inner, outer = random_pair(rng, n, 4, 5)
        scale = rng.uniform(0.9, 1) / excess(Zonotope(outer.center, inner.generators), outer)
        inner = Zonotope(outer.center, inner.generators * scale)
        contained += 1
        missed += not zonotope_in_zonotope(inner, outer).contained
    print(f"of {contained} contained zonotopes in {n} dimensions the encoding missed {missed}")
    assert missed <= (0 if n == 2 else 0.2) * contained


def test_the_answer_is_exact_for_the_stored_numbers():
    """Half a unit in the last place decides, where float64 arithmetic sees a tie."""
    cube = Zonotope(np.zeros(2), np.eye(2))
    third = 1 / 3  # below 1/3 in float64, so three of them are below 1
    assert Fraction(third) * 3 < 1
    assert zonotope_in_zonotope(Zonotope(np.zeros(2), np.full((2, 3), third)), cube).contained
    beyond = np.nextafter(third, 1)
    assert not zonotope_in_zonotope(Zonotope(np.zeros(2), np.full((2, 3), beyond)), cube).contained
    assert zonotope_in_zonotope(Zonotope(np.zeros(2), np.zeros((2, 0))), cube).slack == 1


def test_many_dimensions_need_no_facets():
    rng = np.random.default_rng(0)
    outer = Zonotope(np.zeros(12), rng.normal(size=(12, 30)))
    inner = Zonotope(0.01 * np.ones(12), 0.02 * rng.normal(size=(12, 20)))
    result = zonotope_in_zonotope(inner, outer)
    assert result.contained
    direction = rng.normal(size=(1000, 12))
    reach = direction @ np.asarray(inner.center) + np.abs(direction @ inner.generators).sum(axis=1)
    assert np.all(reach <= np.abs(direction @ outer.generators).sum(axis=1))


def test_sets_that_do_not_fit_are_refused():
    with pytest.raises(SetDimensionError, match="same dimension, but they have 1 and 2"):
        zonotope_in_zonotope(Zonotope([0.0], [[1.0]]), Zonotope(np.zeros(2), np.eye(2)))
    with pytest.raises(SetDimensionError, match="must span all 2 dimensions, but their rank is 1"):
        zonotope_in_zonotope(
            Zonotope(np.zeros(2), np.eye(2)), Zonotope(np.zeros(2), np.ones((2, 3)))
        )
