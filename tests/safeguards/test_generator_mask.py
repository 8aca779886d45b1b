"""The generator mask: its inner box is inside the safe action set, nearly the largest one, and all
that is executed.
"""

import functools
import itertools

import jax
import numpy as np
import pytest
from params import slow
from scipy.optimize import minimize

import safe_wrappers as sw
from safe_wrappers import SafeActionSet
from safe_wrappers.safeguards._base import Rows
from safe_wrappers.safeguards._centers import inner_box
from safe_wrappers.testing._action_sets import boxed, harsh_sets, random_sets, violations


@functools.cache
def boxes(d):
    """Compiled: (A, b) -> centre and half widths, one set per lane."""
    tau = (4 * d + 12) * float(np.finfo(np.float32).eps)
    return jax.jit(
        jax.vmap(lambda A, b: inner_box(Rows(*SafeActionSet.from_rows(A, b).unit_rows(), tau=tau)))
    )


@functools.cache
def masked():
    """Compiled: (A, b, a) -> the output, one set per lane."""
    return jax.jit(jax.vmap(lambda A, b, a: sw.GeneratorMask()(SafeActionSet.from_rows(A, b), a)))


def problems(sets, d, count, seed=0):
    return tuple(
        value.astype(np.float32) for value in sets(np.random.default_rng(seed), count, d, 12)[:3]
    )


@pytest.mark.parametrize("sets", [random_sets, harsh_sets])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_whole_inner_box_is_safe(sets, d):
    A, b, _ = problems(sets, d, 2000)
    center, half_widths = (np.asarray(value, np.float64) for value in boxes(d)(A, b))
    live = (half_widths > 0).all(axis=1)
    assert live.all() if sets is random_sets else 0.4 < live.mean() < 0.9
    np.testing.assert_array_equal(half_widths[~live], 0)
    for corner in itertools.product((-1, 1), repeat=d):
        # the box rows are not tightened: rounding
        assert violations(A, b, center + half_widths * np.array(corner))[live].max() <= 1e-7


@pytest.mark.parametrize("d", [2, *slow(3)])
def test_the_inner_box_is_nearly_the_largest_one(d):
    """Against a general-purpose optimiser: its sides are, in the geometric mean, within 3 % of the
    largest.
    """
    A, b, _ = problems(random_sets, d, 15)
    center, half_widths = (np.asarray(value, np.float64) for value in boxes(d)(A, b))
    rows, offsets = boxed(A, b)
    for A_i, b_i, c, r in zip(rows, offsets, center, half_widths, strict=True):
        lifted = np.hstack([A_i, np.abs(A_i)])
        constraint = {
            "type": "ineq",
            "fun": lambda z, M=lifted, b=b_i: b - M @ z,
            "jac": lambda z, M=lifted: -M,
        }
        best = minimize(
            lambda z: -np.sum(np.log(z[d:])),
            np.concatenate([c, r / 2]),
            jac=lambda z: np.concatenate([np.zeros(d), -1 / z[d:]]),
            constraints=[constraint],
            bounds=[(-1, 1)] * d + [(1e-6, 1)] * d,
            method="SLSQP",
        )
        assert best.success
        ratio = np.exp(np.mean(np.log(r)) + best.fun / d)
        assert 0.97 < ratio < 1 + 1e-6


@pytest.mark.parametrize("d", [1, 2])
def test_the_box_of_actions_goes_onto_the_inner_box(d):
    A, b, a = problems(random_sets, d, 1000)
    a[:400] = np.sign(a[:400])
    output = masked()(A, b, a)
    assert violations(A, b, output.action).max() <= 0
    assert not np.any(output.fallback)
    center, half_widths = boxes(d)(A, b)
    np.testing.assert_allclose(output.action, center + half_widths * a, atol=1e-6)
    # onto: every request comes back
    np.testing.assert_allclose((output.action - center) / half_widths, a, atol=1e-3)


@pytest.mark.smoke
def test_one_action_gets_the_whole_interval():
    A, b, a = problems(random_sets, 1, 500)
    ends = [
        -violations(A, b, masked()(A, b, np.full_like(a, request)).action) for request in (-1, 1)
    ]
    for margin in ends:
        assert margin.min() >= 0
        assert margin.max() <= 4 * 16 * np.finfo(np.float32).eps


@pytest.mark.slow
def test_the_derivative_is_the_half_widths_and_zero_on_a_needle():
    A, b, a = problems(random_sets, 2, 50)
    A[0], b[0] = 0, 1
    A[0, :2], b[0, :2] = [[1, 0], [-1, 0]], [0.25 + 1e-6, -0.25 + 1e-6]  # half as wide as tau
    act = lambda A, b, a: sw.GeneratorMask()(SafeActionSet.from_rows(A, b), a).action  # noqa: E731
    value, jacobian = jax.jit(jax.vmap(lambda *args: (act(*args), jax.jacrev(act, 2)(*args))))(
        A, b, a
    )
    half_widths = np.asarray(boxes(2)(A, b)[1])
    np.testing.assert_array_equal(half_widths[0], 0)
    np.testing.assert_allclose(value[0, 0], 0.25, atol=1e-5)
    np.testing.assert_allclose(jacobian, half_widths[:, :, None] * np.eye(2), atol=1e-6)
