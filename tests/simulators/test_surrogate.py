import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pipeline_env import REGION, arm_plant, arm_surrogate

import safe_wrappers as sw
from safe_wrappers.models import require_affine
from safe_wrappers.simulators._simulator_model import SimulatorModel

KEY = jax.random.PRNGKey(0)
X = sw.Box.symmetric([0.5, 2.0])


def plant(step, k=2):
    return SimulatorModel(
        "plant",
        lambda x, a, w: step(x, a),
        2,
        1,
        k,
        disturbance_matrix=np.array([[1.0, 0.0], [0.5, 2.0]], np.float32)[:, :k],
    )


CUBIC = plant(
    lambda x, a: jnp.stack([x[1] - 2 * x[0] ** 2 * x[1], 3 * x[0] + (0.4 - x[0] * x[1]) * a[0]])
)


@pytest.mark.smoke
def test_a_polynomial_is_found_again():
    surrogate = sw.fit_surrogate(CUBIC, X, KEY, samples=1_000)
    require_affine(surrogate.model)
    assert surrogate.largest.max() < 1e-5
    x, a = jnp.array([0.4, -1.7]), jnp.array([0.6])
    step = jax.jit(surrogate.model.step)
    np.testing.assert_allclose(
        step(x, a, jnp.zeros(2)), CUBIC(x, a, jnp.zeros(2)), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(step(x, a, jnp.ones(2)) - step(x, a, jnp.zeros(2)), 1, atol=1e-6)
    np.testing.assert_allclose(step(-x, -a, -jnp.ones(2)), -step(x, a, jnp.ones(2)), atol=1e-6)


def test_the_box_covers_what_a_lower_degree_leaves_over():
    surrogate = sw.fit_surrogate(CUBIC, X, KEY, degree=1, samples=4_000)
    np.testing.assert_allclose(surrogate.disturbance_set.upper, 1.5 * surrogate.largest, rtol=1e-6)
    rng = np.random.default_rng(1)
    x, a = rng.uniform(-1, 1, (5_000, 2)) * [0.5, 2.0], rng.uniform(-1, 1, (5_000, 1))
    gap = jax.vmap(lambda x, a: CUBIC(x, a, jnp.zeros(2)) - surrogate.model(x, a, jnp.zeros(2)))(
        x.astype(np.float32), a.astype(np.float32)
    )
    assert jax.vmap(surrogate.disturbance_set.contains)(gap).all()
    assert np.abs(gap).max() > 0.1
    assert str(surrogate).startswith("tested, not proved: off by at most (")


def test_even_terms_go_into_the_box_or_into_the_polynomial():
    step = plant(lambda x, a: jnp.stack([x[0] + 0.1 + a[0], x[1] + x[0] ** 2 + x[1] * a[0]]))
    odd = sw.fit_surrogate(step, X, KEY, samples=1_000, symmetric=True)
    assert odd.symmetric
    assert odd.largest.min() > 0.05
    for choice in (False, None):
        whole = sw.fit_surrogate(step, X, KEY, samples=1_000, symmetric=choice)
        assert not whole.symmetric
        assert whole.largest.max() < 1e-5


def test_disturbances_of_the_simulator_are_added():
    alone = sw.fit_surrogate(CUBIC, X, KEY, samples=500)
    both = sw.fit_surrogate(
        CUBIC, X, KEY, samples=500, disturbance_set=sw.Box([-0.1, 0.0], [0.05, 0.3])
    )
    np.testing.assert_allclose(
        both.disturbance_set.upper - alone.disturbance_set.upper, [0.1, 0.05 + 0.6], rtol=1e-5
    )


def bent(x, a, w):
    """Of a motor of 12 V: not affine in the action, and the wind is stronger at the rim."""
    volts = a[0]
    return jnp.stack(
        [
            x[0] + 0.1 * x[1],
            x[1] + volts / 12 + 0.01 * (volts / 12) ** 2 + (0.1 + 0.05 * x[0] ** 2) * w[0],
        ]
    )


BENT = sw.Model("bent", bent, 2, disturbance_size=1, action_box=sw.Box([-12.0], [12.0]))


def test_any_model_is_followed_with_its_own_disturbances():
    """One that is not affine in the action, by one that is; units and names are its own."""
    W = sw.Box([-0.2], [0.1])
    surrogate = sw.fit_surrogate(BENT, X, KEY, samples=2_000, disturbance_set=W)
    require_affine(surrogate.model)
    np.testing.assert_array_equal(surrogate.model.action_box.upper, [12.0])
    rng = np.random.default_rng(0)
    x = (rng.uniform(-1, 1, (2_000, 2)) * [0.5, 2.0]).astype(np.float32)
    a = rng.uniform(-12, 12, (2_000, 1)).astype(np.float32)
    w = rng.choice([-0.2, 0.1], (2_000, 1)).astype(np.float32)
    still = np.zeros((2_000, 2), np.float32)
    gap = jax.vmap(BENT)(x, a, w) - jax.vmap(surrogate.model)(x, a, still)
    assert jax.vmap(surrogate.disturbance_set.contains)(gap).all()
    # what the wind does, at most 0.2 (0.1 + 0.05 / 4), and what the square of the voltage does
    assert 0.025 < np.abs(gap).max() < surrogate.disturbance_set.upper[1] < 0.06


def test_a_plant_is_taken_for_its_model():
    with_plant = sw.fit_surrogate(arm_plant(), REGION, KEY, degree=1, samples=200)
    with_model = sw.fit_surrogate(arm_plant().model, REGION, KEY, degree=1, samples=200)
    np.testing.assert_array_equal(with_plant.largest, with_model.largest)


def test_polynomials_are_about_the_middle_of_the_set():
    """Symmetry too: a spring about 3, in natural coordinates."""
    spring = plant(lambda x, a: jnp.stack([x[0] + 0.1 * x[1], x[1] - jnp.sin(x[0] - 3.0) + a[0]]))
    states = sw.Box([2.5, -2.0], [3.5, 2.0])
    surrogate = sw.fit_surrogate(spring, states, KEY, samples=1_000)
    assert surrogate.symmetric
    assert surrogate.largest.max() < 1e-3
    away = sw.fit_surrogate(spring, sw.Box([2.0, -2.0], [3.5, 2.0]), KEY, samples=1_000)
    assert not away.symmetric


def test_the_state_where_it_is_worst_is_told():
    """A wall at 0.4, which no polynomial follows."""
    wall = plant(lambda x, a: jnp.stack([jnp.minimum(x[0] + a[0] * 0.05, 0.4), x[1]]))
    surrogate = sw.fit_surrogate(wall, X, KEY, samples=1_000)
    assert surrogate.worst_states.shape == (2, 2)
    assert surrogate.worst_states[0, 0] > 0.3


def test_a_simulator_is_followed():
    """Brax's arm is linear: off by rounding only, and half as much in the box again."""
    surrogate = arm_surrogate()
    assert surrogate.largest.max() < 2e-6
    x, a = REGION.sample(KEY), jnp.array([-0.7])
    np.testing.assert_allclose(
        surrogate.model(x, a, jnp.zeros(2)),
        jax.jit(arm_plant().model.step)(x, a, jnp.zeros(2)),
        rtol=0,
        atol=2e-6,
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(sw.SetDimensionError, match="`states` must have dimension 2"):
        sw.fit_surrogate(CUBIC, sw.Box.symmetric([1.0]), KEY)
    for name, value in (("safety", 0.9), ("degree", 0), ("samples", 0)):
        with pytest.raises(ValueError, match=f"`{name}` is {value}, but it must be .* at least 1"):
            sw.fit_surrogate(CUBIC, X, KEY, **{name: value})
    for other in (CUBIC.step, None, sw.BoundaryProjection()):
        with pytest.raises(TypeError, match="`plant` must be a `Model`, a `BraxPlant`, a `Playgr"):
            sw.fit_surrogate(other, X, KEY)
    for n, message in ((8, "at least 4 for each coef"), (13, "at most 12 states to be sampled")):
        many = sw.Model("many", lambda x, a, w: x, n, 3)
        with pytest.raises(ValueError, match=message):
            sw.fit_surrogate(many, sw.Box.symmetric(np.ones(n)), KEY, samples=500)
    with pytest.raises(sw.ModelError, match="must be finite on `states`"):
        sw.fit_surrogate(plant(lambda x, a: jnp.log(x) + a), X, KEY, samples=100)


def test_a_surrogate_keeps_the_natural_units():
    volts = SimulatorModel(
        "volts",
        lambda x, a, w: CUBIC.step(x, (a - 2.0) / 3.0, w),
        2,
        disturbance_size=2,
        action_box=sw.Box([-1.0], [5.0]),
        state_names=("angle", "speed"),
        disturbance_matrix=CUBIC.disturbance_matrix,
    )
    found = sw.fit_surrogate(volts, X, KEY, samples=1_000)
    assert found.model.state_names == ("angle", "speed")
    assert found.largest.max() < 1e-5
    x, a, w = jnp.array([0.4, -1.7]), jnp.array([3.5]), jnp.zeros(2)
    np.testing.assert_allclose(found.model(x, a, w), volts(x, a, w), atol=1e-5)
    require_affine(found.model)
