"""The accept test and the pull-back, in numbers: whatever a map returns, these decide."""

import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

from safe_wrappers import SafeActionSet
from safe_wrappers.safeguards._rows import Rows

# a_1 + a_2 <= sqrt(2) / 2 in unit rows, a_1 >= -2, and a margin that is large enough to be seen.
S = float(np.sqrt(0.5))
ROWS = Rows(
    jnp.array([[S, S], [-1.0, 0.0]], jnp.float32), jnp.array([0.5, 2.0], jnp.float32), tau=0.08
)


@pytest.mark.parametrize(
    ("action", "accepted"),
    [
        ([0.0, 0.0], True),
        ([0.47 * S, 0.47 * S], True),
        ([0.49 * S, 0.49 * S], False),  # less than tau / 4 is left
        ([-1.0, 1.0], True),
        ([-1.0, np.nextafter(np.float32(1), np.float32(2))], False),
        ([np.nextafter(np.float32(-1), np.float32(-2)), 0.0], False),
        ([-5.0, 5.0], False),
        ([np.nan, 0.0], False),
        ([-np.inf, 0.0], False),
    ],
)
def test_an_action_is_accepted_if_all_rows_leave_a_margin_and_the_box_holds(action, accepted):
    assert bool(ROWS.accept(jnp.array(action, jnp.float32))) == accepted


@pytest.mark.parametrize(
    ("start", "anchor", "expected"),
    [
        ([S, S], [0.0, 0.0], [0.46 * S, 0.46 * S]),  # to tau / 2 before the row
        ([0.2, 0.1], [0.0, 0.0], [0.2, 0.1]),
        ([-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]),  # along the row
        ([1.0, 0.5], [0.0, -0.5], [0.23 / S + 0.25, 0.23 / S - 0.25]),
        ([0.9, 0.9], [0.9, 0.9], [0.9, 0.9]),
        ([1.0, 1.0], [0.5, 0.5], [0.5, 0.5]),  # not even the anchor satisfies the row
    ],
)
def test_the_pull_back_ends_at_the_first_row(start, anchor, expected):
    found = ROWS.pull_back(jnp.array(start, jnp.float32), jnp.array(anchor, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_box_is_added_untightened(d):
    rows = Rows.of(SafeActionSet.from_rows(jnp.eye(d)[:1], jnp.array([0.5])))
    A, b = rows.tightened_with_box()
    assert rows.tau == pytest.approx((4 * d + 12) * np.finfo(np.float32).eps)
    np.testing.assert_array_equal(A[len(rows.A) :], np.concatenate([np.eye(d), -np.eye(d)]))
    np.testing.assert_array_equal(b[len(rows.A) :], np.ones(2 * d))
    np.testing.assert_array_equal(A[: len(rows.A)], rows.A)
    np.testing.assert_array_equal(b[: len(rows.A)], rows.b - rows.tau)


@pytest.mark.parametrize("d", [2, *slow(3)])
def test_the_box_takes_the_place_of_spare_rows(d):
    rows = Rows.of(SafeActionSet.from_rows(jnp.eye(d)[:2] * 2.0, jnp.array([0.5, 0.25])))
    again = np.minimum(np.arange(2 + 2 * d), 1)
    spare = Rows(rows.A[again], rows.b[again], tau=rows.tau, spare=2 * d)
    for found, expected in zip(spare.tightened_with_box(), rows.tightened_with_box(), strict=True):
        np.testing.assert_array_equal(found, expected)
    # The repeated rows are those of the set, tightened for the accept test as they are.
    corner = jnp.ones(d) * 0.125
    assert bool(spare.accept(corner - 1e-5))
    assert not bool(spare.accept(corner + 1e-5))
