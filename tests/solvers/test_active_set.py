"""The projection core against independent solvers, theory and finite differences, and in float32
against float64.
"""

from functools import lru_cache

import clarabel
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow
from scipy import sparse

from safe_wrappers import BoundaryProjection, SafeActionSet
from safe_wrappers.solvers._active_set import dual_active_set, project
from safe_wrappers.testing._action_sets import HARSH, harsh_sets, product, random_sets, unit

DIMS = (1, 2, 4, 8)
ROWS = {1: 8, 2: 12, 4: 16, 8: 24}


def margin_for(d, dtype=np.float32):
    return (4 * d + 12) * float(np.finfo(dtype).eps)


def with_box(A, b):
    d = A.shape[-1]
    xp = np if isinstance(A, np.ndarray) else jnp
    return xp.concatenate([A, np.eye(d, dtype=A.dtype), -np.eye(d, dtype=A.dtype)]), xp.concatenate(
        [b, np.ones(2 * d, A.dtype)]
    )


def boxed_projection(A, b, a):
    return project(*with_box(A, b), a)


# Compiled once per dimension and precision, since the tests share their problems; both give the
# projection too.
batched_jacobians = jax.jit(
    jax.vmap(
        jax.jacrev(lambda *problem: (boxed_projection(*problem),) * 2, (0, 1, 2), has_aux=True)
    )
)
batched_tangents = jax.jit(
    lambda primals, tangents: jax.jvp(jax.vmap(boxed_projection), primals, tangents)
)


@lru_cache
def problems(d, n=200):
    return random_sets(np.random.default_rng(10 + d), n, d, ROWS[d])


@jax.jit
@jax.vmap
def verified_with_gradient(A, b, a, g):
    """The library's whole call, with its derivatives w.r.t. rows, offsets and action along g."""

    def call(A, b, a):
        output = BoundaryProjection()(SafeActionSet.from_rows(A, b), a)
        return output.action, (output.feasible, output.fallback)

    safe, pullback, flags = jax.vjp(call, A, b, a, has_aux=True)
    return safe, flags, pullback(g)


def soak(rng, sets, d, count, batch):
    """Checks `count` float32 problems, their rows of any length, in float64; returns how many were
    feasible and the largest violation among them.
    """
    n_feasible, largest = 0, -np.inf
    for _ in range(0, count, batch):
        A, b, a, *rest = sets(rng, batch, d, ROWS[d])
        length = 10 ** rng.uniform(-3, 3, b.shape)
        A, b, a = (v.astype(np.float32) for v in (A * length[..., None], b * length, a))
        safe, (feasible, fallback), gradient = jax.device_get(
            verified_with_gradient(A, b, a, rng.normal(size=a.shape).astype(np.float32))
        )
        rows, offsets, length = (
            A.astype(np.float64),
            b.astype(np.float64),
            np.linalg.norm(A.astype(np.float64), axis=2),
        )
        # As distances; of a zero row 0 a <= b the violation is -b.
        violation = (
            (product(rows, safe.astype(np.float64)) - offsets) / np.where(length > 0, length, 1)
        ).max(axis=1)
        assert not np.any(feasible & (violation > 0))
        assert np.isfinite(safe).all()
        assert (np.abs(safe) <= 1).all()
        assert all(np.isfinite(part).all() for part in gradient)
        if sets is random_sets:
            assert feasible.all()
            assert not fallback.any()
        else:
            assert not feasible[
                np.isin(rest[0], [HARSH.index("empty"), HARSH.index("impossible zero")])
            ].any()
            assert not np.any(fallback & feasible & (rest[0] != HARSH.index("needle")))
        n_feasible, largest = n_feasible + feasible.sum(), max(largest, violation[feasible].max())
    return n_feasible, largest


@pytest.mark.gpu
@pytest.mark.parametrize("d", [1, 2, 4, *slow(8)])
def test_no_executed_action_of_a_feasible_set_violates_and_nothing_is_nan(d):
    rng = np.random.default_rng(d)
    assert soak(rng, random_sets, d, 4096, 2048)[0] == 4096
    assert soak(rng, harsh_sets, d, 4096, 2048)[0] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("d", DIMS)
def test_no_executed_action_of_a_feasible_set_violates_and_nothing_is_nan_in_a_million(d):
    rng = np.random.default_rng(100 + d)
    random, random_violation = soak(rng, random_sets, d, 1_000_000, 20_000)
    harsh, harsh_violation = soak(rng, harsh_sets, d, 200_000, 20_000)
    print(
        f"d = {d}: feasible {random} of 1,000,000 random and {harsh} of 200,000 harsh sets, "
        "largest violation among them "
        f"{random_violation:.2g} and {harsh_violation:.2g}, 0 NaN"
    )


def clarabel_projection(A, b, a):
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
    d = len(a)
    rows, offsets = np.concatenate([A, np.eye(d), -np.eye(d)]), np.concatenate([b, np.ones(2 * d)])
    cones = [clarabel.NonnegativeConeT(len(offsets))]
    return np.array(
        clarabel.DefaultSolver(
            sparse.eye(d, format="csc"), -a, sparse.csc_matrix(rows), offsets, cones, settings
        )
        .solve()
        .x
    )


@pytest.mark.parametrize("d", [1, 2, 4, *slow(8)])
def test_agrees_with_an_interior_point_solver(d):
    A, b, a, _ = problems(d)
    expected = np.array([clarabel_projection(*problem) for problem in zip(A, b, a, strict=True)])
    assert np.mean(np.abs(expected - a).max(axis=1) > 1e-3) > 0.2  # the sample does project
    with jax.enable_x64(True):
        np.testing.assert_allclose(batched_jacobians(A, b, a)[1], expected, atol=1e-6)
    _, single = batched_jacobians(*(v.astype(np.float32) for v in (A, b, a)))
    np.testing.assert_allclose(single, expected, atol=10 * margin_for(d))


@pytest.mark.gpu
@pytest.mark.parametrize("d", [1, 2, 4, *slow(8)])
def test_jacobian_is_the_projector_onto_the_null_space_of_the_active_rows(d):
    A, b, a, _ = problems(d)
    with jax.enable_x64(True):
        (*_, jacobians), x = jax.device_get(batched_jacobians(A, b, a))
    (*_, single), _ = jax.device_get(batched_jacobians(*(v.astype(np.float32) for v in (A, b, a))))
    ranks = set()
    for i in range(len(a)):
        rows, offsets = with_box(A[i], b[i])
        N = rows[offsets - rows @ x[i] < 1e-9]
        ranks.add(len(N))
        projector = np.eye(d) - np.linalg.pinv(N) @ N
        np.testing.assert_allclose(jacobians[i], projector, atol=1e-9)
        np.testing.assert_allclose(single[i], projector, atol=1e-5)
    assert ranks >= {1, min(d, 2), d - 1}


@pytest.mark.parametrize("d", DIMS)
def test_derivatives_match_finite_differences_and_forward_equals_reverse(d):
    A, b, a, _ = problems(d)
    step, n = 1e-6, len(a)
    rng = np.random.default_rng(30 + d)
    tangents = dA, db, da = tuple(rng.normal(size=v.shape) for v in (A, b, a))
    with jax.enable_x64(True):
        x, dx = jax.device_get(batched_tangents((A, b, a), tangents))
        jacobians, _ = jax.device_get(batched_jacobians(A, b, a))
        right, left = (
            np.asarray(batched_tangents((A + s * dA, b + s * db, a + s * da), tangents)[0])
            for s in (step, -step)
        )
    # A kink between the two ends shows as different one-sided differences.
    smooth = np.abs(right - 2 * x + left).max(axis=1) / step < 1e-3
    print(f"d = {d}: {n - smooth.sum()} of {n} samples discarded as kinks")
    assert np.mean(~smooth) <= 0.02
    scale = 1 + np.abs(dx).max(axis=1, keepdims=True)
    np.testing.assert_allclose(
        ((right - left) / (2 * step) / scale)[smooth], (dx / scale)[smooth], atol=1e-6
    )
    reverse = (
        np.einsum("ndmk,nmk->nd", jacobians[0], dA)
        + product(jacobians[1], db)
        + product(jacobians[2], da)
    )
    np.testing.assert_allclose(reverse / scale, dx / scale, atol=1e-12)


def test_second_derivatives_match_differences_of_the_first():
    # lands on the first row
    A, b, a = np.array([[0.6, 0.8], [0.8, -0.6]]), np.array([0.1, 0.9]), np.array([0.7, 0.5])
    step, weights = 1e-6, np.array([1.0, -2.0])
    with jax.enable_x64(True):
        gradient = jax.jit(
            jax.grad(lambda *problem: jnp.sum(weights * boxed_projection(*problem) ** 2), (0, 1))
        )
        hessian = jax.device_get(jax.jit(jax.jacfwd(gradient, 0))(A, b, a))
        direction = np.array([[0.3, -0.7], [0.5, 0.2]])
        right, left = (jax.device_get(gradient(A + s * direction, b, a)) for s in (step, -step))
    for second, end, start in zip(hessian, right, left, strict=True):
        assert np.abs(end - start).max() > step
        np.testing.assert_allclose(
            np.sum(second * direction, axis=(-2, -1)), (end - start) / (2 * step), atol=1e-6
        )


@pytest.mark.smoke
def test_a_safe_action_comes_back_unchanged_without_an_iteration():
    A, b, _, inner = (v.astype(np.float32) for v in problems(2))
    np.testing.assert_array_equal(batched_jacobians(A, b, inner)[1], inner)
    ends = jax.jit(jax.vmap(lambda A, b, a: dual_active_set(*with_box(A, b), a, reach=8.0)))(
        A, b, inner
    )
    assert not ends.trips.any()


# with b = (0.4, 0.4, 0.5) all three rows pass through (0, 0.5)
TENT = [[0.6, 0.8], [-0.6, 0.8], [0.0, 1.0]]
ZERO = [0.0, 0.0]
DEGENERATE = {
    "vertex of three rows": (TENT, [0.4, 0.4, 0.5], [0.0, 0.9], [0.0, 0.5]),
    "on that vertex": (TENT, [0.4, 0.4, 0.5], [0.0, 0.5], [0.0, 0.5]),
    "equal rows": ([[1.0, 0.0]] * 3, [0.25, 0.25, 0.25], [0.75, 0.5], [0.25, 0.5]),
    "nearly equal rows": (
        [[1.0, 0.0], [1.0, 1e-7], [1.0, -1e-7]],
        [0.25, 0.25, 0.25],
        [0.75, 0.5],
        [0.25, 0.5],
    ),
    "no interior": ([[1.0, 0.0], [-1.0, 0.0], ZERO], [0.25, -0.25, 1.0], [0.75, 0.5], [0.25, 0.5]),
    "zero rows": ([ZERO, [0.0, 1.0], ZERO], [0.0, 0.25, 1.0], [0.75, 0.5], [0.75, 0.25]),
    "nothing but the box": ([ZERO, ZERO, ZERO], [0.0, 0.0, 0.0], [1.0, -1.0], [1.0, -1.0]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_degenerate_sets_have_the_right_point_and_finite_derivatives(dtype):
    A, b, a, expected = (np.array(v, dtype) for v in zip(*DEGENERATE.values(), strict=True))
    with jax.enable_x64(dtype == np.float64):
        jacobians, x = jax.device_get(batched_jacobians(A, b, a))
        _, tangents = jax.device_get(batched_tangents((A, b, a), (A, b, a)))
    np.testing.assert_allclose(x, expected, atol=1e-6)
    for derivative in (*jacobians, tangents):
        assert derivative.dtype == dtype
        assert np.isfinite(derivative).all()
        assert np.abs(derivative).max() < 10


@pytest.mark.gpu
@pytest.mark.parametrize("d", DIMS)
def test_an_empty_set_gives_a_finite_point_within_reach(d):
    rng = np.random.default_rng(40 + d)
    rows = unit(rng.normal(size=(200, ROWS[d] // 2, d)))
    A = np.concatenate([rows, -unit(rows + 1e-5 * rng.normal(size=rows.shape))], axis=1).astype(
        np.float32
    )
    b = -(10.0 ** rng.uniform(-6, 3, A.shape[:2])).astype(np.float32)
    a = rng.uniform(-1, 1, (200, d)).astype(np.float32)
    jacobians, x = jax.device_get(batched_jacobians(A, b, a))
    assert np.linalg.norm(x - a, axis=1).max() <= 4 * np.sqrt(d) + 1e-5
    assert all(np.isfinite(part).all() for part in jacobians)


@pytest.mark.gpu
def test_nan_rows_end_the_search_at_once():
    A, b = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), np.array([np.nan, 0.5], np.float32)
    a = np.array([0.9, 0.9], np.float32)
    np.testing.assert_array_equal(boxed_projection(A, b, a), a)


def test_shared_rows_are_not_copied_per_lane():
    n, m, d = 64, 3000, 3
    rng = np.random.default_rng(6)
    A = unit(rng.normal(size=(m, d))).astype(np.float32)
    b = rng.uniform(0.4, 1, m).astype(np.float32)
    a = rng.uniform(-1, 1, (n, d)).astype(np.float32)
    shared, repeated = jax.vmap(project, in_axes=(None, None, 0)), jax.vmap(project)
    x, pullback = jax.vjp(jax.jit(shared), A, b, a)
    expected, expected_pullback = jax.vjp(
        jax.jit(repeated), np.broadcast_to(A, (n, m, d)), np.broadcast_to(b, (n, m)), a
    )
    assert np.abs(x - a).max() > 0.1
    np.testing.assert_allclose(x, expected, atol=1e-6)
    for one, many in zip(pullback(x)[:2], expected_pullback(x)[:2], strict=True):
        np.testing.assert_allclose(one, many.sum(axis=0), atol=1e-4)
    # The loop's operands: the rows come once, by columns, and per lane there is nothing larger than
    # (d, d).
    operands = [v.aval.shape for v in find_loop(jax.make_jaxpr(shared)(A, b, a).jaxpr).invars]
    assert d + 1 <= operands.count((m,)) <= d + 2
    assert all(np.prod(shape[1:]) <= d * d for shape in operands if shape[:1] == (n,))


def holds_equations(value):
    return hasattr(getattr(value, "jaxpr", value), "eqns")


def find_loop(jaxpr):
    """The first while loop of a jaxpr, at any depth."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "while":
            return eqn
        # What holds a jaxpr differs between versions of JAX; that it has equations does not.
        for leaf in jax.tree.leaves(list(eqn.params.values()), is_leaf=holds_equations):
            if holds_equations(leaf) and (found := find_loop(getattr(leaf, "jaxpr", leaf))):
                return found
    return None
