"""The derivative through the rows that decide: the same as through all rows."""

import jax
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.safeguards import BoundaryProjection, GaugeMap, RayMask, Replacement
from safe_wrappers.safeguards._safe_action import safe_unit_action

PLANTS = {"cart-pole": "safe_cart_pole", "quadrotor": "safe_quadrotor"}
SAFEGUARDS = {
    "projection": BoundaryProjection(),
    "passthrough": BoundaryProjection(gradient="passthrough"),
    "straight-through": BoundaryProjection(gradient="straight_through"),
    "blend": BoundaryProjection(gradient="blend"),
    "inward": BoundaryProjection(gradient="inward"),
    "hyperbolic": RayMask(),
    "linear": RayMask(mapping="linear"),
    "orthogonal": RayMask(center="orthogonal"),
    "analytic": RayMask(center="analytic"),
    "gauge map": GaugeMap(),
    "replacement": Replacement(),
}
LANES = 256


@pytest.fixture(scope="module", params=PLANTS)
def plant(request):
    """A system, states in its safe set up to its boundary, and requests in and out of the box."""
    system = sw.envs.get_environment(PLANTS[request.param]).system
    keys = jax.random.split(jax.random.PRNGKey(0), LANES)
    x = jax.jit(jax.vmap(system.sample_initial))(keys)
    d = system.action_size
    a = jax.random.uniform(jax.random.PRNGKey(1), (LANES, d), minval=-1.2, maxval=1.2)
    return system, x, a


def jacobians(function, x, a):
    """Values and reverse-mode derivatives w.r.t. state and request of (action, distance)."""

    def both(x, a):
        output = function(x, a)
        return output.action, output.distance

    derivatives = jax.jacrev(both, argnums=(0, 1))
    return jax.jit(jax.vmap(lambda x, a: (function(x, a), derivatives(x, a))))(x, a)


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_values_are_bit_for_bit_and_derivatives_those_through_all_rows(plant, name):
    system, x, a = plant
    guard = SAFEGUARDS[name]
    output, derivatives = jacobians(lambda x, a: safe_unit_action(system, guard, x, a), x, a)
    expected, through_all = jacobians(lambda x, a: guard(system.safe_action_set(x), a), x, a)
    for field in ("action", "requested", "intervened", "changed", "feasible", "fallback"):
        np.testing.assert_allclose(
            getattr(output, field), getattr(expected, field), rtol=0, atol=2e-6, err_msg=field
        )
    for ours, theirs in zip(
        jax.tree.leaves(derivatives), jax.tree.leaves(through_all), strict=True
    ):
        scale = 1.0 + np.abs(theirs).max(axis=tuple(range(1, theirs.ndim)))
        error = np.abs(ours - theirs).reshape(LANES, -1).max(axis=1) / scale
        assert np.all(np.isfinite(ours))
        # Where two rows tie up to rounding, one of them is as good as the other.
        assert np.mean(error > 2e-3) <= 0.01, (name, np.sort(error)[-8:])
        assert np.median(error) < 1e-5
