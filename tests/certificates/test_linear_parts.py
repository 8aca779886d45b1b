from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import DRONE_V, DRONE_W, DRONE_X, DT, arm, drone

import safe_wrappers as sw
from safe_wrappers.certificates._coupling import Range
from safe_wrappers.certificates._intervals import Interval
from safe_wrappers.certificates._linear_parts import ONE, linear_parts, steady_effects
from safe_wrappers.models import InVirtualInputs, Model

STEP = Fraction(float(np.float32(DT)))


def test_joints_are_linear_with_exact_coefficients():
    stepped = InVirtualInputs(arm()).stepped
    rows, causes = linear_parts(stepped, Interval(-np.ones((8, 1)), np.ones((8, 1))))
    assert causes == []
    assert rows[0] == {0: 1, 2: STEP, 4: STEP**2, 6: STEP**2}
    assert rows[3] == {3: 1, 5: STEP, 7: STEP}


def test_a_force_moves_speed_and_position_at_once():
    stepped = InVirtualInputs(drone()).stepped
    range_ = Range.of(DRONE_X, DRONE_V, DRONE_W)
    z = Interval(range_.lower[:, None], range_.upper[:, None])
    rows, causes = linear_parts(stepped, z)
    used = sorted({key for row in rows for key in row if key >= 9})
    assert len(used) == 1  # the product of thrust and tangent; the tangent alone enters nowhere
    assert rows[0][used[0]] == STEP**2
    assert rows[3][used[0]] == STEP
    assert used[0] - 9 < len(causes)


def test_the_parts_give_the_step_at_points():
    model = Model(
        "mixed",
        lambda x, a, w: jnp.stack(
            [
                x[0] / 4 - 3.0 * (x[1] - 2 * a[0]) + 1.5,
                jnp.where(x[0] > 0, x[1] * w[0], jnp.sin(x[1])) + 0.5 * x[0],
            ]
        ),
        2,
        1,
        1,
    )
    points = np.random.default_rng(0).uniform(-1, 1, (4, 20)).astype(np.float32)
    rows, causes = linear_parts(model, Interval.point(points.astype(float)), order=0)
    for i, row in enumerate(rows):
        total = np.full(20, float(row.get(ONE, 0)))
        for key, value in row.items():
            if key >= 4:
                total += float(value) * np.broadcast_to(causes[key - 4].value.middle, (20,))
            elif key != ONE:
                total += float(value) * points[key]
        expected = [
            float(model.step(jnp.asarray(p[:2]), jnp.asarray(p[2:3]), jnp.asarray(p[3:]))[i])
            for p in points.T
        ]
        assert np.allclose(total, expected, atol=1e-6)


def test_an_infinite_constant_is_refused():
    model = Model("infinite", lambda x, a, w: x + a + jnp.inf, 1, 1)
    with pytest.raises(sw.ModelError, match="infinite or NaN"):
        linear_parts(model, Interval(-np.ones((2, 1)), np.ones((2, 1))))


def test_effects_that_are_the_same_at_every_state():
    effects = steady_effects(InVirtualInputs(drone()).stepped)
    # Thrust moves sideways by the tangent of the tilt; all else is the same everywhere.
    varies = np.zeros((5, 4), bool)
    varies[[0, 3], 0] = True
    np.testing.assert_array_equal(effects.steady, ~varies)
    expected = np.zeros((5, 4))
    expected[1, 0] = expected[0, 2] = expected[1, 3] = float(STEP**2)
    expected[4, 0] = expected[3, 2] = expected[4, 3] = expected[2, 1] = float(STEP)
    np.testing.assert_array_equal(effects.values, expected)


def test_an_effect_that_is_chosen_by_the_state_or_multiplied_by_it_is_not_steady():
    model = Model(
        "mixed",
        lambda x, a, w: jnp.stack(
            [
                jnp.where(x[0] > 0, a[0], 2 * a[0]) + 3 * w[0],
                x[1] * w[0] + 0 * x[1] * a[0],
                x[0] * x[1] + a[0] / 4,
            ]
        ),
        3,
        1,
        1,
    )
    effects = steady_effects(model)
    np.testing.assert_array_equal(effects.steady, [[False, True], [True, False], [True, True]])
    np.testing.assert_array_equal(effects.values, [[0, 3], [0, 0], [0.25, 0]])
