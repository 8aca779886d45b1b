import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import DT, arm, bias, drone, drone_step, mass_matrix

import safe_wrappers as sw
from safe_wrappers.models import (
    Cascade,
    InVirtualInputs,
    Mechanical,
    Model,
    VirtualInputs,
    program_digest,
    require_affine,
)
from safe_wrappers.models._linear_solve import solve, solve_positive, symmetric


@pytest.mark.parametrize("d", [1, 2, 5, 7])
def test_equations_are_solved_as_numpy_solves_them(d):
    rng = np.random.default_rng(d)
    root, right = rng.normal(size=(d, d)), rng.normal(size=d)
    positive = root @ root.T + 0.1 * np.eye(d)
    with jax.enable_x64():
        found = solve_positive(jnp.asarray(np.tril(positive)), jnp.asarray(right))
        assert np.allclose(found, np.linalg.solve(positive, right), rtol=1e-9)
        other = root + d * np.eye(d)
        found = solve(jnp.asarray(other), jnp.asarray(right))
        assert np.allclose(found, np.linalg.solve(other, right), rtol=1e-9)
        assert np.array_equal(symmetric(jnp.asarray(np.tril(positive))), positive)


def test_a_batch_is_solved_without_a_linear_algebra_library():
    matrices, rights = jnp.ones((8, 3, 3)) + 3 * jnp.eye(3), jnp.ones((8, 3))
    program = jax.jit(jax.vmap(solve_positive)).lower(matrices, rights).compile().as_text()
    assert "custom-call" not in program


def test_the_step_is_that_of_the_equations_of_motion():
    rng = np.random.default_rng(0)
    model = arm()
    with jax.enable_x64():
        for _ in range(10):
            x, torque, w = rng.normal(size=4), rng.uniform(-10, 10, 2), rng.normal(size=2)
            q, speed = x[:2], x[2:]
            inertia = np.asarray(mass_matrix(q)) + np.float32(0.1) * np.eye(2)
            acceleration = np.linalg.solve(inertia, torque - np.asarray(bias(q, speed)))
            speed = speed + DT * (acceleration + w)
            expected = np.concatenate([q + DT * speed, speed])
            assert np.allclose(model.step(*map(jnp.asarray, (x, torque, w))), expected, atol=1e-6)


@pytest.mark.parametrize("make", [arm, drone])
def test_actions_bring_their_virtual_inputs_about(make):
    model = make()
    parts = InVirtualInputs(model)
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.uniform(-0.3, 0.3, model.state_size), jnp.float32)
    v = jnp.asarray(rng.uniform(-2, 2, 2), jnp.float32)
    w = jnp.asarray(rng.uniform(-1, 1, 2), jnp.float32)
    action = parts.actions(x, v)
    assert np.allclose(parts.of_actions(x, action), v, atol=2e-5)
    assert np.allclose(model.unit_step(x, action, w), parts.step(x, v, w), atol=1e-5)
    c, slopes = parts.inputs(x)
    assert np.allclose(c + slopes @ action, v, atol=1e-4)
    c, B, E = parts.affine(x)
    assert np.allclose(c + B @ v + E @ w, parts.step(x, v, w), atol=1e-5)
    require_affine(model)
    require_affine(parts.stepped)


def test_a_model_without_virtual_inputs_has_its_actions():
    model = Model("plain", lambda x, a, w: x + 2 * a + w, 2, 2, 2)
    parts = InVirtualInputs(model)
    x, u = jnp.ones(2), jnp.array([0.5, -0.25])
    assert np.array_equal(parts.of_actions(x, u), u)
    assert np.array_equal(parts.actions(x, u), u)
    assert np.array_equal(parts.inputs(x).G, np.eye(2))
    assert np.array_equal(parts.step(x, u, x), model.unit_step(x, u, x))


def test_names_units_and_limits_are_those_of_joints():
    model = arm()
    assert model.state_labels[:2] == ("joint 1 (rad)", "joint 2 (rad)")
    assert model.state_labels[3] == "joint 2 speed (rad/s)"
    assert model.action_labels[1] == "joint 2 torque (N m)"
    assert np.array_equal(model.action_box.upper, np.float32([40, 15]))
    assert model.parameters["dt"] == DT
    assert model.virtual.least == (float(np.float32(0.1)),) * 2 or np.allclose(
        model.virtual.least, 0.1
    )
    assert arm(armature=0.0).virtual.least is None


def test_the_digest_knows_the_parts_of_the_step():
    """The rows that run are derivatives of parts, whose programs are not that of the step."""
    assert program_digest(arm()) == program_digest(arm())
    assert program_digest(arm()) != program_digest(arm(armature=0.2))
    plain = Model("mechanical", arm().step, 4, 2, 2, action_box=arm().action_box)
    assert program_digest(plain) != program_digest(arm())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"torque": [40.0, 0.0]}, ValueError, "one positive number for each joint"),
        ({"torque": [40.0, 15.0, 5.0]}, Exception, "mass_matrix|shape|joints"),
        ({"dt": 0.0}, ValueError, "`dt`"),
        ({"armature": [-0.1, 0.1]}, sw.SetDimensionError, "at least 0"),
        ({"joint_names": ["shoulder"]}, sw.ModelError, "must hold 2 names"),
    ],
)
def test_wrong_arguments_are_refused(changes, error, message):
    arguments = {"torque": [40.0, 15.0], "dt": DT, "armature": 0.1, **changes}
    with pytest.raises(error, match=message):
        Mechanical(mass_matrix, bias, **arguments)


def test_a_mass_matrix_of_another_shape_is_refused():
    with pytest.raises(sw.ModelError, match=r"must return shape \(2, 2\)"):
        Mechanical(lambda q: mass_matrix(q)[0], bias, torque=[40.0, 15.0], dt=DT)


def test_a_step_that_is_not_that_of_the_virtual_inputs_is_refused():
    virtual = arm().virtual
    with pytest.raises(sw.ModelError, match=r"must be `virtual\.plant`"):
        Model("forged", lambda x, a, w: x, 4, 2, 2, virtual=virtual)
    with pytest.raises(TypeError, match="VirtualInputs"):
        Model("forged", arm().step, 4, 2, 2, virtual="joints")


def test_wrong_parts_of_a_cascade_are_refused():
    parts = {"matrix": lambda x: jnp.eye(2), "offset": lambda x: jnp.zeros(2)}
    with pytest.raises(TypeError, match="must be a `Box`"):
        Cascade("drone", drone_step, action_box=[1, 1], state_size=5, **parts)
    with pytest.raises(ValueError, match="2 positive numbers"):
        Cascade(
            "drone",
            drone_step,
            action_box=sw.Box.symmetric([1, 1]),
            state_size=5,
            least=[1.0, 0.0],
            **parts,
        )
    assert isinstance(drone().virtual, VirtualInputs)
