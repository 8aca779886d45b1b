"""Which states are drawn against each other, and what they are called."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.plots._axes import chosen_pairs, state_labels
from safe_wrappers.plots._sets_of import Sets, sets_of


def plant(rows, half_widths):
    """x' = rows x + (a, ..., a), with a box as its safe set."""
    n = len(rows)
    matrix = np.array(rows, np.float32)

    def step(x, a, w):
        return jnp.sum(jnp.asarray(matrix, x.dtype) * x, axis=1) + a[0] + 0 * jnp.sum(w)

    model = sw.Model("plant", step, n, 1, 0)
    safe = sw.Polytope(*sw.Box.symmetric(np.array(half_widths)).halfspaces())
    return Sets(safe, None, model)


@pytest.mark.parametrize("name", ["safe_cart_pole", "safe_quadrotor"])
def test_positions_stand_against_their_velocities(name):
    sets = sets_of(sw.envs.get_environment(name))
    n = sets.model.state_size
    half = n // 2
    assert chosen_pairs(sets, None, n) == [*((i, i + half) for i in range(half)), (0, 1)]


def test_the_dynamics_decide_and_not_the_order():
    # (position, speed, position, speed), and the slow states of another unit.
    dt = 0.1
    rows = [[1, dt, 0, 0], [0, 1, 0, 0], [0, 0, 1, dt], [0, 0, 0, 1]]
    assert chosen_pairs(plant(rows, [4, 2, 400, 200]), None, 4) == [(0, 1), (2, 3), (0, 2)]
    # Three tanks in a row: the last one stands against the one that it is not paired with.
    tanks = [[0.9, 0, 0], [0.1, 0.9, 0], [0, 0.3, 0.9]]
    assert chosen_pairs(plant(tanks, [1, 1, 1]), None, 3) == [(0, 1), (1, 2), (0, 1)]


def test_without_a_model_positions_come_first():
    box = sw.Polytope(*sw.Box.symmetric(np.ones(4)).halfspaces())
    assert chosen_pairs(Sets(box, None, None), None, 4) == [(0, 2), (1, 3), (0, 1)]


def test_one_state_makes_no_plane():
    with pytest.raises(sw.SetDimensionError, match="the plant has one"):
        chosen_pairs(Sets(None, None, None), None, 1)


def test_names_and_units_of_the_model_are_labels_and_choose_axes():
    model = SimpleNamespace(
        name="cruise", state_names=("gap", "speed", "lead"), units={"gap": "m", "speed": "m/s"}
    )
    assert state_labels(model, 3) == ("gap (m)", "speed (m/s)", "lead")
    sets = Sets(None, None, model)
    assert chosen_pairs(sets, ("lead", "gap"), 3) == [(2, 0)]
    with pytest.raises(sw.SetDimensionError, match="or two of the names gap, speed, lead"):
        chosen_pairs(sets, ("lead", "gpa"), 3)
    assert state_labels(None, 2) == ("state 1", "state 2")
