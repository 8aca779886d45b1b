"""When the anchor that a solver gave stands, and when a candidate takes its place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

from safe_wrappers import SafeActionSet
from safe_wrappers._margins import tau
from safe_wrappers.safe_actions._candidates import safest, with_room
from safe_wrappers.testing._action_sets import needles, product

MARGIN = 20 * np.finfo(np.float32).eps  # tau of two actions
# A strip about the centre of the box, in which the centre is 1.5 tau deep and the deepest point.
A = np.array([[1, 0], [-1, 0]], np.float32)
B = np.full(2, 1.5 * MARGIN, np.float32)


@pytest.mark.parametrize(
    ("depth", "stays"),
    [(1.4, True), (0.6, True), (0.4, False), (0.0, False), (-0.4, False), (-40.0, False)],
)
def test_an_anchor_with_room_to_spare_stays_and_any_other_gives_way(depth, stays):
    given = np.array([(1.5 - depth) * MARGIN, 0.25], np.float32)
    expected = given if stays else [0.0, 0.0]
    np.testing.assert_array_equal(
        safest(jnp.asarray(A), jnp.asarray(B), jnp.asarray(given)), expected
    )


def test_an_anchor_gives_way_to_a_candidate_that_is_much_deeper():
    b = np.full(2, 0.1, np.float32)
    for depth, stays in ((0.1 - MARGIN, True), (0.1 - 3 * MARGIN, False)):
        given = np.array([0.1 - depth, 0.25], np.float32)
        chosen = safest(jnp.asarray(A), jnp.asarray(b), jnp.asarray(given))
        assert np.array_equal(chosen, given) == stays


@pytest.mark.parametrize("given", [[np.nan, 0.25], [np.inf, 0.25], [3.0, 0.25]])
def test_an_anchor_outside_the_box_is_judged_by_what_is_left_of_it(given):
    chosen = safest(jnp.asarray(A), jnp.asarray(B), jnp.asarray(given))
    expected = [0.0, 0.25] if np.isnan(given[0]) else [0.0, 0.0]
    np.testing.assert_array_equal(chosen, expected)


def test_where_no_action_is_safe_the_least_violating_one_is_chosen():
    rows = np.array([[1, 0], [0, 1]], np.float32)
    chosen = safest(jnp.asarray(rows), jnp.full(2, -2.0), jnp.array([0.5, 0.5]))
    np.testing.assert_array_equal(chosen, [-1.0, -1.0])


@pytest.mark.parametrize("d", [2, *slow(3, 4)])
def test_a_needle_with_room_has_an_anchor_with_room(d):
    """The solver's deepest point alone has none for some of so many sets."""
    n, m = 40_000, 4 + 4 * d
    A, b, action = needles(np.random.default_rng(d), n, d, m)
    A, b = A.astype(np.float32), b.astype(np.float32)

    def slack(point):
        exact, length = A.astype(np.float64), np.linalg.norm(A.astype(np.float64), axis=2)
        return ((b - product(exact, point)) / length).min(axis=1)

    room = slack(action) >= 2 * tau(d, np.float32)
    assert room.mean() > 0.9
    anchor = jax.jit(jax.vmap(lambda A, b: SafeActionSet.from_rows(A, b).anchor))(A, b)
    assert np.all(np.abs(anchor) <= 1)
    assert np.all(slack(np.asarray(anchor, np.float64))[room] > tau(d, np.float32) / 4)


def test_an_anchor_with_room_stays_bit_for_bit_and_an_empty_set_ends_the_search():
    A = jnp.array([[0.6, 0.8], [-0.6, -0.8]])
    anchor = jnp.array([0.1, 0.2])
    np.testing.assert_array_equal(with_room(A, jnp.array([0.5, 0.5]), anchor), anchor)
    assert np.all(np.abs(with_room(A, jnp.array([-0.5, 0.1]), anchor)) <= 1)
