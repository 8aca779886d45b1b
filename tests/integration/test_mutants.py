"""The mistakes that the tests must catch: every mutant fails the very check that the real safeguard passes."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import RecordingPendulum, facets, keys, margins, record, recorded, requests, states_in, worst_margins

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection, Box, Polytope
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.envs import SafePendulum
from safe_wrappers.models import Model
from safe_wrappers.safeguards import NAMES, Safeguard, make_safeguard
from safe_wrappers.safeguards._centers import inner_box

ENV = SafePendulum(safe_set="narrow")


def check_containment(safeguard, system=ENV.system):
    """One step from 4,000 states of S, half of them at the boundary, for requests of every kind: no vertex of W leads out of S."""
    x = states_in(ENV, 4000)
    call = jax.jit(jax.vmap(lambda x, a: safeguard(system.safe_action_set(x), a).action))
    rng = np.random.default_rng(0)
    for request in (rng.uniform(-1, 1, 4000), rng.choice([-1, 1], 4000), 10 * rng.normal(size=4000), np.full(4000, np.nan)):
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
    """Whatever the environment reports of itself: no state outside S, and no executed action that could lead out of it."""
    H = facets(ENV)
    assert margins(H, x).min() > 0
    assert worst_margins(H, x[:-1], action).min() > 0


@frozen_pytree
class Nothing(Safeguard):
    """Executes every request."""

    def project(self, rows, request, accepted, anchor):
        return request

    def _verified(self, rows, request, accepted, anchor):
        return request, jnp.zeros((), bool)


@frozen_pytree
class InvertedCondition(BoundaryProjection):
    """Projects the actions that are safe and executes those that are not."""

    def _verified(self, rows, request, accepted, anchor):
        safe, fallback = super()._verified(rows, request, accepted, anchor)
        return jnp.where(accepted, safe, request), fallback


@frozen_pytree
class RawActionOnFailure(Safeguard):
    """Its solver fails where the request is far from safe, and then the request is executed."""

    def project(self, rows, request, accepted, anchor):
        return BoundaryProjection().project(rows, request, accepted, anchor)

    def _verified(self, rows, request, accepted, anchor):
        mapped = self.project(rows, request, accepted, anchor)
        failed = jnp.abs(mapped - request)[0] > 0.5
        return jnp.where(failed, request, mapped), failed


@frozen_pytree
class RayMaskWithoutItsFactor(Safeguard):
    """A ray mask from the anchor that lost the factor lam_s / lam_A: it scales by lam_a only. Unverified, as it was."""

    def _verified(self, rows, request, accepted, anchor):
        return self.project(rows, request, accepted, anchor), jnp.zeros((), bool)

    def project(self, rows, request, accepted, anchor):
        direction = jnp.where(request >= anchor, 1.0, -1.0)
        to_box = jnp.maximum(1 - direction * anchor, 1e-6)
        return anchor + direction * jnp.abs(request - anchor) / to_box


@frozen_pytree
class RayMask(RayMaskWithoutItsFactor):
    """The same with the factor."""

    def project(self, rows, request, accepted, anchor):
        direction = jnp.where(request >= anchor, 1.0, -1.0)
        to_box = jnp.maximum(1 - direction * anchor, 1e-6)
        to_boundary = jnp.minimum(jnp.where(direction > 0, rows.b[1], rows.b[0])[0] - direction * anchor - rows.tau, to_box)
        return anchor + direction * jnp.abs(request - anchor) / to_box * to_boundary


@frozen_pytree
class InvertedReplacement(Safeguard):
    """Keeps the actions that are unsafe and replaces those that are safe. Unverified."""

    def _verified(self, rows, request, accepted, anchor):
        return self.project(rows, request, accepted, anchor), jnp.zeros((), bool)

    def project(self, rows, request, accepted, anchor):
        return jnp.where(accepted, anchor, request)


@frozen_pytree
class GeneratorMaskWithoutItsCenter(Safeguard):
    """Scales by the half width of the interval, about 0. Unverified."""

    def _verified(self, rows, request, accepted, anchor):
        return self.project(rows, request, accepted, anchor), jnp.zeros((), bool)

    def project(self, rows, request, accepted, anchor):
        return inner_box(rows)[1] * request


@frozen_pytree
class UncheckedBox(BoundaryProjection):
    """Forgets the action box: it trusts the rows alone."""

    def __call__(self, action_set, action):
        output = super().__call__(action_set, action)
        return output._replace(action=jnp.where(output.intervened & jnp.isfinite(action), action, output.action))


class RandomDirections(BoundaryProjection):
    """Draws its centre anew at every call: safe or not, it is no function."""

    draws = itertools.count()

    def __call__(self, action_set, action):
        output = super().__call__(action_set, action)
        shift = np.random.default_rng(next(self.draws)).uniform(0, 1)
        return output._replace(action=output.action + shift * (action_set.anchor - output.action))


SAFEGUARD_MUTANTS = [
    Nothing(),
    InvertedCondition(),
    RawActionOnFailure(),
    RayMaskWithoutItsFactor(),
    InvertedReplacement(),
    GeneratorMaskWithoutItsCenter(),
    UncheckedBox(),
]


REAL_SAFEGUARDS = {
    **{name: make_safeguard(name) for name in NAMES},
    "straight_through": BoundaryProjection(gradient="straight_through"),
    "ray with its factor, unverified": RayMask(),
}


@pytest.mark.parametrize("safeguard", REAL_SAFEGUARDS.values(), ids=REAL_SAFEGUARDS.keys())
def test_real_safeguards_pass_the_containment_check(safeguard):
    check_containment(safeguard)


@pytest.mark.parametrize("safeguard", SAFEGUARD_MUTANTS, ids=lambda safeguard: type(safeguard).__name__)
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


def linearised_once():
    """The model linearised at the origin, whatever the state: no remainder, no new linearisation."""
    model = ENV.model
    zero = (jnp.zeros(2), jnp.zeros(1), jnp.zeros(1))
    jacobian = jax.jacfwd(model.step)(*zero)
    return Model("linearised", lambda x, a, w: model.step(*zero) + jacobian @ x + model.step(0 * x, a, w), 2, 1, 1)


def system_with(**changes):
    system = ENV.system
    parts = {field.name: getattr(system, field.name) for field in dataclasses.fields(system) if field.init}
    return sw.ModelSystem(**{**parts, **changes})


SYSTEM_MUTANTS = {
    "linearised at a fixed point": lambda: system_with(model=linearised_once()),
    "the disturbance enters through a factor of zero": lambda: system_with(disturbance_set=Box.symmetric([0.0])),
    "a placeholder set, a box 100 times too large": lambda: system_with(safe_state_set=Polytope(*Box.symmetric([50.0, 800.0]).halfspaces()), eps=2e-5),
    "the constraints as the set, not invariant": lambda: system_with(safe_state_set=Polytope(*Box.symmetric([0.5, 8.0]).halfspaces()), eps=2e-5),
    "another time step": lambda: system_with(model=sw.envs.models.pendulum(dt=0.04)),
}


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


class Clamped(RecordingPendulum):
    """Clamps the state into its box, which hides every exit from what the environment reports."""

    def _pipeline_step(self, pipeline_state, x, action, w):
        box = jnp.array([0.25, 4.0])  # inside S
        return self._pipeline_init(jnp.clip(self.model(x, action, w), -box, box))


class RawActionReachesThePlant(sw.SafeguardWrapper):
    """Reports the safe action and executes the request, as a wrapper does that is stepped around."""

    def step(self, state, action):
        safe = super().step(state, action)
        return self.env.step(state, action).replace(metrics=safe.metrics, info={**safe.info, "executed": action})


def test_environments_that_hide_their_exits_are_caught():
    check_rollout(*recorded("narrow")(keys(0), requests("random", 0)))
    x, action, info, metrics = rollout(Clamped(safe_set="narrow", disturbance="worst_case"))
    assert margins(facets(ENV), x).min() > 0  # no state shows an exit
    assert not metrics["left_set_per_step"].any()
    with pytest.raises(AssertionError):
        check_rollout(x, action, info, metrics)


def test_a_wrapper_that_is_stepped_around_is_caught():
    with pytest.raises(AssertionError):
        check_rollout(*rollout(RawActionReachesThePlant(RecordingPendulum(safe_set="narrow", disturbance="worst_case"), BoundaryProjection())))
