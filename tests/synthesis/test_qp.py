import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.models import Model
from safe_wrappers.sets import Box
from safe_wrappers.synthesis._limits import Limits
from safe_wrappers.synthesis._problem import Problem
from safe_wrappers.synthesis._qp import solve_qp
from safe_wrappers.synthesis._scaled_model import ScaledSystem
from safe_wrappers.synthesis._slp import Schedule, optimise
from safe_wrappers.synthesis._start import lqr_ellipsoid, lqr_start, repelled_directions


def step(x, a, w):
    position, velocity = x
    velocity = velocity + 0.1 * (a[0] - 0.5 * velocity * jnp.abs(velocity) + w[0])
    return jnp.stack([position + 0.1 * velocity, velocity])


@pytest.fixture(scope="module")
def problem() -> Problem:
    scale = np.array([1.0, 2.0])
    system = ScaledSystem(Model("drag", step, 2, 1, 1), Box.symmetric([0.1]), np.zeros(2), scale)
    return Problem(
        system,
        Limits.of(Box.symmetric(scale), np.zeros(2), scale),
        enlargement=1.5,
        margin=1e-3,
        per_edge=3,
        rays=np.array([[1.0, 0.3]]),
        symmetric=True,
    )


@pytest.fixture(scope="module")
def iterate(problem):
    return problem.iterate(
        lqr_start(problem.system, problem.limits, 4, np.random.default_rng(1), symmetric=True)
    )


def test_the_system_is_evaluated_in_scaled_coordinates(problem):
    y, a, w = np.array([[0.4, -0.3]]), np.array([[0.7]]), np.array([0.05])
    local = problem.system.linearise(y)
    expected = np.asarray(step(y[0] * [1, 2], a[0], w)) / [1, 2]
    assert local.drift(a)[0] + local.E[0] @ w == pytest.approx(expected, abs=1e-6)
    assert local.c.dtype == np.float64
    shift = np.array([1e-5, -2e-5])
    slope = (
        problem.system.linearise(y + shift).drift(a) - problem.system.linearise(y - shift).drift(a)
    ) / 2
    assert local.jacobian(a)[0] @ shift == pytest.approx(slope[0], rel=1e-6)


@pytest.mark.smoke
def test_the_spread_is_the_worst_corner_of_the_enlarged_box():
    system = ScaledSystem(
        Model("drag", step, 2, 1, 1),
        Box(np.array([-0.1]), np.array([0.3])),
        np.zeros(2),
        np.ones(2),
    )
    H, E = np.array([[1.0, 0.0], [0.0, -2.0]]), system.linearise(np.zeros((1, 2))).E
    corners = 0.1 + 1.5 * np.array([-0.2, 0.2])
    expected = (np.einsum("mn,qnk->qmk", H, E) * corners).max(axis=2)
    assert system.spread(H, E, 1.5) == pytest.approx(expected)


def test_sample_sensitivity_matches_finite_differences(problem, iterate):
    direction = np.random.default_rng(0).standard_normal(iterate.normals.shape)
    size = 1e-6
    ahead, behind = (
        problem.iterate(iterate.normals + size * direction),
        problem.iterate(iterate.normals - size * direction),
    )
    # The samples come in another order, and the other one of a pair may be kept.
    candidates = [np.concatenate([other.samples, -other.samples]) for other in (ahead, behind)]
    nearest = [
        points[np.linalg.norm(points - iterate.samples[:, None], axis=2).argmin(axis=1)]
        for points in candidates
    ]
    slope = (nearest[0] - nearest[1]) / (2 * size)
    assert iterate.sample_sensitivity @ direction.ravel() == pytest.approx(
        slope, rel=1e-3, abs=1e-4
    )


def test_ray_samples_lie_on_the_boundary_along_the_ray(iterate):
    point = iterate.samples[-1]
    assert (iterate.H @ point).max() == pytest.approx(1)
    assert point[1] / point[0] == pytest.approx(0.3)


@pytest.mark.smoke
def test_the_qp_step_stays_in_the_trust_region_and_raises_the_merit(problem, iterate):
    qp = solve_qp(iterate, 0.02)
    assert qp is not None
    assert np.all(
        np.abs(qp.step) <= 0.02 * np.linalg.norm(iterate.normals, axis=1, keepdims=True) + 1e-7
    )
    assert qp.pressure.min() >= -1e-9
    after = problem.iterate(iterate.normals + qp.step)
    assert after.merit > iterate.merit


def test_the_best_iterate_is_acceptable_and_larger(problem, iterate):
    seen = []
    run = optimise(problem, iterate.normals, Schedule(iterations=40), seen.append)
    assert run.best is not None
    assert run.iterations <= 40
    assert run.best.acceptable
    assert run.best.volume == max(entry.volume for entry in seen if entry.acceptable)
    assert all(later.merit > earlier.merit for earlier, later in itertools.pairwise(seen))


def test_an_unbounded_start_is_no_result(problem):
    assert optimise(problem, np.array([[1.0, 0.0], [2.0, 0.0]]), Schedule()).best is None


def test_the_lqr_ellipsoid_touches_the_box_or_the_input_limit(problem):
    def within(bound):
        box = Box.symmetric([bound, np.inf])
        return lqr_ellipsoid(problem.system, Limits.of(box, np.zeros(2), np.ones(2)))

    P, smaller = within(0.5), within(0.05)
    assert np.sqrt(np.linalg.inv(P)[0, 0]) <= 0.5 + 1e-12
    assert np.sqrt(np.linalg.inv(smaller)[0, 0]) == pytest.approx(0.05, rel=1e-6)


def test_directions_repel_each_other_and_their_negatives():
    directions = repelled_directions(3, 3, np.random.default_rng(0), symmetric=True)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1)
    # Three axes are the best placement of three lines.
    assert np.abs(directions @ directions.T - np.eye(3)).max() < 0.05
