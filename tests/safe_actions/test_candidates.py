"""When the anchor that a solver gave stands, and when a candidate takes its place."""

import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.safe_actions._candidates import safest

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
