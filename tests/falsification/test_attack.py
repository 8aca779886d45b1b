"""The attack breaks what is unsafe, and nothing that is proved; and what it says can be checked."""

import helpers
import jax
import mutants
import numpy as np
import pytest
import square_plant
from falsification import unsafe
from falsification.unsafe import ENV, UNSAFE

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.falsification import _descent
from safe_wrappers.falsification._subject import subject_of
from safe_wrappers.falsification._window import Plan, Windows
from safe_wrappers.safeguards import NAMES

QUICK = (
    "no safeguard",
    "stale state",
    "no rounding allowance",
    "InvertedCondition",
)
SYSTEMS = [
    (system, safe_set)
    for system in sw.envs.registered_names()
    for safe_set in (sw.envs.certificate_names(system) or [None])
]


@pytest.fixture(scope="module")
def bare():
    return sw.attack(ENV, "none", max_steps=1)


@pytest.fixture(scope="module")
def safe():
    return sw.attack(ENV, max_steps=100_000)


def broken(name, **options):
    env, safeguard, claim = UNSAFE[name]()
    return sw.attack(env, safeguard, claim=claim, **options)


@pytest.mark.parametrize("name", QUICK)
def test_what_is_unsafe_is_broken_in_the_first_round(name):
    report = broken(name, max_steps=1)
    assert report.broken
    assert report.margin < 0
    assert report.trajectory.margins[-1] == report.margin
    assert report.found_after <= report.seconds


@pytest.mark.slow
@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_unsafe_is_broken_within_a_minute(name):
    assert broken(name, budget=60).found_after < 60


@pytest.mark.slow
def test_what_is_safe_is_not_broken_whatever_else_is_wrong():
    assert not sw.attack(ENV, mutants.AlwaysTheAnchor(), max_steps=100_000).broken


@pytest.mark.slow
@pytest.mark.parametrize("safeguard", NAMES)
@pytest.mark.parametrize(("system", "safe_set"), SYSTEMS)
def test_no_shipped_system_is_broken(system, safe_set, safeguard):
    own = {} if safe_set is None else {"safe_set": safe_set}
    report = sw.attack(sw.envs.get_environment(system, **own), safeguard, budget=60)
    print(f"{system} {safe_set} {safeguard}: {report.message}")
    assert not report.broken
    assert report.margin > 0


def test_the_boundary_is_reached_up_to_the_rounding_allowance_and_no_closer(safe):
    assert not safe.broken
    assert safe.found_after is None
    assert safe.steps >= 100_000
    assert 0 < safe.margin < 1e-4


@pytest.mark.parametrize("which", ["bare", "safe"])
def test_the_margins_are_those_of_a_pendulum_written_anew(which, request):
    report = request.getfixturevalue(which)
    x, _, executed, w, margins = report.trajectory
    H = helpers.facets(ENV)
    np.testing.assert_allclose(margins, helpers.worst_margins(H, x[:-1], executed[:, 0]), atol=2e-6)
    after = helpers.pendulum_step(x[:-1], executed[:, 0], w[:, 0])
    np.testing.assert_allclose(x[1:], after, atol=1e-5)
    worst = helpers.pendulum_step(x[-2], executed[-1, 0], report.worst_disturbance[0])
    np.testing.assert_allclose(helpers.margins(H, worst), report.margin, atol=2e-6)


@pytest.mark.parametrize("which", ["bare", "safe"])
def test_the_worst_trajectory_can_be_run_again(which, request):
    report = request.getfixturevalue(which)
    for again, found in zip(report.replay(), report.trajectory, strict=True):
        np.testing.assert_array_equal(again, found)


def test_the_same_seed_searches_the_same_and_another_one_elsewhere(bare):
    same, other = sw.attack(ENV, "none", max_steps=1), sw.attack(ENV, "none", max_steps=1, seed=1)
    np.testing.assert_array_equal(same.trajectory.states, bare.trajectory.states)
    assert (same.exits, same.strategy) == (bare.exits, bare.strategy)
    assert not np.array_equal(other.trajectory.states[0], bare.trajectory.states[0])


def test_the_search_ends_with_the_first_exit_or_goes_on(bare):
    longer = sw.attack(ENV, "none", max_steps=3 * bare.steps, keep_going=True)
    assert longer.steps >= 3 * bare.steps
    assert longer.exits > bare.exits
    assert longer.margin <= bare.margin
    assert longer.found_after < longer.seconds


def test_a_step_is_judged_by_every_disturbance_and_by_no_report_of_the_plant():
    report = broken("clamped", max_steps=1)
    x, executed = report.trajectory.states, report.trajectory.executed
    assert (helpers.margins(helpers.facets(ENV), x) > 0).all()  # what the plant reports is inside
    assert report.margin < -0.1
    worst = helpers.worst_margins(helpers.facets(ENV), x[-2], executed[-1, 0])
    np.testing.assert_allclose(worst, report.margin, atol=1e-6)


def test_another_claim_can_be_the_one_that_is_meant():
    env = unsafe.Bare(unsafe.enlarged_claim())
    assert sw.attack(env, claim=unsafe.CLAIM, max_steps=1).claim == unsafe.CLAIM.digest
    certificate = ENV.system.certificate
    assert sw.attack(ENV, claim=certificate, max_steps=1).claim == unsafe.CLAIM.digest


def test_requests_and_disturbances_that_follow_the_gradient_lead_farther_out_than_random_ones():
    windows = Windows(subject_of(square_plant.Square(square_plant.claim), "none", None))
    rng = np.random.default_rng(0)
    x = 0.3 * windows.sample(_descent.COUNT, 0)

    def least(requests, disturbances):
        given = np.zeros(_descent.COUNT, np.int32)
        plan = (requests, disturbances, given, given, np.zeros_like(x))
        return windows.run(x, Plan(*plan)).least.min(axis=0)

    random = rng.uniform(-1, 1, (_descent.LENGTH, _descent.COUNT, 1)).astype(np.float32)
    steepest = _descent.descended(windows, x, rng)
    assert np.median(least(*steepest)) < np.median(least(random, 0 * random)) - 0.2


@frozen_pytree
class OnTheHost(BoundaryProjection):
    """Calls back to Python, which has no derivative."""

    def project(self, rows, request, accepted, anchor):
        projected = super().project(rows, request, accepted, anchor)
        shape = jax.ShapeDtypeStruct(projected.shape, projected.dtype)
        return jax.pure_callback(np.asarray, shape, projected, vmap_method="expand_dims")


@pytest.mark.slow
def test_a_safeguard_without_a_derivative_is_attacked_without_gradients():
    report = sw.attack(ENV, OnTheHost(), max_steps=450_000)
    assert report.steps >= 450_000
    assert not report.broken


def test_progress_is_said():
    said = []
    sw.attack(ENV, "none", max_steps=1, progress=said.append)
    assert len(said) == 1
    assert "exits, least margin -" in said[0]
