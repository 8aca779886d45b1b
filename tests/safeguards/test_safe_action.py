import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, states_in, worst_margins

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum
from safe_wrappers.safeguards import NAMES, make_safeguard

ENV = SafePendulum(safe_set="narrow")
SAFE_ACTION = jax.jit(
    jax.vmap(lambda x, action: sw.safe_action(ENV.system, sw.BoundaryProjection(), x, action))
)


@pytest.mark.parametrize("name", NAMES)
def test_any_action_at_any_state_of_the_set_is_made_safe(name):
    x = states_in(ENV, 3000)
    safe_action = jax.jit(
        jax.vmap(lambda x, action: sw.safe_action(ENV.system, make_safeguard(name), x, action))
    )
    for request in (0.3, -0.0, 1e-40, 5.0, -1e30, np.inf, np.nan):
        output = safe_action(x, np.full((len(x), 1), request, np.float32))
        assert np.all(np.abs(output.action) <= 1)
        assert worst_margins(facets(ENV), x, np.asarray(output.action)[:, 0]).min() > 0
        assert np.all(output.feasible)
        assert np.all(output.fallback == (not np.isfinite(request)))


def test_outside_the_set_the_least_violating_action_is_executed_and_flagged():
    x = np.array([[0.6, 4.0], [-3.0, -9.0], [1e6, 1e6]], np.float32)
    output = SAFE_ACTION(x, np.full((3, 1), 0.9, np.float32))
    assert not np.any(output.feasible)
    assert np.all(output.fallback)
    assert np.all(output.intervened)
    grid = np.linspace(-1, 1, 201)
    best = np.max([worst_margins(facets(ENV), x, a) for a in grid], axis=0)
    found = worst_margins(facets(ENV), x, np.asarray(output.action)[:, 0])
    # The anchor is nearest to the rows in the action's units, which weighs the facets by their
    # gain: not the best margin, but a comparable one.
    assert np.all(found >= 2 * best)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_at_an_unknown_state_the_neutral_action_is_executed_and_flagged(bad):
    output = SAFE_ACTION(
        np.array([[bad, 0.0], [0.0, bad]], np.float32), np.full((2, 1), 0.3, np.float32)
    )
    np.testing.assert_array_equal(output.action, 0)
    np.testing.assert_allclose(output.distance, 0.3)
    assert not np.any(output.feasible)
    for flag in (output.fallback, output.intervened, output.changed):
        assert np.all(flag)


def test_a_state_that_overflows_is_infeasible_and_its_derivatives_are_finite():
    function = lambda x, a: sw.safe_action(ENV.system, sw.BoundaryProjection(), x, a).action  # noqa: E731
    for x in ([3e38, 3e38], [1e30, -1e30]):
        arguments = jnp.array(x), jnp.array([0.5])
        assert np.abs(function(*arguments)[0]) <= 1
        for leaf in jax.tree.leaves(jax.jit(jax.jacrev(function, (0, 1)))(*arguments)):
            assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((), "give one value per actuator"),
        ((2,), "give one value per actuator"),
        ((4, 1), "batch with jax.vmap"),
    ],
)
def test_actions_of_another_shape_are_refused_at_trace_time(shape, hint):
    with pytest.raises(sw.SetDimensionError, match=rf"must have shape \(1,\).*{hint}"):
        jax.eval_shape(
            lambda a: sw.safe_action(ENV.system, sw.BoundaryProjection(), jnp.zeros(2), a),
            jax.ShapeDtypeStruct(shape, jnp.float32),
        )


def test_plain_lists_will_do():
    output = sw.safe_action(ENV.system, sw.BoundaryProjection(), [0, 0], [0.25])
    np.testing.assert_array_equal(output.action, [0.25])
    assert output.action.dtype == jnp.float32


def test_float64_states_are_computed_in_float64():
    with jax.enable_x64():
        output = jax.eval_shape(
            lambda x: sw.safe_action(
                ENV.system, sw.BoundaryProjection(), x, jnp.ones(1, jnp.float32)
            ),
            jax.ShapeDtypeStruct((2,), jnp.float64),
        )
        assert output.action.dtype == output.distance.dtype == jnp.float64
