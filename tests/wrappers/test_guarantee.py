"""What a safeguard around an environment says of it: never more than the environment is, and only
behind the library's own verified call.
"""

import pytest
from brax.envs.wrappers import training
from integrators import Integrator
from mutants import SAFEGUARD_MUTANTS, RawActionReachesThePlant, replacing

import safe_wrappers as sw
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.certificates import Guarantee, Guaranteed
from safe_wrappers.envs import SafePendulum
from safe_wrappers.safeguards import NAMES, Exact, make_safeguard

GUARD = sw.BoundaryProjection()
SAYS_SO = Guarantee("proved", "I say so")


def pendulum(kind=SafePendulum, **options):
    return kind(safe_set="narrow", **options)


@pytest.mark.parametrize("name", ["step", "_reported", "unwrapped", "guarantee"])
def test_a_wrapper_that_replaces_what_decides_is_tested(name):
    kind = replacing(sw.SafeguardWrapper, name)
    found = kind(pendulum(), GUARD).guarantee
    assert found.status == "tested"
    assert f"`Mine` replaces `{name}` of the library" in found.by


def test_a_wrapper_that_executes_the_request_is_tested():
    assert RawActionReachesThePlant(pendulum(), GUARD).guarantee.status == "tested"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gradient", ["exact", "passthrough", "straight_through", "blend"])
def test_every_safeguard_of_the_library_keeps_the_status(name, gradient):
    guard = make_safeguard(name, gradient=gradient)
    assert sw.SafeguardWrapper(pendulum(), guard).guarantee.status == "proved"


@frozen_pytree
class OwnMap(sw.BoundaryProjection):
    """Its map is verified as any other."""

    def project(self, rows, request, accepted, anchor):
        return request


@frozen_pytree
class OwnCall(sw.BoundaryProjection):
    def __call__(self, action_set, action):
        return super().__call__(action_set, action)


@frozen_pytree
class OwnRule(Exact):
    """A rule can change what is executed after it was verified."""

    def after(self, safe, request, rows, kept):
        return request


@frozen_pytree
class TakesOwnRule(sw.BoundaryProjection):
    """The library's safeguards take the library's rules only."""

    gradients = (*sw.BoundaryProjection.gradients, OwnRule)


def test_a_map_of_ones_own_is_verified():
    assert sw.SafeguardWrapper(pendulum(), OwnMap()).guarantee.status == "proved"


@pytest.mark.parametrize(
    "guard",
    [OwnCall(), TakesOwnRule(gradient=OwnRule()), *SAFEGUARD_MUTANTS],
    ids=lambda guard: f"{type(guard).__name__} {type(guard.rule).__name__}",
)
def test_a_safeguard_that_goes_around_the_verified_call_is_tested(guard):
    found = sw.SafeguardWrapper(pendulum(), guard).guarantee
    assert found.status == "tested"
    assert "of the library" in found.by


def test_a_system_of_another_set_is_tested():
    env = pendulum()
    assert sw.SafeguardWrapper(env, GUARD, system=env.system).guarantee.status == "proved"
    for other in (SafePendulum().system, sw.ModelSystem(env.system.claim, state=env.system.state)):
        assert sw.SafeguardWrapper(env, GUARD, system=other).guarantee.status == "tested"


class SaysSo(Integrator):
    guarantee = SAYS_SO


class SaysSoByAString(Integrator):
    guarantee = "proved: I say so"


class SaysSoByInheritance(Guaranteed, Integrator):
    guarantee = SAYS_SO  # pyright: ignore[reportAssignmentType]


class PendulumSaysSo(SafePendulum):
    """Whoever asks it believes its class; a safeguard does not."""

    guarantee = SAYS_SO  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize(
    "make",
    [SaysSo, SaysSoByAString, SaysSoByInheritance, PendulumSaysSo, Integrator],
    ids=lambda make: make.__name__,
)
def test_no_environments_own_word_is_believed(make):
    assert sw.SafeguardWrapper(make(), GUARD).guarantee.status == "tested"


def test_wrappers_around_the_safeguard_keep_the_status():
    """A repeated action is verified at every repetition."""
    safe = sw.SafeguardWrapper(pendulum(), GUARD, regularisation=0.1, diagnostics=True)
    assert safe.guarantee.status == "proved"
    repeated = training.wrap(safe, episode_length=10, action_repeat=4)  # pyright: ignore[reportArgumentType]
    assert repeated.guarantee == safe.guarantee  # pyright: ignore[reportAttributeAccessIssue]
