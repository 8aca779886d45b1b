"""Plants that are commanded by their virtual inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import ARM_V, ARM_W, ARM_X, DRONE_V, DRONE_W, DRONE_X, DT, arm, drone

import safe_wrappers as sw
from safe_wrappers.models import Commanded, InVirtualInputs

PLANTS = {
    "arm": (arm, sw.Box.symmetric(ARM_V), ARM_X, ARM_W),
    "drone": (drone, DRONE_V, DRONE_X, DRONE_W),
}


def drawn(box, count, seed):
    rng = np.random.default_rng(seed)
    lower, upper = np.asarray(box.lower), np.asarray(box.upper)
    return rng.uniform(lower, upper, (count, box.dim)).astype(np.float32)


@pytest.mark.parametrize("name", PLANTS)
def test_the_plant_moves_as_if_v_were_its_action(name):
    """The plant's own step with the executed action against the motion under v, in float64."""
    make, V, X, W = PLANTS[name]
    plant = make()
    model = Commanded(plant, V)
    x, v, w = (drawn(box, 200, seed) for seed, box in enumerate((X, V, W)))
    with jax.enable_x64():
        x, v, w = (jnp.asarray(part, jnp.float64) for part in (x, v, w))
        found = jax.vmap(model.step)(x, v, w)
        torque = jax.vmap(model.plant_action)(x, v)
        by_hand = jax.vmap(plant.step)(x, torque, w)
        expected = jax.vmap(InVirtualInputs(plant).step)(x, v, w)
    np.testing.assert_array_equal(found, by_hand)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # a box in float32


def test_joints_accelerate_as_commanded():
    model = Commanded(arm(), sw.Box.symmetric(ARM_V))
    x, v = jnp.array([0.3, -0.5, 1.0, -2.0]), jnp.array([2.0, -3.0])
    after = model.step(x, v, jnp.zeros(2))
    np.testing.assert_allclose((after[2:] - x[2:]) / DT, v, atol=1e-4)


def test_what_the_actuators_cannot_do_is_clipped_to_their_limits():
    model = Commanded(arm(), sw.Box.symmetric([1000.0, 1000.0]))
    x = jnp.array([0.3, -0.5, 1.0, -2.0])
    for sign in (-1.0, 1.0):
        torque = model.plant_action(x, jnp.full(2, sign * 1000.0))
        np.testing.assert_array_equal(torque, sign * np.array([40.0, 15.0], np.float32))
    assert np.all(np.abs(model.executed(x, jnp.ones(2))) <= 1)


def test_at_an_unknown_state_the_actuators_rest():
    model = Commanded(arm(), sw.Box.symmetric(ARM_V))
    executed = model.executed(jnp.full(4, jnp.nan), jnp.ones(2))
    np.testing.assert_array_equal(executed, 0.0)


def test_units_of_commands_are_those_of_the_box():
    model = Commanded(arm(), sw.Box.symmetric(ARM_V))
    x, u = jnp.array([0.3, -0.5, 1.0, -2.0]), jnp.array([0.5, -1.0])
    v = model.natural_action(u)
    np.testing.assert_allclose(v, [1.5, -4.0])
    np.testing.assert_array_equal(model.actuated(x, u), model.plant_action(x, v))
    np.testing.assert_array_equal(
        model.unit_step(x, u, jnp.zeros(2)), model.step(x, v, jnp.zeros(2))
    )
    assert model.state_names == model.plant.state_names
    assert model.parameters == model.plant.parameters
    plant = model.plant
    np.testing.assert_array_equal(plant.actuated(x, u), plant.natural_action(u))


def test_the_affine_form_is_that_of_the_motion_under_v():
    make, V, X, _ = PLANTS["drone"]
    model, plant = Commanded(make(), V), make()
    with jax.enable_x64():
        x = jnp.asarray(drawn(X, 20, 3), jnp.float64)
        found = jax.jit(jax.vmap(model.affine))(x)
        c, B, E = jax.jit(jax.vmap(InVirtualInputs(plant).affine))(x)
    np.testing.assert_allclose(found.c, c, atol=1e-6)
    np.testing.assert_allclose(found.B, np.asarray(B) * V.upper, atol=1e-6)
    np.testing.assert_allclose(found.E, E, atol=1e-6)


def test_refusals():
    plain = sw.Model("plain", lambda x, a, w: x + a, 1, 1)
    with pytest.raises(sw.ModelError, match="virtual inputs of the model 'plain' are its actions"):
        Commanded(plain, sw.Box.symmetric([1.0]))
    with pytest.raises(sw.ModelError):
        Commanded(arm(), sw.Box.symmetric([1.0]))
    with pytest.raises(TypeError, match="`inputs`"):
        Commanded(arm(), [1.0, 1.0])


def test_only_the_librarys_own_step_counts():
    plant, V = arm(), sw.Box.symmetric(ARM_V)
    model = Commanded(plant, V)
    assert model.commands(plant)
    assert not model.commands(arm())
    assert not type("Other", (Commanded,), {})(plant, V).commands(plant)
    object.__setattr__(model, "step", plant.step)
    assert not model.commands(plant)
