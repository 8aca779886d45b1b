"""What holds for every safeguard by name, for several actions and on sets that break solvers; one action is in test_verified_call."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers import SafeActionSet
from safe_wrappers.safeguards import NAMES, make_safeguard
from safe_wrappers.testing._action_sets import harsh_sets, random_sets, violations

ROWS = {2: 12, 4: 16}


def sets(d, count):
    """Random and harsh sets by halves, with requests inside the box, on its faces, in its corners, at 0 and near it; whether a set is random."""
    rng = np.random.default_rng(d)
    halves = random_sets(rng, count // 2, d, ROWS[d])[:3], harsh_sets(rng, count // 2, d, ROWS[d])[:3]
    A, b, a = (np.concatenate(pair) for pair in zip(*halves, strict=True))
    kind = np.arange(count) % 8
    a = np.where((kind == 1)[:, None], np.clip(3 * a, -1, 1), np.where((kind == 2)[:, None], np.sign(a), a))
    a[kind == 3] = 0
    a[kind == 4] *= 10.0 ** rng.uniform(-40, -5, (np.sum(kind == 4), 1))
    A, b, a = (value.astype(np.float32) for value in (A, b, a))
    return A, b, a, np.arange(count) < count // 2


@functools.cache
def derivatives(name, d):
    """Compiled: (A, b, a, tangents, cotangent) -> the output, J t in forward mode, and J' g in reverse mode, one set per lane."""

    def action(A, b, a):
        output = make_safeguard(name)(SafeActionSet.from_rows(A, b), a)
        return output.action, output

    def both(A, b, a, tangents, cotangent):
        output, forward = jax.jvp(lambda *args: action(*args)[0], (A, b, a), tangents)
        _, pullback, output = jax.vjp(action, A, b, a, has_aux=True)
        return output, forward, pullback(cotangent)

    return jax.jit(jax.vmap(both))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_executed_action_is_safe_and_nothing_is_nan(name, d):
    A, b, a, random = sets(d, 4000)
    rng = np.random.default_rng(0)
    tangents, cotangent = tuple(rng.normal(size=value.shape).astype(np.float32) for value in (A, b, a)), rng.normal(size=a.shape).astype(np.float32)
    output, forward, backward = jax.device_get(derivatives(name, d)(A, b, a, tangents, cotangent))
    assert violations(A, b, output.action)[output.feasible].max() <= 0
    assert (np.abs(output.action) <= 1).all()
    assert output.feasible[random].all()
    assert not output.fallback[output.feasible].any()  # not even on a needle does a map give up
    for value in (forward, *backward):
        assert np.isfinite(value).all()
    products = [np.einsum("nd,nd->n", cotangent, forward, dtype=np.float64)]
    products.append(sum((g.astype(np.float64) * t).reshape(len(a), -1).sum(axis=1) for g, t in zip(backward, tangents, strict=True)))
    # In float32 the derivative of a centre is worth its condition number, so needles are compared for being finite alone.
    np.testing.assert_allclose(products[0][random], products[1][random], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["ray_mask", "gauge_map", "generator_mask"])
def test_derivatives_are_finite_as_a_request_goes_to_zero(name):
    """About a centre at 0, where quotients of gauges underflow."""
    n, m = 4000, ROWS[2]  # the shapes that are compiled already: each row three times
    A, b = np.tile(np.concatenate([np.eye(2), -np.eye(2)]).astype(np.float32), (n, 3, 1)), np.full((n, m), 0.5, np.float32)
    a = (10.0 ** np.linspace(-45, -5, n)).astype(np.float32)[:, None] * np.array([1, -0.3], np.float32)
    tangents = np.zeros_like(A), np.zeros_like(b), np.tile(np.array([1, 0.5], np.float32), (n, 1))
    output, forward, backward = derivatives(name, 2)(A, b, a, tangents, np.ones((n, 2), np.float32))
    np.testing.assert_allclose(output.action, a, rtol=0, atol=1e-5)
    assert not output.fallback.any()
    for value in (forward, *backward):
        assert np.isfinite(value).all()
    assert (np.asarray(forward) > 0.2).all()  # it still follows the request


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_variants_have_the_same_value_and_the_identity_as_derivative(name):
    A, b, requests = jnp.array([[1.0], [-1.0]]), jnp.array([0.5, 0.25]), jnp.array([[0.1], [0.9]])

    def derivative(gradient):
        """The actions, and their derivatives w.r.t. (b, a)."""

        def act(b, a):
            return (make_safeguard(name, gradient=gradient)(SafeActionSet.from_rows(A, b), a).action,) * 2

        return jax.vmap(jax.jacrev(act, (0, 1), has_aux=True), (None, 0))(b, requests)

    results = jax.jit(lambda: {gradient: derivative(gradient) for gradient in ("exact", "passthrough", "straight_through")})()
    (exact, _), values = results["exact"]
    for gradient in ("passthrough", "straight_through"):
        (db, da), same = results[gradient]
        np.testing.assert_array_equal(same, values)
        np.testing.assert_array_equal(da, np.ones((2, 1, 1)))
        np.testing.assert_allclose(db, exact if gradient == "passthrough" else 0 * exact, atol=1e-7)


VARIANTS = {
    "gauge map": sw.GaugeMap(),
    "gauge map, analytic": sw.GaugeMap(center="analytic"),
    "gauge map, box": sw.GaugeMap(center="box"),
    "generator mask": sw.GeneratorMask(),
    "ray mask, box": sw.RayMask(center="box"),
}
SLOW = [pytest.param(name, 3, marks=pytest.mark.slow) for name in VARIANTS] + [
    pytest.param(name, 2, marks=pytest.mark.slow) for name in ("gauge map, analytic", "gauge map, box", "ray mask, box")
]


@pytest.mark.parametrize(("name", "d"), [("gauge map", 2), ("generator mask", 2), ("gauge map", 1), ("generator mask", 1), *SLOW])
def test_derivatives_match_finite_differences(name, d):
    """In float64, w.r.t. the action and w.r.t. the rows; where one-sided differences disagree there is a kink, at most at 2 % of the points."""
    with jax.enable_x64():
        rng = np.random.default_rng(3)
        A, b, a, _ = random_sets(rng, 300, d, 8)
        a *= 0.99
        run = jax.jit(jax.vmap(lambda A, b, a: VARIANTS[name](SafeActionSet.from_rows(A, b), a).action))
        tangent = jax.jit(lambda primals, tangents: jax.jvp(run, primals, tangents))
        directions = [rng.normal(size=value.shape) for value in (A, b, a)]
        step = 1e-6
        for moves in ([0, 0, 1], [1, 1, 0]):
            dots = tuple(move * direction for move, direction in zip(moves, directions, strict=True))
            middle, exact = (np.asarray(value) for value in tangent((A, b, a), dots))
            plus, minus = (np.asarray(run(A + s * dots[0], b + s * dots[1], a + s * dots[2])) for s in (step, -step))
            central = (plus - minus) / (2 * step)
            scale = 1 + np.abs(central).max(axis=1)
            smooth = np.abs((plus + minus - 2 * middle) / step).max(axis=1) < 1e-3 * scale
            print(f"{name}, d = {d}, {'action' if moves[2] else 'rows'}: {np.sum(~smooth)} of {len(a)} points are kinks")
            assert smooth.mean() >= 0.98
            assert (np.abs(exact - central).max(axis=1) / scale)[smooth].max() < 1e-6
