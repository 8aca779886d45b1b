import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import ARM_X, DRONE_V, DRONE_X, arm, drone

import safe_wrappers as sw
from safe_wrappers.certificates._authority import authority
from safe_wrappers.models import InVirtualInputs

CASES = {
    "arm": (arm, ARM_X, sw.Box.symmetric([3.0, 4.0])),
    "drone": (drone, DRONE_X, DRONE_V),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bound_is_above_what_points_need_and_near_it(name):
    make, X, V = CASES[name]
    model = make()
    rng = np.random.default_rng(0)
    n, d = model.state_size, model.action_size
    share = rng.uniform(-1, 1, (20_000, n + d))
    share[::2, 2:] = np.sign(share[::2, 2:])
    points = jnp.asarray(share * np.concatenate([X.upper, V.upper]), jnp.float32)
    parts = InVirtualInputs(model)
    needed = jax.jit(jax.vmap(lambda z: parts.actions(z[:n], z[n:])))(points)
    most = np.abs(needed).max(axis=0)
    found = authority(model, X, V)
    assert found.enough
    assert np.all(found.largest >= most - 1e-6)
    assert np.all(found.largest <= 1.6 * most)


def test_cells_are_halved_until_the_actuators_are_known_to_suffice():
    """In one cell cos and sin are both 1; no state has both."""
    strong = sw.Box.symmetric([5.0, 6.5])
    whole = authority(arm(torque=(40.0, 11.0)), ARM_X, strong, cells=1)
    divided = authority(arm(torque=(40.0, 11.0)), ARM_X, strong)
    assert not whole.enough
    assert divided.enough
    assert divided.cells > 1


def test_weak_actuators_are_not_enough():
    found = authority(arm(torque=(2.0, 15.0)), ARM_X, sw.Box.symmetric([3.0, 4.0]), cells=200)
    assert not found.enough
    assert found.largest[0] > 1
    assert found.largest[1] <= 1
