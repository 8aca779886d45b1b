"""The ray mask: containment first, then the paper's formula, centres against independent
optimisers, derivatives.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import quick, slow
from scipy.optimize import linprog, minimize

import safe_wrappers as sw
from safe_wrappers.safe_actions import SafeActionSet
from safe_wrappers.safeguards._base import Rows
from safe_wrappers.safeguards._centers import safe_center

VARIANTS = list(
    itertools.product(("linear", "hyperbolic"), ("chebyshev", "analytic", "box", "orthogonal"))
)

# Each mapping and each centre once; the other pairs are slow.
IN_THE_PLANE = [
    (2, "linear", "chebyshev"),
    (2, "hyperbolic", "analytic"),
    (2, "hyperbolic", "box"),
    (2, "linear", "orthogonal"),
]

UNIT_ROWS = jax.jit(jax.vmap(lambda A, b: SafeActionSet(A, b, jnp.zeros(A.shape[1])).unit_rows()))


def problems(d, count, seed=0, dtype=np.float32):
    """Random sets with an interior, A (count, 8, d) and b (count, 8), and requests (count, d) in
    and on the box.
    """
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(count, 8, d)).astype(dtype)
    inner = rng.uniform(-0.8, 0.8, size=(count, d))
    b = (np.einsum("nmd,nd->nm", A, inner) + rng.uniform(0.02, 0.8, size=(count, 8))).astype(dtype)
    requests = np.clip(rng.uniform(-1.3, 1.3, size=(count, d)), -1, 1).astype(dtype)
    return A, b, requests


def largest_violation(A, b, action):
    """Of the rows and the box, in float64."""
    A, b, action = (np.asarray(value, np.float64) for value in (A, b, action))
    return max(
        float((np.einsum("nmd,nd->nm", A, action) - b).max()), float((np.abs(action) - 1).max())
    )


@pytest.mark.parametrize(
    ("d", "mapping", "center"),
    [(1, *variant) for variant in VARIANTS]
    + quick(IN_THE_PLANE, [(2, *variant) for variant in VARIANTS]),
)
def test_the_executed_action_is_safe(d, mapping, center):
    A, b, requests = problems(d, 4000)
    mask = sw.RayMask(mapping=mapping, center=center)
    output = jax.jit(jax.vmap(lambda A, b, a: mask(SafeActionSet.from_rows(A, b), a)))(
        A, b, requests
    )
    assert largest_violation(A, b, output.action) <= 0
    assert output.feasible.all()
    assert not output.fallback.any()
    assert output.intervened.mean() > 0.3
    if center == "orthogonal":
        np.testing.assert_array_equal(output.changed, output.intervened)
    else:
        assert output.changed.mean() > 0.9


@pytest.mark.smoke
def test_a_mask_without_the_distance_to_the_safe_boundary_leaves_the_set():
    """The public implementation once lost the factor lam_s: scaled about the centre by the box
    alone, actions are unsafe.
    """
    A, b, requests = problems(2, 2000)
    centers = np.asarray(jax.jit(jax.vmap(lambda A, b: SafeActionSet.from_rows(A, b).anchor))(A, b))
    assert largest_violation(A, b, np.clip(requests * 0.5 + centers * 0.5, -1, 1)) > 0.01


@pytest.mark.gpu
def test_the_gauge_form_is_the_formula_of_the_paper():
    with jax.enable_x64():
        A, b, requests = problems(2, 200, dtype=np.float64)
        rows = UNIT_ROWS(A, b)

        @jax.jit
        @jax.vmap
        def both(A, b, unit_rows, a):
            center = safe_center(
                "chebyshev", Rows(*unit_rows, tau=20 * 2.0**-52), a, jnp.array(False)
            )
            return center, [
                sw.RayMask(mapping=mapping)(SafeActionSet(A, b, center), a).action
                for mapping in ("linear", "hyperbolic")
            ]

        centers, (linear, hyperbolic) = both(A, b, rows, requests)
        for A_i, b_i, a, c, *found in zip(
            *(np.asarray(v) for v in (*rows, requests, centers, linear, hyperbolic)), strict=True
        ):
            A_box, b_box = np.vstack([np.eye(2), -np.eye(2)]), np.ones(4)
            lam_a = np.linalg.norm(a - c)
            u = (a - c) / lam_a

            def exit_distance(A, b, c=c, u=u):
                speed = A @ u
                return np.min(
                    np.where(speed > 0, (b - A @ c) / np.where(speed > 0, speed, 1), np.inf)
                )

            lam_A = exit_distance(A_box, b_box)
            lam_s = min(lam_A, exit_distance(A_i, b_i))
            scales = lam_a / lam_A, np.tanh(lam_a / lam_s) / np.tanh(lam_A / lam_s)
            np.testing.assert_allclose(
                found, [c + u * lam_s * scale for scale in scales], rtol=0, atol=1e-9
            )


@pytest.mark.gpu
def test_the_chebyshev_center_is_that_of_a_linear_program():
    A, b, requests = problems(3, 30)
    rows = UNIT_ROWS(A, b)
    found = jax.jit(
        jax.vmap(lambda A, b, a: safe_center("chebyshev", Rows(A, b, tau=0.0), a, jnp.array(False)))
    )(*rows, requests)
    for A_i, b_i, c in zip(*(np.asarray(v, np.float64) for v in (*rows, found)), strict=True):
        A_all, b_all = np.vstack([A_i, np.eye(3), -np.eye(3)]), np.concatenate([b_i, np.ones(6)])
        program = linprog(
            [0, 0, 0, -1],
            A_ub=np.column_stack([A_all, np.ones(len(b_all))]),
            b_ub=b_all,
            bounds=[(None, None)] * 4,
        )
        assert np.min(b_all - A_all @ c) == pytest.approx(-program.fun, abs=5e-5)


@pytest.mark.parametrize("kind", ["analytic", "box"])
def test_the_barrier_centers_are_optimal(kind):
    """Against a general-purpose optimiser from the centre found: it must not be able to improve the
    objective.
    """
    A, b, requests = problems(2, 8)
    rows = UNIT_ROWS(A, b)
    found = jax.jit(
        jax.vmap(lambda A, b, a: safe_center(kind, Rows(A, b, tau=0.0), a, jnp.array(False)))
    )(*rows, requests)
    for A_i, b_i, c in zip(*(np.asarray(v, np.float64) for v in (*rows, found)), strict=True):
        A_all, b_all = np.vstack([A_i, np.eye(2), -np.eye(2)]), np.concatenate([b_i, np.ones(4)])
        if kind == "analytic":
            slack = b_all - A_all @ c
            np.testing.assert_allclose(A_all.T @ (1 / slack), 0, atol=2e-2 * np.max(1 / slack))
            continue

        def log_volume(c, A_all=A_all, b_all=b_all):
            """Of the largest box about c: sides by nested maximisation over the aspect ratio."""
            slack = b_all - A_all @ c
            if slack.min() <= 0:
                return -np.inf
            angles = np.linspace(0.02, np.pi / 2 - 0.02, 400)
            shapes = np.stack([np.cos(angles), np.sin(angles)])
            size = np.min(slack[:, None] / (np.abs(A_all) @ shapes), axis=0)
            return np.log(np.max(size**2 * shapes.prod(axis=0)))

        best = minimize(lambda c: -log_volume(c), c, method="Nelder-Mead", options={"maxiter": 400})
        assert log_volume(c) > -best.fun - 0.1


@pytest.mark.parametrize("d", [1, *slow(2)])
def test_the_center_stays_and_has_the_identity_as_derivative(d):
    A = jnp.concatenate([jnp.eye(2), -jnp.eye(2)])[:, :d]
    action_set = SafeActionSet.from_rows(A, jnp.array([0.5, 0.4, 0.25, 0.3]))
    tau = (4 * d + 12) * float(jnp.finfo(jnp.float32).eps)

    @jax.jit
    def at_center():
        center = safe_center(
            "chebyshev", Rows(*action_set.unit_rows(), tau=tau), jnp.zeros(d), jnp.array(False)
        )
        masks = [sw.RayMask(mapping="linear"), sw.RayMask(mapping="hyperbolic")]
        return center, [
            jax.jacfwd(lambda a, mask=mask: (mask(action_set, a).action,) * 2, has_aux=True)(center)
            for mask in masks
        ]

    center, masked = at_center()
    np.testing.assert_allclose(center, [0.125, 0.05][:d], atol=0.03)
    for jacobian, action in masked:
        np.testing.assert_array_equal(action, center)
        np.testing.assert_array_equal(jacobian, np.eye(d))


@pytest.mark.gpu
@pytest.mark.parametrize(("d", "center"), [(1, "chebyshev"), (2, "orthogonal")])
def test_a_needle_gives_its_center_with_zero_derivative(d, center):
    A, tau = (
        jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])[:, :d],
        (4 * d + 12) * float(jnp.finfo(jnp.float32).eps),
    )
    request = jnp.array([0.9, -0.4])[:d]

    @jax.jit
    @functools.partial(jax.jacrev, argnums=1, has_aux=True)
    def derivative(b, a):
        action = sw.RayMask(center=center)(SafeActionSet.from_rows(A, b), a).action
        return action, action

    d_a, action = derivative(jnp.array([0.25 + 0.8 * tau, -0.25 + 0.8 * tau, 2.0]), request)
    np.testing.assert_allclose(action[0], 0.25, atol=2 * tau)
    np.testing.assert_array_equal(d_a, 0)
    # With room in between, the request has a say.
    assert np.abs(derivative(jnp.array([0.75, 0.25, 2.0]), request)[0]).max() > 0.1


@pytest.mark.parametrize(
    "options", [{"mapping": "quadratic"}, {"center": "middle"}, {"gradient": "wrong"}]
)
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match="must be one of"):
        sw.RayMask(**options)


def test_safeguards_by_name():
    assert isinstance(sw.safeguards.make_safeguard("ray_mask", mapping="linear"), sw.RayMask)
    with pytest.raises(ValueError, match="Did you mean 'ray_mask'"):
        sw.safeguards.make_safeguard("ray_maks")
