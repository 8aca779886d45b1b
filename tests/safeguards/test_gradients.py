"""Derivative rules beside the true derivative: blend and inward. Values must not depend on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow
from scipy.optimize import nnls

from safe_wrappers import (
    Blend,
    BoundaryProjection,
    Exact,
    GaugeMap,
    Inward,
    Passthrough,
    RayMask,
    StraightThrough,
)
from safe_wrappers.safe_actions import SafeActionSet


def random_sets(d, count, seed=0, m=6):
    """Rows around the origin and requests far out, so that most are projected, many onto several
    rows; float64.
    """
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(count, m, d))
    b = rng.uniform(0.1, 0.6, size=(count, m)) * np.linalg.norm(A, axis=-1)
    return A, b, rng.uniform(-1.0, 1.0, size=(count, d))


def call(safeguard):
    return lambda A, b, a: safeguard(SafeActionSet.from_rows(A, b), a).action


@pytest.mark.parametrize(
    ("safeguard", "d"),
    [
        (BoundaryProjection, 1),
        *slow((RayMask, 1), (BoundaryProjection, 2), (RayMask, 2)),
    ],
)
def test_blend_is_between_the_identity_and_the_true_derivative(safeguard, d):
    with jax.enable_x64():
        problems = random_sets(d, 64)

        def derivatives(rule):
            return jax.jit(jax.vmap(jax.jacrev(call(safeguard(rule)), (0, 1, 2))))(*problems)

        exact, blended = derivatives(Exact()), derivatives(Blend(0.3))
        forward = jax.jit(jax.vmap(jax.jacfwd(call(safeguard(Blend(0.3))), (0, 1, 2))))(*problems)
        values = [
            jax.jit(jax.vmap(call(safeguard(rule))))(*problems) for rule in (Exact(), Blend(0.3))
        ]
    np.testing.assert_array_equal(*values)
    assert np.abs(np.asarray(exact[2]) - np.eye(d)).max() > 0.1
    np.testing.assert_allclose(blended[2], 0.3 * np.eye(d) + 0.7 * np.asarray(exact[2]), atol=1e-10)
    for one, other in zip((*blended[:2], *blended), (*exact[:2], *forward), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


IDENTITIES = [
    guard(rule)
    for guard in (BoundaryProjection, RayMask, GaugeMap)
    for rule in ("passthrough", "straight_through")
] + [BoundaryProjection("inward")]


@pytest.mark.parametrize(
    "guard", IDENTITIES, ids=lambda guard: f"{type(guard).__name__}-{guard.rule.name}"
)
def test_the_distance_pulls_the_request_towards_its_safe_action(guard):
    """Were its derivative that of the action, a request would take its safe action along and no
    penalty would be felt.
    """
    with jax.enable_x64():
        A, b, a = random_sets(1, 64)

        def squared(a, A, b):
            output = guard(SafeActionSet.from_rows(A, b), a)
            return output.distance**2, output.action

        gradient, safe = jax.jit(jax.vmap(jax.grad(squared, has_aux=True)))(a, A, b)
    np.testing.assert_allclose(gradient, 2 * (a - np.asarray(safe)), atol=1e-12)
    assert np.abs(gradient).max() > 0.5


def test_the_weight_of_the_blend_is_data():
    """One compiled function serves all weights; 0 is the true derivative, 1 passthrough."""
    traces = []

    def executed(a, safeguard):
        traces.append(a)
        return call(safeguard)(jnp.ones((1, 1)), jnp.full(1, 0.5), a)

    derivative = jax.jit(jax.jacrev(executed))
    for weight in (0.0, 0.25, 1.0):
        np.testing.assert_allclose(
            derivative(jnp.array([0.9]), BoundaryProjection(Blend(weight))), [[weight]]
        )
    assert len(traces) == 1


@pytest.mark.parametrize("weight", [-0.1, 1.1, np.nan, None, "0.3", [0.3, 0.4], True, 0.5j])
def test_a_weight_that_is_no_number_of_the_unit_interval_is_refused(weight):
    with pytest.raises(ValueError, match=r"`alpha` is .* must be a number in \[0, 1\]"):
        Blend(weight)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("exact", Exact()),
        ("passthrough", Passthrough()),
        ("straight_through", StraightThrough()),
        ("blend", Blend(0.5)),
        ("inward", Inward()),
    ],
)
def test_a_name_is_short_for_the_rule(name, rule):
    assert BoundaryProjection(name).rule == BoundaryProjection(rule).rule == rule
    assert BoundaryProjection(gradient=name).rule.name == name
    assert hash(BoundaryProjection(name).rule) == hash(rule)


def test_rules_of_another_kind_or_with_other_numbers_differ():
    rules = [Exact(), Passthrough(), StraightThrough(), Blend(0.3), Blend(0.4), Inward()]
    for i, one in enumerate(rules):
        assert [other == one for other in rules] == [j == i for j in range(len(rules))]


def projected_gradient(A, b, safe, descent):
    """The descent step minus its part in the normal cone at `safe`, by non-negative least squares
    in float64.
    """
    d = len(safe)
    A, b = np.concatenate([A, np.eye(d), -np.eye(d)]), np.concatenate([b, np.ones(2 * d)])
    normals = A[A @ safe >= b - 1e-9 * np.maximum(1, np.linalg.norm(A, axis=1))]
    if not len(normals):
        return descent, 0
    weights, _ = nnls(normals.T, descent)
    return descent - normals.T @ weights, len(normals)


@pytest.mark.parametrize("d", [1, *slow(2, 4)])
def test_inward_is_the_projected_gradient(d):
    """Against non-negative least squares, with random gradients, under vmap, with several active
    rows too.
    """
    with jax.enable_x64():
        A, b, a = random_sets(d, 200, seed=d)
        g = np.random.default_rng(1).normal(size=a.shape) * np.logspace(-9, 6, 200)[:, None]
        guard = BoundaryProjection("inward")
        output = jax.jit(jax.vmap(lambda A, b, a: guard(SafeActionSet.from_rows(A, b), a)))(A, b, a)

        def pull(A, b, a, g, guard):
            return jax.vjp(call(guard), A, b, a)[1](g)

        dA, db, da = jax.jit(jax.vmap(lambda A, b, a, g: pull(A, b, a, g, guard)))(A, b, a, g)
        exact = jax.jit(jax.vmap(lambda A, b, a, g: pull(A, b, a, g, BoundaryProjection())))(
            A, b, a, g
        )
    counts = np.zeros(d + 1, int)
    for i in range(len(a)):
        scale = np.abs(g[i]).max()
        if not output.intervened[i]:
            np.testing.assert_array_equal(da[i], g[i])
            continue
        expected, active = projected_gradient(A[i], b[i], np.asarray(output.action[i]), -g[i])
        counts[min(active, d)] += 1
        np.testing.assert_allclose(-np.asarray(da[i]) / scale, expected / scale, atol=1e-8)
    assert counts[0] == 0
    assert counts[1:3].min() >= 5, counts  # one active row, and two
    for mine, theirs in zip((dA, db), exact[:2], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    restored = np.abs(np.asarray(da) - np.asarray(exact[2])).max(axis=-1) > 1e-6 * np.abs(g).max(
        axis=-1
    )
    # both cases occur: what points back is restored, what points out is not
    assert 0.1 < restored.mean() < 0.9


def descend(gradient, goal, start=0.9, d=1):
    """Gradient descent on |a_s - goal|^2 over the request, with the single row a_1 <= 0.5."""
    safe_set = SafeActionSet.from_rows(jnp.eye(1, d), jnp.array([0.5]))
    loss = jax.jit(
        jax.grad(lambda a: jnp.sum((BoundaryProjection(gradient)(safe_set, a).action - goal) ** 2))
    )
    a = jnp.full(d, start)
    for _ in range(100):
        a = a - 0.1 * loss(a)
    return np.asarray(a)


@pytest.mark.parametrize("start", [0.9, 3.0])
@pytest.mark.parametrize("d", [1, 2])
def test_inward_revives_a_request_that_is_always_clipped(d, start):
    """With the true derivative the request never moves; the optimum inside is reached only by the
    inward rule.
    """
    assert descend("exact", 0.2, start, d)[0] == np.float32(start)
    np.testing.assert_allclose(descend("inward", 0.2, start, d), 0.2, atol=1e-4)


def test_inward_does_not_drive_the_request_outwards():
    """Where the optimum lies outside, the request stays: passthrough would run away."""
    assert descend("inward", 0.8)[0] == np.float32(0.9)
    assert descend("passthrough", 0.8)[0] > 2.0


@pytest.mark.parametrize("d", [1, 2])
def test_inward_is_finite_where_there_is_no_safe_action(d):
    """Empty sets, duplicate and zero rows, and requests that are not finite."""
    rows = np.zeros((4, d), np.float32)
    rows[:2, 0] = 1.0, -1.0
    rows[2] = rows[0]
    offsets = np.array(
        [[-0.5, -0.5, -0.5, 1], [0.2, -0.2, 0.2, 0], [1, 1, 1, -1], [np.nan, 1, 1, 1]], np.float32
    )
    guard = call(BoundaryProjection("inward"))
    derivative = jax.jit(
        jax.vmap(
            jax.vmap(jax.grad(lambda b, a: jnp.sum(guard(rows, b, a) ** 3), (0, 1)), (None, 0)),
            (0, None),
        )
    )
    requests = np.broadcast_to(
        np.array([0.0, 0.7, -0.7, 1e30, np.nan, np.inf], np.float32)[:, None], (6, d)
    )
    for leaf in derivative(offsets, requests):
        assert np.isfinite(leaf).all()


def test_inward_has_no_forward_mode():
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jacfwd(lambda a: call(BoundaryProjection("inward"))(jnp.ones((1, 1)), jnp.ones(1), a))(
            jnp.zeros(1)
        )


@pytest.mark.parametrize("rule", ["inward", Inward()])
def test_inward_is_for_boundary_projection_alone(rule):
    with pytest.raises(
        ValueError,
        match=r"`gradient` is .*nward.* must be one of 'exact', 'passthrough', 'straight_through', "
        "'blend'. These are the gradient rules of RayMask",
    ):
        RayMask(rule)
