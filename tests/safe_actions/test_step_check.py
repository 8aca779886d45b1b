import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integrators import MODEL, PUSH, PUSHES, system

import safe_wrappers as sw
from safe_wrappers.models import enclosed
from safe_wrappers.safe_actions import StepCheck

CART = sw.envs.SafeCartPole().system
WIDE = StepCheck.of(CART)
explain = jax.jit(WIDE.explain)
x_of = jax.jit(CART.sample_initial)


def cart_pole(key, w):
    """A state and an action, and the next state under w in float64."""
    x = np.asarray(x_of(jax.random.PRNGKey(key)))
    action = np.random.default_rng(key).uniform(-1, 1, 1).astype(np.float32)
    with jax.enable_x64():
        after = np.asarray(
            CART.model(
                jnp.asarray(x, jnp.float64), jnp.asarray(action, jnp.float64), jnp.asarray(w)
            )
        )
    return x, action, after


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1, 1), st.floats(-1, 1))
def test_every_disturbance_in_w_is_recognised(key, first, second):
    w = np.array([0.1, 0.005]) * [first, second]
    x, action, after = cart_pole(key, w)
    found = explain(x, action, after.astype(np.float32))
    assert found.modelled
    np.testing.assert_allclose(found.disturbance, w, atol=2e-4)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from([0, 1]), st.sampled_from([-1, 1]), st.floats(1.1, 100)
)
def test_every_disturbance_beyond_w_is_noticed(key, component, sign, factor):
    w = np.zeros(2)
    w[component] = sign * factor * (0.1, 0.005)[component]
    x, action, after = cart_pole(key, w)
    found = explain(x, action, after.astype(np.float32))
    assert not found.modelled
    assert found.least_excess <= 1


def test_a_covered_step_ends_in_the_safe_set():
    """The claim that conformance is checked against is the one that invariance needs: r in R and w
    in W cost at most eps.
    """
    rng = np.random.default_rng(0)
    vertices = np.array([[-0.1, -0.005], [-0.1, 0.005], [0.1, -0.005], [0.1, 0.005]])
    for key in range(20):
        x = np.asarray(x_of(jax.random.PRNGKey(key)))
        safe = CART.safe_action_set(jnp.asarray(x))
        c, B, E = (np.asarray(value, np.float64) for value in CART.model.affine(jnp.asarray(x)))
        base = c + B @ np.asarray(safe.anchor, np.float64)
        # The farthest remainder in some direction that is still allowed for.
        direction = rng.standard_normal(4)
        rest = direction / np.max(WIDE.facets @ direction / WIDE.allowance)
        for w in vertices:
            assert np.max(WIDE.facets @ (base + E @ w + rest)) <= 1


def test_what_no_disturbance_reaches_is_unexplained():
    claim = StepCheck.of(system())
    x, action = jnp.array([0.2, 0.4]), jnp.array([0.6])
    found = claim.explain(x, action, jnp.array([0.55, 0.25]))
    np.testing.assert_allclose(found.disturbance, [0.05], atol=1e-6)
    np.testing.assert_allclose(found.unexplained, [0, 0.05], atol=1e-6)
    np.testing.assert_allclose([found.excess, found.least_excess], 0.05 / 2e-5, rtol=1e-4)


def test_a_disturbance_that_was_drawn_must_explain_the_step_by_itself():
    """The same step is covered if all of W may explain it, and not if the simulator says what it
    drew.
    """
    claim = StepCheck.of(system())
    step = (jnp.array([0.25, 0.5]), jnp.array([0.5]), jnp.array([0.5625, 0.25]))  # w = 0.0625
    assert claim.explain(*step).modelled
    drawn = claim.explain(*step, jnp.array([0.0625]))
    assert drawn.modelled
    np.testing.assert_allclose(drawn.disturbance, [0.0], atol=1e-6)  # nothing is left over
    other = claim.explain(*step, jnp.array([0.0]))
    assert not other.modelled
    np.testing.assert_allclose(other.disturbance, [0.0625])
    # A drawn disturbance outside W is not one that the claim knows.
    beyond = (step[0], step[1], jnp.array([0.75, 0.25]))
    assert not claim.explain(*beyond, jnp.array([0.25])).modelled


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "action", "next_x"])
def test_what_is_not_finite_is_not_modelled(bad, where):
    arguments = {"x": jnp.zeros(2), "action": jnp.zeros(1), "next_x": jnp.zeros(2)}
    arguments[where] = arguments[where].at[0].set(bad)
    assert not StepCheck.of(system()).explain(**arguments).modelled


def test_an_exact_model_is_exact_where_disturbances_reach_every_state():
    model = sw.Model(
        "free", lambda x, a, w: x + a + w, state_size=2, action_size=2, disturbance_size=2
    )
    claim = StepCheck.per_state(model, sw.Box.symmetric([0.5, 0.5]), 1e-6)
    found = claim.explain(jnp.zeros(2), jnp.array([0.25, 0.0]), jnp.array([0.5, -0.125]))
    np.testing.assert_allclose(found.disturbance, [0.25, -0.125], rtol=3e-7)
    np.testing.assert_allclose(found.unexplained, [0, 0], atol=1e-7)


def test_a_zonotope_with_a_centre_makes_the_same_claim_as_its_facets():
    S = sw.Zonotope(np.array([0.5, 0.0]), np.eye(2))
    shifted = sw.ZonotopeSystem(
        MODEL,
        safe_state_set=S,
        constraint_set=sw.Box.symmetric([2.0, 2.0]),
        disturbance_set=PUSHES,
        state=lambda state: state,
    )
    claim = StepCheck.of(shifted)
    np.testing.assert_allclose(np.abs(claim.facets).sum(axis=0), [2, 2])
    np.testing.assert_allclose(claim.allowance, 2e-5)


def test_systems_that_claim_nothing_comparable_are_refused():
    with pytest.raises(sw.CertificateError, match="`ExplicitSystem` does not have them"):
        StepCheck.of(sw.envs.SafeSeeker().system)
    with pytest.raises(sw.CertificateError, match="`eps` is not positive"):
        StepCheck.of(system(eps=0.0))
    with pytest.raises(
        sw.SetDimensionError,
        match=r"`allowance` has shape \(3,\), but it must be one number or have shape \(2,\)",
    ):
        StepCheck.per_state(MODEL, PUSHES, np.ones(3))
    with pytest.raises(sw.CertificateError, match="rounding needs some room"):
        StepCheck.per_state(MODEL, PUSHES, np.array([1e-6, 0.0]))


@pytest.mark.parametrize(
    "remainder",
    [np.array([0.0, 0.02]), lambda x: jnp.array([0.0, 0.02])],
    ids=["array", "function"],
)
def test_a_remainder_explains_what_is_not_affine_and_no_more(remainder):
    """x2' gains 0.02 a^2, which no disturbance in W does."""
    bent = dataclasses.replace(
        MODEL, step=lambda x, a, w: MODEL.step(x, a, w) + jnp.array([0.0, 0.02]) * a**2
    )
    model = enclosed(bent, remainder)
    claim = StepCheck.of(system(model.disturbances(PUSHES), model))
    x, action, push = jnp.array([0.1, -0.2]), jnp.ones(1), jnp.full(1, PUSH)
    after = bent(x, action, push)
    assert claim.explain(x, action, after).modelled
    assert not dataclasses.replace(claim, remainder=None).explain(x, action, after).modelled
    assert not claim.explain(x, action, after + jnp.array([0.0, 0.02])).modelled
