import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import PENDULUM_SETS, facets, keys, recorded, requests
from jax.test_util import check_grads
from params import slow

from safe_wrappers import BoundaryProjection, SafeActionSet, Zonotope
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.envs import SafePendulum
from safe_wrappers.safeguards import Safeguard

GRADIENTS = ("exact", "passthrough", "straight_through", "blend")
A, B = np.array([[2.0], [-4.0], [1.0]]), np.array([1.0, 1.0, 3.0])  # the interval [-0.25, 0.5]
TAU64 = 16 * np.finfo(np.float64).eps


@frozen_pytree
class AlwaysAnchor(Safeguard):
    """Safe, and useless."""

    def project(self, rows, request, accepted, anchor):
        return anchor


def oracle(H, x, request, eps=0.0):
    """The nearest action to `request` in the box with H f(x, a, w) <= 1 - eps for all |w| <= 0.1,
    in float64, from the pendulum's own equations.
    """
    x, request = np.asarray(x, np.float64), np.asarray(request, np.float64)
    speed = x[:, 1] + 0.05 * 14.715 * np.sin(x[:, 0])
    c = np.stack([x[:, 0] + 0.05 * speed, speed], axis=1)
    push = np.array([0.05**2, 0.05])
    slope = 90.0 * (H @ push)
    end = (1 - eps - c @ H.T - float(np.float32(0.1)) * np.abs(H @ push)) / np.where(
        slope == 0, 1, slope
    )
    upper = np.where(slope > 0, end, np.inf).min(axis=1)
    lower = np.where(slope < 0, end, -np.inf).max(axis=1)
    return (
        np.clip(np.clip(request, -1, 1), np.maximum(lower, -1), np.minimum(upper, 1)),
        lower,
        upper,
    )


def executed(safeguard, system, x, request):
    call = jax.jit(jax.vmap(lambda x, a: safeguard(system.safe_action_set(x), a)))
    return jax.tree.map(np.asarray, call(x, request[:, None]))


def differences(safeguard, safe_set):
    """|executed - oracle| and |executed - safe request| (0 where the request is unsafe) on 10,000
    visited states, and how many were unsafe.
    """
    env = SafePendulum(safe_set=safe_set)
    x = recorded(safe_set)(keys(1), requests("random", 1))[0][:-1].reshape(-1, 2)
    rng = np.random.default_rng(0)
    x = rng.permutation(x)[:10_000]
    request = rng.uniform(-1.1, 1.1, len(x)).astype(np.float32)
    output = executed(safeguard, env.system, x, request)
    nearest, lower, upper = oracle(facets(env), x, request)
    safe = (np.abs(request) <= 1) & (request > lower + 1e-4) & (request < upper - 1e-4)
    return (
        np.abs(output.action[:, 0] - nearest),
        np.where(safe, np.abs(output.action[:, 0] - request), 0),
        np.mean(~safe),
    )


@pytest.mark.gpu
@pytest.mark.parametrize("safe_set", PENDULUM_SETS)
def test_the_executed_action_is_the_nearest_safe_one(safe_set):
    to_oracle, to_request, unsafe = differences(BoundaryProjection(), safe_set)
    assert 0.1 < unsafe < 0.9  # both kinds are tested
    assert to_oracle.max() <= 1e-4
    assert to_request.max() == 0


def test_a_safeguard_that_always_executes_the_anchor_is_not_minimal():
    to_oracle, to_request, _ = differences(AlwaysAnchor(), "narrow")
    assert to_oracle.max() > 0.5
    assert np.mean(to_request > 1e-4) > 0.3


@functools.cache
def projection(gradient="exact"):
    safeguard = BoundaryProjection(gradient=gradient)
    return jax.jit(lambda A, b, a: safeguard(SafeActionSet.from_rows(A, b), a).action)


@functools.cache
def jacobians(gradient="exact"):
    """Of the action w.r.t. (A, b, a), in forward and reverse mode."""
    return [jax.jit(mode(projection(gradient), (0, 1, 2))) for mode in (jax.jacfwd, jax.jacrev)]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("request_", "row"), [(0.1, None), (0.5 - 1e-9, None), (0.9, 0), (3.0, 0), (-0.9, 1)]
)
def test_the_exact_derivative_is_that_of_the_projection(request_, row):
    """Inside: the identity.

    On the boundary: 0 w.r.t. a, 1 / A_i w.r.t. b_i, -b_i / A_i^2 w.r.t. A_i of the active row i
    only.
    """
    with jax.enable_x64():
        arguments = jnp.asarray(A), jnp.asarray(B), jnp.array([request_])
        expected = np.zeros((3, 1)), np.zeros(3), np.array([1.0])
        if row is not None:
            expected[0][row], expected[1][row], expected[2][:] = (
                -B[row] / A[row] ** 2,
                1 / A[row, 0],
                0,
            )
        for mode in jacobians():
            for found, wanted in zip(mode(*arguments), expected, strict=True):
                np.testing.assert_allclose(
                    found[0], wanted.reshape(found[0].shape), rtol=1e-12, atol=1e-12
                )


@pytest.mark.parametrize("request_", [0.1, 0.9, -0.9, -0.2])
def test_the_exact_derivative_agrees_with_finite_differences(request_):
    with jax.enable_x64():
        check_grads(
            projection(),
            (jnp.asarray(A), jnp.asarray(B), jnp.array([request_])),
            order=1,
            modes=("fwd", "rev"),
            atol=1e-6,
            rtol=1e-6,
            eps=1e-6,
        )


@pytest.mark.parametrize("request_", [0.1, 0.9, -0.9])
@pytest.mark.parametrize("gradient", ["passthrough", "straight_through"])
def test_the_gradient_variants(gradient, request_):
    """The forward value is the same, d a_s / d a = 1, and d a_s / d (A, b) is that of the
    projection or dropped.
    """
    with jax.enable_x64():
        arguments = jnp.asarray(A), jnp.asarray(B), jnp.array([request_])
        assert projection(gradient)(*arguments) == projection()(*arguments)
        exact = jacobians()[1](*arguments)
        for mode in jacobians(gradient):
            dA, db, da = mode(*arguments)
            np.testing.assert_array_equal(da, [[1.0]])
            kept = 1 if gradient == "passthrough" else 0
            np.testing.assert_allclose(dA, kept * exact[0], rtol=1e-12)
            np.testing.assert_allclose(db, kept * exact[1], rtol=1e-12)


KINKS = {
    "interior": (A, B, 0.1),
    "on a face": (A, B, 0.5),
    "on the tightened face": (A, B, 0.5 - 16 * np.finfo(np.float32).eps),
    "oversized": (A, B, 1e30),
    "on the box": (A, 9 * B, 1.0),
    "NaN": (A, B, np.nan),
    "infinite": (A, B, -np.inf),
    "an interval of one point": ([[1.0], [-1.0]], [0.25, -0.25], 0.9),
    "empty": ([[1.0], [-1.0]], [-0.5, -0.5], 0.1),
    "empty, at the anchor": ([[1.0], [-1.0]], [-0.5, -0.5], 0.0),
    "zero rows": ([[0.0], [0.0]], [1.0, -1.0], 0.1),
    "equal rows": ([[1.0], [1.0]], [0.5, 0.5], 0.9),
    "a row that is not a number": ([[1.0], [-1.0]], [np.nan, 1.0], 0.9),
    "no bound": ([[1.0], [-1.0]], [np.inf, np.inf], 0.9),
}


@functools.cache
def output_jacobians(gradient):
    """Of action, distance and sanitised request w.r.t. (A, b, a), in forward and reverse mode."""

    def outputs(A, b, a):
        output = BoundaryProjection(gradient=gradient)(SafeActionSet.from_rows(A, b), a)
        return output.action, output.distance, output.requested

    return jax.jit(
        lambda *arguments: [
            mode(outputs, (0, 1, 2))(*arguments) for mode in (jax.jacfwd, jax.jacrev)
        ]
    )


@pytest.mark.parametrize("kink", KINKS)
def test_derivatives_are_finite_at_every_kink(kink):
    rows, offsets, request = KINKS[kink]
    rows, offsets = (
        np.resize(np.array(rows, np.float32), (3, 1)),
        np.resize(np.array(offsets, np.float32), 3),
    )
    for gradient in GRADIENTS:
        forward, reverse = output_jacobians(gradient)(
            rows, offsets, np.array([request], np.float32)
        )
        for one, other in zip(jax.tree.leaves(forward), jax.tree.leaves(reverse), strict=True):
            assert np.isfinite(one).all(), gradient
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_rounding_repair_does_not_cut_the_derivative():
    """On a needle the projection is pulled back by a rounding-size step: the derivative stays that
    of the projection.
    """
    tau = 16 * np.finfo(np.float32).eps
    b = np.array([0.5, -0.5 + 1.6 * tau], np.float32)
    derivative = jacobians()[1](
        np.array([[1.0], [-1.0]], np.float32), b, np.array([0.9], np.float32)
    )[1]
    np.testing.assert_allclose(np.abs(derivative).sum(), 1.0)


@pytest.mark.parametrize(("d", "generators"), [(2, 4), *slow((3, 5))])
def test_the_exact_derivative_is_that_of_the_theorem_for_zonotopes(d, generators):
    """Theorem 1 of Walter et al. 2025: G_I (G_I' G_I)^+ G_I' with the generators I that are
    orthogonal to a - a_s.
    """
    rng = np.random.default_rng(0)
    G = rng.uniform(-1, 1, (d, generators))
    G *= 0.7 / np.abs(G).sum(axis=1, keepdims=True)  # inside the action box
    H, h = Zonotope(np.zeros(d), G).halfspaces()
    with jax.enable_x64():
        rows, requests = (
            (jnp.asarray(H, float), jnp.asarray(h, float)),
            rng.uniform(-1, 1, (300, d)),
        )
        call = lambda a: BoundaryProjection()(SafeActionSet.from_rows(*rows), a).action  # noqa: E731
        safe, jacobian = (
            np.asarray(jax.jit(jax.vmap(f))(requests)) for f in (call, jax.jacfwd(call))
        )
    ranks = np.zeros(d, int)
    for a, a_s, J in zip(requests, safe, jacobian, strict=True):
        if np.any(a != a_s):
            along = np.abs((a - a_s) @ G) < 1e-6 * np.linalg.norm(a - a_s) * np.linalg.norm(
                G, axis=0
            )
            span = G[:, along]
            np.testing.assert_allclose(J, span @ np.linalg.pinv(span.T @ span) @ span.T, atol=1e-5)
            ranks[along.sum()] += 1
    assert ranks.min() > 20  # vertices, edges and, for d = 3, facets
