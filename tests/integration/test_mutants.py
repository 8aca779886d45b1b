"""The mistakes that the tests must catch: every mutant fails the very check that the real safeguard
passes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    RecordingPendulum,
    facets,
    keys,
    margins,
    record,
    recorded,
    requests,
    states_in,
    worst_margins,
)
from mutants import (
    ENV,
    SAFEGUARD_MUTANTS,
    SYSTEM_MUTANTS,
    Clamped,
    GeneratorMaskWithoutItsCenter,
    InvertedReplacement,
    Nothing,
    RandomDirections,
    RawActionReachesThePlant,
    RayMask,
    RayMaskWithoutItsFactor,
    system_with,
)

from safe_wrappers import BoundaryProjection
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.safeguards import NAMES, Safeguard, make_safeguard


def check_containment(safeguard, system=ENV.system):
    """One step from 4,000 states of S, half of them at the boundary, for requests of every kind: no
    vertex of W leads out of S.
    """
    x = states_in(ENV, 4000)
    call = jax.jit(jax.vmap(lambda x, a: safeguard(system.safe_action_set(x), a).action))
    rng = np.random.default_rng(0)
    for request in (
        rng.uniform(-1, 1, 4000),
        rng.choice([-1, 1], 4000),
        10 * rng.normal(size=4000),
        np.full(4000, np.nan),
    ):
        action = np.asarray(call(x, request[:, None].astype(np.float32)))[:, 0]
        assert np.all(np.abs(action) <= 1)
        assert worst_margins(facets(ENV), x, action).min() > 0


def check_determinism(safeguard):
    """The same state and request give the same action, call after call."""
    action_set = ENV.system.safe_action_set(jnp.array([0.45, 0.0]))
    first, second = (np.asarray(safeguard(action_set, jnp.array([0.9])).action) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def rollout(env):
    """Under random actions and worst-case disturbances."""
    return record(env)(keys(0), requests("random", 0))


def check_rollout(x, action, *reported):
    """Whatever the environment reports of itself: no state outside S, and no executed action that
    could lead out of it.
    """
    H = facets(ENV)
    assert margins(H, x).min() > 0
    assert worst_margins(H, x[:-1], action).min() > 0


REAL_SAFEGUARDS = {
    **{name: make_safeguard(name) for name in NAMES},
    "straight_through": BoundaryProjection(gradient="straight_through"),
    "ray with its factor, unverified": RayMask(),
}


@pytest.mark.parametrize("safeguard", REAL_SAFEGUARDS.values(), ids=REAL_SAFEGUARDS.keys())
def test_real_safeguards_pass_the_containment_check(safeguard):
    check_containment(safeguard)


@pytest.mark.parametrize(
    "safeguard", SAFEGUARD_MUTANTS, ids=lambda safeguard: type(safeguard).__name__
)
def test_mutant_safeguards_fail_it(safeguard):
    with pytest.raises(AssertionError):
        check_containment(safeguard)


@frozen_pytree
class Verified(Safeguard):
    """A mutant's map inside the verified call."""

    mutant: Safeguard = Nothing()

    def project(self, rows, request, accepted, anchor):
        return self.mutant.project(rows, request, accepted, anchor)


@pytest.mark.parametrize(
    "mutant",
    [Nothing(), RayMaskWithoutItsFactor(), InvertedReplacement(), GeneratorMaskWithoutItsCenter()],
    ids=lambda mutant: type(mutant).__name__,
)
def test_the_verified_call_makes_a_mutant_map_harmless(mutant):
    check_containment(Verified(mutant=mutant))


@pytest.mark.parametrize("mutant", SYSTEM_MUTANTS)
def test_mutant_systems_fail_the_containment_check(mutant):
    with pytest.raises(AssertionError):
        check_containment(BoundaryProjection(), SYSTEM_MUTANTS[mutant]())


def test_the_real_system_rebuilt_passes():
    check_containment(BoundaryProjection(), system_with())


def test_a_random_safeguard_is_no_function():
    check_determinism(BoundaryProjection())
    with pytest.raises(AssertionError):
        check_determinism(RandomDirections())


def test_environments_that_hide_their_exits_are_caught():
    check_rollout(*recorded("narrow")(keys(0), requests("random", 0)))
    x, action, info, metrics = rollout(Clamped(safe_set="narrow", disturbance="worst_case"))
    assert margins(facets(ENV), x).min() > 0  # no state shows an exit
    assert not metrics["left_set_per_step"].any()
    with pytest.raises(AssertionError):
        check_rollout(x, action, info, metrics)


def test_a_wrapper_that_is_stepped_around_is_caught():
    with pytest.raises(AssertionError):
        check_rollout(
            *rollout(
                RawActionReachesThePlant(
                    RecordingPendulum(safe_set="narrow", disturbance="worst_case"),
                    BoundaryProjection(),
                )
            )
        )
