"""A plant with its plan: what its step does, what is measured, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import LATERAL, drone

import safe_wrappers as sw
from safe_wrappers.models import BlockPlan, carried_plan, next_plan

N = 3
A, B, K, HOLD = LATERAL
PLAN = BlockPlan((0, 2, 3), (1,), A, B, K, np.array([0.1, 0.0, 0.0]), np.array([0.2]))


def line(x, a, w):
    return jnp.stack([x[0] + 0.1 * x[1] + w[0], x[1] + 0.5 * a[0]])


LINE = BlockPlan(
    (0, 1),
    (0,),
    np.array([[1.0, 0.1], [0.0, 1.0]]),
    np.array([[0.0], [0.5]]),
    np.array([[-0.4, -0.9]]),
    np.zeros(2),
    np.zeros(1),
)


def plant():
    return sw.Model(
        "line",
        line,
        2,
        1,
        1,
        action_box=sw.Box([0.0], [2.0]),
        state_names=("place", "speed"),
        units={"place": "m"},
    )


def test_sizes_and_names():
    model = carried_plan(plant(), [LINE], N)
    assert (model.state_size, model.action_size, model.disturbance_size) == (2 + N, 1, 1)
    assert model.state_names == (
        "place",
        "speed",
        "plan 1: action 1",
        "plan 2: action 1",
        "plan 3: action 1",
    )
    assert model.units == {"place": "m"}
    assert model.parameters["horizon"] == N
    with_virtual = carried_plan(drone(), [PLAN], N)
    assert with_virtual.state_names[5:] == ("plan 1: input 2", "plan 2: input 2", "plan 3: input 2")
    assert with_virtual.virtual is not None


@pytest.mark.parametrize("of", ["actions", "virtual inputs"])
def test_the_plant_moves_as_it_does_without_a_plan(of):
    base, plan = (plant(), LINE) if of == "actions" else (drone(), PLAN)
    model, n = carried_plan(base, [plan], N), base.state_size
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.2, 0.2, (16, model.state_size)).astype(np.float32)
    u = rng.uniform(-1, 1, (16, model.action_size)).astype(np.float32)
    w = rng.uniform(-0.1, 0.1, (16, model.disturbance_size)).astype(np.float32)
    after = jax.vmap(model.unit_step)(x, u, w)
    np.testing.assert_array_equal(after[:, :n], jax.vmap(base.unit_step)(x[:, :n], u, w))
    with jax.enable_x64():
        wide = [jnp.asarray(part, jnp.float64) for part in (x, u, w)]
        exact = np.asarray(jax.vmap(model.unit_step)(*wide))
    # Actions of the box in natural units are plans of [-1, 1], whatever its middle.
    np.testing.assert_allclose(next_plan(model, wide[0], exact[:, :n]), exact, atol=1e-9)


def test_a_plan_that_is_followed_moves_up_by_one_and_ends_with_the_gain():
    model = carried_plan(drone(), [PLAN], N)
    x, plan = np.array([0.1, 0.0, 0.02, 0.1, 0.0]), np.array([0.5, -0.3, 0.4])
    A32, B32, K32 = (np.asarray(part, np.float32).astype(np.float64) for part in (A, B, K))
    y = x[[0, 2, 3]] - [0.1, 0.0, 0.0]
    z = [y]
    for v in plan:
        z.append(A32 @ z[-1] + B32[:, 0] * (v - 0.2))
    after = np.zeros(5)
    after[[0, 2, 3]] = z[1] + np.float32([0.1, 0.0, 0.0])
    found = next_plan(model, np.concatenate([x, plan]), after)
    last = (K32 @ z[-1])[0] + 0.2
    np.testing.assert_allclose(found[5:], [-0.3, 0.4, last], atol=1e-7)


def test_a_part_of_a_step_is_that_part_of_the_way():
    """Of the whole state, plan included."""
    model = carried_plan(drone(), [PLAN], N)
    rng = np.random.default_rng(1)
    x, after = rng.normal(size=(7, 2, 5 + N)), rng.normal(size=(7, 2, 5))
    whole, share = next_plan(model, x, after), rng.uniform(0, 1, (7, 2))
    part = next_plan(model, x, x[..., :5] + share[..., None] * (after - x[..., :5]), share)
    np.testing.assert_allclose(part, x + share[..., None] * (whole - x), atol=1e-6)
    still = next_plan(model, x[0, 0], x[0, 0, :5], 0.0)
    np.testing.assert_array_equal(still, x[0, 0])


def test_what_does_not_fit_is_refused():
    with pytest.raises(sw.ModelError, match="at least one block"):
        carried_plan(plant(), [], N)
    with pytest.raises(sw.ModelError, match="of states and inputs of 'line', which has 2 and 1"):
        carried_plan(plant(), [LINE._replace(states=(1, 2))], N)
    with pytest.raises(sw.ModelError, match="of states and inputs of 'line'"):
        carried_plan(plant(), [LINE._replace(inputs=(1,))], N)
    for name in ("A", "B", "K", "center", "hold"):
        with pytest.raises(sw.ModelError, match=f"`{name}` must have shape"):
            carried_plan(plant(), [LINE._replace(**{name: np.zeros(5)})], N)
    with pytest.raises(ValueError, match="`horizon`"):
        carried_plan(plant(), [LINE], 0)
    with pytest.raises(TypeError, match="`model`"):
        carried_plan(line, [LINE], N)
    with pytest.raises(sw.ModelError, match="'line' carries none"):
        next_plan(plant(), np.zeros(2), np.zeros(2))
    with pytest.raises(sw.SetDimensionError, match=r"\(\.\.\., 5\) and \(\.\.\., 2\)"):
        next_plan(carried_plan(plant(), [LINE], N), np.zeros(5), np.zeros(3))
