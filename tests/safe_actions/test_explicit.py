import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw

STEP, NOISE, ALLOWANCE = 0.25, 0.1, 1e-5


def corridor(**changes):
    """A point in the box |x_i| <= 1, x' = x + 0.25 a + w, |w_i| <= 0.1, as a person would write
    it.
    """
    eye = jnp.eye(2)
    functions = {
        "action_size": 2,
        "rows": lambda x: (
            STEP * jnp.concatenate([eye, -eye]),
            1 - NOISE - ALLOWANCE - jnp.concatenate([x, -x]),
        ),
        "margin": lambda x: 1 - jnp.max(jnp.abs(x)),
        "sample_initial": lambda key: jax.random.uniform(key, (2,), minval=-0.9, maxval=0.9),
        "state": lambda env_state: env_state,
    }
    return sw.ExplicitSystem(**{**functions, **changes})


def test_it_is_a_system():
    system = corridor()
    assert isinstance(system, sw.System)
    assert system.action_size == 2
    np.testing.assert_array_equal(system.neutral_action, [0, 0])
    np.testing.assert_array_equal(system.state(jnp.ones(2)), [1, 1])


def test_a_state_may_be_a_list_and_must_be_a_vector_of_real_numbers():
    system = corridor(anchor=lambda x: -x)
    of_list, of_array = (system.safe_action_set(x) for x in ([0.5, 0.0], jnp.array([0.5, 0.0])))
    np.testing.assert_array_equal(of_list.b, of_array.b)
    assert system.violation([0.5, 2.0]) == 1
    with pytest.raises(sw.SetDimensionError, match="batch with"):
        system.safe_action_set(np.zeros((3, 2)))
    with pytest.raises(sw.SetDimensionError, match="real numbers"):
        system.violation("inside")


@pytest.mark.parametrize(
    ("safeguard", "anchor"),
    [(sw.BoundaryProjection(), None), (sw.RayMask(), lambda x: -jnp.sign(x))],
    ids=["projection, computed anchor", "ray mask, own anchor"],
)
def test_every_safeguard_keeps_the_margin(safeguard, anchor):
    system, rng = corridor(anchor=anchor), np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2000, 2)).astype(np.float32)
    x[:500, 0] = np.sign(x[:500, 0])  # on a wall, and in the corners
    x[:100, 1] = np.sign(x[:100, 1])
    requests = rng.uniform(-2, 2, (2000, 2)).astype(np.float32)
    requests[::50] = np.nan
    output = jax.jit(jax.vmap(lambda x, a: sw.safe_action(system, safeguard, x, a)))(x, requests)
    action = np.asarray(output.action, np.float64)
    assert np.all(np.abs(action) <= 1)
    assert np.all(np.abs(x + STEP * action) + NOISE < 1)
    assert np.all(output.feasible)
    np.testing.assert_array_equal(output.fallback, np.isnan(requests[:, 0]))


def test_the_computed_anchor_is_the_action_of_largest_margin_and_ones_own_is_taken_as_it_is():
    x = jnp.array([1.0, -0.5])
    action_set = corridor().safe_action_set(x)
    # Against the wall x1 = 1 at full speed: what is left is the best margin of all.
    np.testing.assert_allclose(action_set.anchor[0], -1, atol=1e-5)
    np.testing.assert_array_equal(
        corridor(anchor=lambda x: jnp.array([-0.5, 0.25])).safe_action_set(x).anchor, [-0.5, 0.25]
    )


def test_the_anchor_is_a_constant_and_the_rows_are_not():
    anchored = corridor(anchor=lambda x: -x)
    x = jnp.array([0.3, 0.4])
    np.testing.assert_array_equal(
        jax.jacrev(lambda x: anchored.safe_action_set(x).anchor)(x), np.zeros((2, 2))
    )
    np.testing.assert_array_equal(
        jax.jacrev(lambda x: anchored.safe_action_set(x).b)(x), [[-1, 0], [0, -1], [1, 0], [0, 1]]
    )


def test_a_state_without_a_margin_violates():
    violation = jax.vmap(corridor().violation)(jnp.array([[0.0, 1.0], [0.0, 1.01], [jnp.nan, 0.0]]))
    np.testing.assert_array_equal(violation, [0, 1, 1])
    assert violation.dtype == jnp.float32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"action_size": 3},
            r"`rows` must return shapes \(m, 3\) and \(m,\), but they are \(4, 2\) and \(4,\)",
        ),
        (
            {"rows": lambda x: (jnp.eye(2), jnp.ones((2, 1)))},
            r"`rows` must return .* but they are \(2, 2\) and \(2, 1\)",
        ),
        (
            {"anchor": lambda x: jnp.zeros(1)},
            r"`anchor` must return shape \(2,\), but its shape is \(1,\)",
        ),
    ],
)
def test_wrong_shapes_are_refused(changes, message):
    with pytest.raises(sw.SetDimensionError, match=message):
        corridor(**changes).safe_action_set(jnp.zeros(2))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"action_size": 0}, ValueError, "`action_size` is 0, but it must be an integer"),
        ({"action_size": 2.0}, TypeError, r"`action_size` is 2\.0, but it must be an integer"),
        ({"rows": 5}, TypeError, "`rows` is 5, but it must be a function"),
        ({"margin": None}, TypeError, "`margin` is None, but it must be a function"),
        ({"anchor": np.zeros(2)}, TypeError, r"`anchor` is array\(.*, but it must be a function"),
    ],
)
def test_parts_of_another_kind_are_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        corridor(**changes)
