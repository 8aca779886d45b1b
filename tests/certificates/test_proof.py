import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from safe_wrappers import ModelError
from safe_wrappers.certificates import Claim, _proof, prove
from safe_wrappers.envs.dynamics import pendulum
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


def two_inputs(x, a, w):
    return (
        1.1 * x + 0.05 * jnp.sin(x[::-1]) * jnp.cos(x) + 0.4 * a + 0.1 * jnp.tanh(x) * a[::-1] + w
    )


TWO = Model("two_inputs", two_inputs, 2, 2, 2)


def square(model, *, x_max=1.1, w=0.02):
    n = model.state_size
    H, h = Box.symmetric(np.ones(n)).halfspaces()
    return Claim(
        model,
        safe_state_set=Polytope(H, h),
        constraint_set=Box.symmetric(x_max * np.ones(n)),
        disturbance_set=Box.symmetric(w * np.ones(model.disturbance_size)),
    )


def largest_margin(claim, model, x):
    """max_a min_i [1 - max_w H_i f(x, a, w)], independently in float64: differences of the affine f
    and a linear program.
    """
    d, k = model.action_size, model.disturbance_size

    def f(a, w):
        with jax.enable_x64():
            return np.asarray(model.step(jnp.asarray(x), jnp.asarray(a), jnp.asarray(w)))

    c = f(np.zeros(d), np.zeros(k))
    B = np.stack([f(e, np.zeros(k)) - c for e in np.eye(d)], axis=1)
    E = np.stack([f(np.zeros(d), e) - c for e in np.eye(k)], axis=1)
    H = np.asarray(claim.safe_state_set.H, np.float64)
    W = claim.disturbance_set
    b = (
        1
        - H @ c
        - H @ E @ np.asarray(W.center, np.float64)
        - np.abs(H @ E) @ np.asarray(W.radius, np.float64)
    )
    program = linprog(
        [*[0.0] * d, -1.0],
        A_ub=np.column_stack([H @ B, np.ones(len(H))]),
        b_ub=b,
        bounds=[(-1, 1)] * d + [(None, None)],
    )
    return -program.fun


def test_the_papers_zonotope_is_proved_with_a_dozen_cells(walter):
    result = prove(walter)
    assert result.proved
    assert result.cells == 12
    assert result.margin == pytest.approx(0.039, abs=1e-3)
    assert walter.safe_state_set.vertices()[:, 1].max() > 8.0


def test_a_model_with_a_loop_is_proved_like_the_same_model_without():
    def python_loop(x, a, w):
        for _ in range(4):
            x = x + 0.25 * (0.1 * x + 0.4 * a + w)
        return x

    def jax_loop(x, a, w):
        return jax.lax.fori_loop(0, 4, lambda i, y: y + 0.25 * (0.1 * y + 0.4 * a + w), x)

    results = [
        prove(square(model))
        for model in (Model("substeps", step, 2, 2, 2) for step in (python_loop, jax_loop))
    ]
    assert results[0].proved
    first, second = (dataclasses.replace(r, seconds=0.0, record=None) for r in results)
    assert first == second
    assert results[0].record.program != results[1].record.program


@pytest.mark.gpu
@pytest.mark.smoke
def test_a_set_that_needs_bisections_is_proved_with_margin_sigma(upright):
    result = prove(upright)
    assert result.status == "proved"
    assert result.depth > 0
    assert result.cells < 100
    assert result.margin >= upright.sigma
    assert result.counterexample is None


def test_a_proved_margin_holds_at_sampled_states(upright):
    margin = prove(upright).margin
    vertices = upright.safe_state_set.vertices()
    rng = np.random.default_rng(0)
    boundary = (
        rng.dirichlet(np.ones(2), 60) @ np.stack([vertices, np.roll(vertices, 1, axis=0)])[:, 0]
    )
    for x in (*vertices, *boundary, *(rng.uniform(size=(40, 1)) * boundary[:40])):
        x = x / max(1.0, np.max(np.asarray(upright.safe_state_set.H, np.float64) @ x))
        assert largest_margin(upright, pendulum(), x) >= margin - 1e-9


@pytest.mark.gpu
def test_several_inputs_are_proved():
    result = prove(square(TWO))
    assert result.proved
    assert result.margin > 0


@pytest.mark.parametrize("n", [1, 3])
def test_other_dimensions_are_proved(n):
    model = Model(
        "ball", lambda x, a, w: 1.1 * x + 0.3 * a + w + 0.02 * jnp.dot(x, x) * jnp.ones(n), n, n, n
    )
    assert prove(square(model)).proved


@pytest.mark.smoke
@pytest.mark.parametrize("index", [0, 2, 3, 4])  # moved by as much, facet 1 leaves an invariant set
def test_a_facet_moved_out_by_five_percent_is_rejected_by_a_true_counterexample(
    certify, upright_rows, index
):
    rows = upright_rows.copy()
    rows[[index, index + 5]] /= 1.05
    claim = certify(rows)
    assert_rejected(claim, pendulum(), prove(claim))


@pytest.mark.parametrize(
    "change", [{"torque": 27.0}, {"gravity": -9.81 * 20}, {"torque": 15.0}, {"mass": 1.2}], ids=str
)
def test_another_plant_is_rejected_by_a_true_counterexample(certify, upright_rows, change):
    model = pendulum(**change)
    claim = certify(upright_rows, model=model)
    assert_rejected(claim, model, prove(claim))


def test_a_larger_disturbance_is_rejected_by_a_true_counterexample(certify, upright_rows):
    claim = certify(upright_rows, w=2.0)
    assert_rejected(claim, pendulum(), prove(claim))


def test_several_inputs_are_rejected_by_a_true_counterexample():
    claim = square(TWO, w=0.4)
    assert_rejected(claim, TWO, prove(claim))


def assert_rejected(claim, model, result):
    assert result.status == "counterexample"
    assert not result.proved
    x = result.counterexample
    assert np.all(np.asarray(claim.safe_state_set.H, np.float64) @ x <= 1)
    X = claim.constraint_set
    outside = np.any(x < X.lower) or np.any(x > X.upper)
    assert outside or largest_margin(claim, model, x) < 0
    assert result.margin < 0


def test_a_margin_between_zero_and_sigma_is_a_counterexample():
    """x' = 1.1 x + gain a leaves the margin gain - 0.1 at x = 1."""
    weak, strong = (
        Model("weak", lambda x, a, w, gain=gain: 1.1 * x + gain * a + 0.0 * w, 1, 1, 1)
        for gain in (0.1 + 1.9e-4, 0.1 + 2.1e-4)
    )
    result = prove(square(weak))
    assert result.status == "counterexample"
    assert 0 < result.margin <= 2e-4
    assert abs(result.counterexample[0]) == pytest.approx(1.0)
    assert prove(square(strong)).proved


def test_a_vertex_outside_the_constraints_is_a_counterexample(certify, upright_rows):
    result = prove(certify(upright_rows, x_max=(1.0, 8.0)))
    assert result.status == "counterexample"
    assert abs(result.counterexample[0]) > 1.0
    assert "outside X" in result.reason


def test_a_set_that_touches_the_constraints_is_inconclusive():
    result = prove(square(TWO, x_max=1.0))
    assert result.status == "inconclusive"
    assert "touches" in result.reason


def test_limits_are_inconclusive_never_proved(upright):
    for limit in ({"max_cells": 8}, {"max_depth": 1}):
        result = prove(upright, **limit)
        assert result.status == "inconclusive"
        assert not result.proved
        assert np.isnan(result.margin)


def test_a_cover_that_is_not_one_is_inconclusive(upright, monkeypatch):
    full = _proof.cover

    def drop(S, center):
        found = full(S, center)
        return dataclasses.replace(found, simplices=found.simplices[1:], facets=found.facets[1:])

    monkeypatch.setattr(_proof, "cover", drop)
    result = prove(upright)
    assert result.status == "inconclusive"
    assert "ridge" in result.reason


def test_a_model_that_is_not_affine_is_refused():
    model = Model("cubic", lambda x, a, w: 0.5 * x + 0.1 * a**3 + w, 1, 1, 1)
    with pytest.raises(ModelError, match="affine"):
        square(model)
