"""The gauge map against the formula, evaluated independently in float64, and against its
inverse.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

import safe_wrappers as sw
from safe_wrappers import SafeActionSet
from safe_wrappers.safeguards._base import Rows
from safe_wrappers.safeguards._centers import safe_center
from safe_wrappers.testing._action_sets import boxed, product, random_sets, violations

CENTERS = [
    "chebyshev",
    pytest.param("analytic", marks=pytest.mark.slow),
    pytest.param("box", marks=pytest.mark.slow),
]


def tau(d, dtype):
    return (4 * d + 12) * float(np.finfo(dtype).eps)


@functools.cache
def mapped(center):
    """Compiled: (A, b, a) -> the output and the centre, one set per lane."""

    def both(A, b, a):
        action_set = SafeActionSet.from_rows(A, b)
        c = safe_center(
            center, Rows(*action_set.unit_rows(), tau=tau(a.shape[0], b.dtype)), a, jnp.array(False)
        )
        return sw.GaugeMap(center=center)(action_set, a), c

    return jax.jit(jax.vmap(both))


def gauge(rows, offsets, center, direction):
    """The least t > 0 with center + direction / t in {rows x <= offsets}, shape (n,)."""
    return np.max(product(rows, direction) / (offsets - product(rows, center)), axis=1)


def gauge_map(rows, offsets, center, a):
    """Onto {rows x <= offsets} about the centre, by the formula."""
    return center + (np.abs(a).max(axis=1) / gauge(rows, offsets, center, a))[:, None] * a


def inverse(rows, offsets, center, a_s):
    """The request that the formula takes to a_s."""
    v = a_s - center
    return (gauge(rows, offsets, center, v) / np.abs(v).max(axis=1))[:, None] * v


def problems(d, count, dtype):
    A, b, a, _ = random_sets(np.random.default_rng(d), count, d, 8)
    return A.astype(dtype), b.astype(dtype), a.astype(dtype)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("d", [1, 2, *slow(3)])
def test_it_is_the_formula_and_a_bijection_onto_the_safe_action_set(center, d):
    with jax.enable_x64():
        A, b, a = problems(d, 300, np.float64)
        output, c = jax.device_get(mapped(center)(A, b, a))
        assert violations(A, b, output.action).max() <= 0
        assert not output.fallback.any()
        rows, offsets = boxed(A, b)
        np.testing.assert_allclose(output.action, gauge_map(rows, offsets, c, a), atol=1e-10)
        # injective
        np.testing.assert_allclose(inverse(rows, offsets, c, output.action), a, atol=1e-9)
        # Onto: what the inverse gives for points of the set is in the box, and it is mapped back to
        # them.
        points = c + np.random.default_rng(0).uniform(0, 1, (len(a), 1)) * (output.action - c)
        requests = inverse(rows, offsets, c, points)
        assert np.abs(requests).max() <= 1
        np.testing.assert_allclose(mapped(center)(A, b, requests)[0].action, points, atol=1e-10)


@pytest.mark.parametrize("center", CENTERS)
@pytest.mark.parametrize("d", [1, 2, *slow(3)])
def test_the_boundary_of_the_box_goes_to_the_boundary_of_the_safe_action_set(center, d):
    A, b, a = problems(d, 300, np.float32)
    a = np.where(
        np.arange(300)[:, None] < 150, a / np.abs(a).max(axis=1, keepdims=True), np.sign(a)
    ).astype(np.float32)
    output, _ = mapped(center)(A, b, a)
    margin = -violations(A, b, output.action)
    assert margin.min() >= 0
    assert margin.max() <= 10 * tau(d, np.float32)
    assert not output.fallback.any()


@functools.cache
def jacobians():
    """Compiled: (A, b, a) -> the action and its derivative w.r.t. a, in both modes, one set per
    lane.
    """
    act = lambda A, b, a: sw.GaugeMap()(SafeActionSet.from_rows(A, b), a).action  # noqa: E731
    return jax.jit(
        jax.vmap(lambda *args: (act(*args), jax.jacfwd(act, 2)(*args), jax.jacrev(act, 2)(*args)))
    )


@pytest.mark.smoke
def test_zero_goes_to_the_center_with_half_the_chords_as_derivative():
    # [-1, 0.2] x [-0.6, 1]
    A, b = np.array([[[1, 0], [0, -1], [0, 0]]], np.float32), np.array([[0.2, 0.6, 1]], np.float32)
    value, forward, reverse = jacobians()(A, b, np.zeros((1, 2), np.float32))
    np.testing.assert_array_equal(value, mapped("chebyshev")(A, b, np.zeros((1, 2), np.float32))[1])
    for jacobian in (forward, reverse):
        np.testing.assert_allclose(jacobian[0], np.diag([0.6, 0.8]), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("d", [1, 2])
def test_a_needle_gives_its_center_with_zero_derivative(d):
    A = np.array([[[1, 0], [-1, 0], [0, 1]]], np.float32)[:, :, :d]
    b = np.array([[0.25 + 1e-6, -0.25 + 1e-6, 0.0]], np.float32)  # half as wide as tau
    value, forward, reverse = jacobians()(A, b, np.array([[0.9, -0.4]], np.float32)[:, :d])
    np.testing.assert_allclose(value[0, 0], 0.25, atol=1e-5)
    for jacobian in (forward, reverse):
        np.testing.assert_array_equal(jacobian, 0)


def test_the_orthogonal_center_and_unknown_ones_are_refused():
    with pytest.raises(
        ValueError,
        match=r"`center` is 'orthogonal', but it must be one of 'chebyshev', 'analytic', 'box'. "
        r"It depends on the request, for which there is `RayMask\(center=\"orthogonal\"\)`",
    ):
        sw.GaugeMap(center="orthogonal")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`center` is 'middle'"):
        sw.safeguards.make_safeguard("gauge_map", center="middle")


def test_a_set_without_any_room_has_finite_derivatives():
    """The tightened rows hold with equality at the centre: nothing is divided by their slack."""
    slack = np.float32(tau(2, np.float32))
    rows = sw.SafeActionSet(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), jnp.full(2, slack), jnp.zeros(2))
    for request in jnp.array([[0.5, 0.5], [0.0, 0.0], [1.0, -0.2]]):
        jacobian = jax.jit(jax.jacobian(lambda a: sw.GaugeMap()(rows, a).action))(request)
        assert np.isfinite(jacobian).all()
