"""What holds for every safeguard by name, for several actions and on sets that break solvers; one
action is in test_verified_call.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

import safe_wrappers as sw
from safe_wrappers import SafeActionSet
from safe_wrappers.safeguards import NAMES, make_safeguard
from safe_wrappers.testing import check_safeguard

# The gauge map's compiles longest, and it shares its parts with the ray mask.
MIDDLE = [
    pytest.param(
        name,
        2,
        marks=pytest.mark.slow if name in ("gauge_map", "generator_mask") else pytest.mark.gpu,
    )
    for name in NAMES
]
LARGE = [pytest.param(name, 4, marks=pytest.mark.slow) for name in NAMES]
SMALL = [
    (name, 1) if name == "generator_mask" else pytest.param(name, 1, marks=pytest.mark.slow)
    for name in NAMES
]


@pytest.mark.parametrize(("name", "d"), [*MIDDLE, *SMALL, *LARGE])
def test_the_contract_holds(name, d):
    """Safe in float64, truly flagged, with finite and right derivatives; not even on a needle does
    a map give up.
    """
    findings = check_safeguard(make_safeguard(name), action_sizes=(d,), sets=4000).findings
    assert findings[f"d = {d}: fallbacks where an action is safe"] == 0


@pytest.mark.parametrize("name", ["ray_mask", *slow("gauge_map", "generator_mask")])
def test_derivatives_are_finite_as_a_request_goes_to_zero(name):
    """About a centre at 0, where quotients of gauges underflow."""
    n = 4000
    A, b = (
        np.tile(np.concatenate([np.eye(2), -np.eye(2)]).astype(np.float32), (3, 1)),
        np.full(12, 0.5, np.float32),
    )
    a = (10.0 ** np.linspace(-45, -5, n)).astype(np.float32)[:, None] * np.array(
        [1, -0.3], np.float32
    )

    def act(A, b, a):
        output = make_safeguard(name)(SafeActionSet.from_rows(A, b), a)
        return output.action, output

    @jax.jit
    @jax.vmap
    def derivatives(a):
        forward = jax.jvp(lambda a: act(A, b, a)[0], (a,), (jnp.array([1, 0.5]),))[1]
        _, pullback, output = jax.vjp(act, A, b, a, has_aux=True)
        return output, forward, pullback(jnp.ones(2))

    output, forward, backward = derivatives(a)
    np.testing.assert_allclose(output.action, a, rtol=0, atol=1e-5)
    assert not output.fallback.any()
    for value in (forward, *backward):
        assert np.isfinite(value).all()
    assert (np.asarray(forward) > 0.2).all()  # it still follows the request


@pytest.mark.parametrize("d", [1, 2])
def test_without_rows_every_action_of_the_box_is_safe(d):
    action_set = SafeActionSet.from_rows(jnp.zeros((0, d)), jnp.zeros(0))
    request = jnp.array([1.5, 0.25])[:d]
    safeguards = [*map(make_safeguard, NAMES), sw.RayMask(center="orthogonal")]
    outputs = jax.jit(lambda a: [safeguard(action_set, a) for safeguard in safeguards])(request)
    for safeguard, output in zip(safeguards, outputs, strict=True):
        # The masks scale about the middle of the box; the box of the generator mask is a few
        # percent smaller for d > 1.
        np.testing.assert_allclose(
            output.action,
            np.clip(request, -1, 1),
            atol=0.03 if isinstance(safeguard, sw.GeneratorMask) else 1e-5,
        )
        assert output.feasible
        assert not output.fallback


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_variants_have_the_same_value_and_the_identity_as_derivative(name):
    A, b, requests = jnp.array([[1.0], [-1.0]]), jnp.array([0.5, 0.25]), jnp.array([[0.1], [0.9]])

    def derivative(gradient):
        """The actions, and their derivatives w.r.t. (b, a)."""

        def act(b, a):
            return (
                make_safeguard(name, gradient=gradient)(SafeActionSet.from_rows(A, b), a).action,
            ) * 2

        return jax.vmap(jax.jacrev(act, (0, 1), has_aux=True), (None, 0))(b, requests)

    results = jax.jit(
        lambda: {
            gradient: derivative(gradient)
            for gradient in ("exact", "passthrough", "straight_through")
        }
    )()
    (exact, _), values = results["exact"]
    for gradient in ("passthrough", "straight_through"):
        (db, da), same = results[gradient]
        np.testing.assert_array_equal(same, values)
        np.testing.assert_array_equal(da, np.ones((2, 1, 1)))
        np.testing.assert_allclose(db, exact if gradient == "passthrough" else 0 * exact, atol=1e-7)


VARIANTS = {
    "gauge map": (sw.GaugeMap(), (2, 3)),
    "gauge map, analytic": (sw.GaugeMap(center="analytic"), (2, 3)),
    "gauge map, box": (sw.GaugeMap(center="box"), (2, 3)),
    "generator mask": (sw.GeneratorMask(), (2, 3)),
    "ray mask, box": (sw.RayMask(center="box"), (2, 3)),
    "ray mask, linear": (sw.RayMask(mapping="linear"), (2,)),
    "ray mask, linear, orthogonal": (sw.RayMask(mapping="linear", center="orthogonal"), (2,)),
    "ray mask, orthogonal": (sw.RayMask(center="orthogonal"), (3,)),
    "ray mask, analytic": (sw.RayMask(center="analytic"), (2,)),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "d"), [(name, d) for name, (_, sizes) in VARIANTS.items() for d in sizes]
)
def test_the_contract_holds_for_every_centre(name, d):
    findings = check_safeguard(VARIANTS[name][0], action_sizes=(d,)).findings
    print(
        f"{name}, d = {d}: kinks at {100 * findings[f'd = {d}: share of kinks']:.1f} % of the "
        "requests"
    )
