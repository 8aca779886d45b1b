"""Brax's arms, unchanged, with all their joints inside a set in blocks."""

import numpy as np
import pytest
from brax_robots import KINDS, LIMITS, exits, robot, rollout, safeguarded, system_of
from helpers import keys

import safe_wrappers as sw

pytestmark = pytest.mark.filterwarnings(
    "ignore:Brax System, piplines and environments are not actively",
    "ignore:.*has .* states",
    "ignore:At .* bodies touch",
)


@pytest.mark.parametrize(("name", "share"), [("reacher", 0.88), ("pusher", 0.4)])
@pytest.mark.slow
def test_all_joints_are_in_one_proved_set(name, share):
    _, fit, certificate = robot(name)
    assert certificate.record is not None
    assert certificate.metadata["share_of_constraints"] > share
    assert len(certificate.claim.blocks) == fit.model.action_size
    assert safeguarded(name).guarantee.status == "tested"


@pytest.mark.slow
def test_reacher_keeps_both_joints_and_their_speeds():
    """30,000 steps from all over the safe set; greedy ones ask for what leaves it first."""
    run = rollout("reacher", 50)
    for kind in KINDS:
        x, (moved, unmodelled, infeasible) = run(kind, keys(0, 200))
        assert exits("reacher", x) == 0
        assert (np.abs(x) <= np.asarray(LIMITS["reacher"].upper)).all()
        assert not np.any(unmodelled)
        assert not np.any(infeasible)
        assert np.mean(moved) > 0.03


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reacher", "pusher"])
def test_without_the_safeguard_they_leave(name):
    x, _ = rollout(name, 100, safe=False)("bang-bang", keys(0, 64))
    assert exits(name, x) > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["reacher", "pusher"])
def test_a_million_steps(name, kind):
    run = rollout(name, 250)
    for seed in range(4):
        x, (_, unmodelled, infeasible) = run(kind, keys(seed, 1_000))
        assert exits(name, x) == 0
        assert not np.any(unmodelled)
        assert not np.any(infeasible)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reacher", "pusher"])
def test_the_equations_are_what_brax_steps(name):
    report = sw.conform(safeguarded(name))
    assert report.conforms, report.message
    assert np.any(
        report.total_cover.upper > 0.3 * np.asarray(system_of(name).disturbance_set.upper)
    )
