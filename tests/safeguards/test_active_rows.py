"""The derivative through the rows that decide: the same as through all rows."""

import functools

import jax
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.safeguards import BoundaryProjection, GaugeMap, RayMask, Replacement
from safe_wrappers.safeguards._safe_action import safe_unit_action

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
# Two actions take 20 s each to compile; the others stand for these.
QUICK = ("projection", "replacement")
CASES = [
    pytest.param("safe_quadrotor", name, marks=() if name in QUICK else pytest.mark.slow)
    for name in SAFEGUARDS
    if name not in ("passthrough", "linear")
]
CASES += [("safe_cart_pole", name) for name in ("passthrough", "linear", "gauge map")]


@functools.cache
def plant(name):
    """A system, states in its safe set up to its boundary, and requests in and out of the box."""
    system = sw.envs.get_environment(name).system
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


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_values_and_derivatives_are_those_through_all_rows(kind, name):
    system, x, a = plant(kind)
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


@pytest.mark.parametrize("name", ["projection", "hyperbolic", "orthogonal"])
def test_the_backward_pass_keeps_less_than_the_rows(name):
    system, x, a = plant("safe_quadrotor")
    guard = SAFEGUARDS[name]

    def kept(function):
        pullback = jax.eval_shape(
            lambda x, a: jax.vjp(lambda x, a: function(x, a).action, x, a)[1], x[0], a[0]
        )
        return sum(np.size(leaf) for leaf in jax.tree.leaves(pullback))

    through_few = kept(lambda x, a: safe_unit_action(system, guard, x, a))
    through_all = kept(lambda x, a: guard(system.safe_action_set(x), a))
    assert through_few < through_all / 3, (through_few, through_all)


@pytest.mark.slow
def test_a_subclass_with_another_map_or_other_rows_is_differentiated_as_it_is():
    class Halved(BoundaryProjection):
        def project(self, rows, request, accepted, anchor):
            return (super().project(rows, request, accepted, anchor) + anchor) / 2

    class Tighter(sw.ModelSystem):
        def safe_action_set(self, x):
            found = super().safe_action_set(x)
            return sw.SafeActionSet(found.A[::-1], found.b[::-1] - 0.01, found.anchor)

    system, x, a = plant("safe_quadrotor")
    tighter = Tighter(system.certificate, state=system.state)
    assert tighter.facets == 0
    for other, guard in ((system, Halved()), (tighter, BoundaryProjection())):
        output, derivatives = jacobians(lambda x, a: safe_unit_action(other, guard, x, a), x, a)  # noqa: B023
        expected, through_all = jacobians(lambda x, a: guard(other.safe_action_set(x), a), x, a)  # noqa: B023
        np.testing.assert_allclose(output.action, expected.action, rtol=0, atol=2e-6)
        for ours, theirs in zip(
            jax.tree.leaves(derivatives), jax.tree.leaves(through_all), strict=True
        ):
            assert np.mean(np.abs(ours - theirs) > 1e-3 * (1 + np.abs(theirs))) <= 0.01


class Stubborn(BoundaryProjection):
    """A map whose search returns the request itself, or NaN for requests to the right."""

    def search(self, rows, request, accepted, anchor):
        _, support = super().search(rows, request, accepted, anchor)
        return jax.numpy.where(request[0] > 0.5, jax.numpy.nan, request), support


def test_where_the_map_or_the_request_fails_it_is_the_pull_back_or_the_anchor():
    """The anchor is computed late, for these alone: the result is that of the whole call."""
    system, x, a = plant("safe_quadrotor")
    a = a.at[::7, 0].set(np.nan).at[::11, 1].set(np.inf)
    act = jax.jit(jax.vmap(lambda x, a: safe_unit_action(system, Stubborn(), x, a)))(x, a)
    sets = jax.jit(jax.vmap(system.safe_action_set))(x)
    finite = np.isfinite(a).all(axis=1)

    rows = np.einsum("bmd,bd->bm", np.float64(sets.A), np.float64(act.action))
    assert np.all(rows <= sets.b)
    assert np.all(np.abs(act.action) <= 1.0)
    assert np.all(act.feasible)
    lost = ~finite | (np.clip(a[:, 0], -1, 1) > 0.5)
    np.testing.assert_array_equal(act.fallback, lost)
    np.testing.assert_allclose(act.action[lost], sets.anchor[lost], atol=1e-6)
    np.testing.assert_allclose(act.requested[~finite], sets.anchor[~finite], atol=1e-6)
    moved = np.asarray(~act.fallback & act.intervened)
    assert moved.sum() > 5
    # As far as the ratio test lets the request go.
    assert np.all((sets.b - rows).min(axis=1)[moved & (np.abs(a) <= 1).all(axis=1)] < 1e-5)
    gradients = jax.jit(
        jax.vmap(jax.jacrev(lambda x, a: safe_unit_action(system, Stubborn(), x, a).action, (0, 1)))
    )(x, a)
    assert all(np.isfinite(leaf).all() for leaf in gradients)


def test_facets_by_number_are_the_same_rows_of_constants_and_of_a_traced_index():
    system, x, _ = plant("safe_quadrotor")
    chosen = np.array([3, 0, 19, 19])
    A, b = system.facet_rows(x[0])
    for facets in (chosen, jax.numpy.asarray(chosen)):
        found = system.facet_rows(x[0], facets)
        np.testing.assert_allclose(found[0], A[chosen], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(found[1], b[chosen], rtol=1e-6, atol=1e-7)
