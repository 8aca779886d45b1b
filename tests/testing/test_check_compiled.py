"""The check of compiled programs: quiet where they are right, loud where one is wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import mutants
import pytest

import safe_wrappers as sw
from safe_wrappers._pytree import frozen_pytree
from safe_wrappers.envs import SafePendulum
from safe_wrappers.safe_actions import ModelSystem
from safe_wrappers.testing import check_compiled

ENV = SafePendulum(safe_set="narrow")
FACETS = len(ENV.system.claim.safe_state_set.H)
WRONG_FROM = 2730  # as jaxlib 0.10.2 computed it, where facets x batch exceeded 32,768


@jax.custom_batching.custom_vmap
def miscompiled(b):
    """The bounds of the rows, but in large batches those behind some position are too wide."""
    return b


@miscompiled.def_vmap
def _in_batches(axis_size, _, b):
    wrong = jnp.arange(axis_size) >= WRONG_FROM
    if axis_size * FACETS <= 32_768:
        wrong = jnp.zeros_like(wrong)
    return jnp.where(wrong[:, None], b + 0.5, b), True


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Miscompiled(ModelSystem):
    def safe_action_set(self, x):
        action_set = super().safe_action_set(x)
        return sw.SafeActionSet(action_set.A, miscompiled(action_set.b), action_set.anchor)


@frozen_pytree
class OtherInSmallBatches(sw.BoundaryProjection):
    def __call__(self, action_set, request):
        output = super().__call__(action_set, request)
        return output._replace(action=_halved_in_small_batches(output.action))


@jax.custom_batching.custom_vmap
def _halved_in_small_batches(action):
    return action


@_halved_in_small_batches.def_vmap
def _(axis_size, _, action):
    return action * (0.5 if axis_size < 100 else 1.0), True


def test_a_right_program_passes_with_room():
    report = check_compiled(sw.SafeguardWrapper(ENV, sw.BoundaryProjection()))
    assert report.unchecked == ()
    found = report.findings
    assert found["facets x states"] > 100_000
    assert found["largest error of a row, of its allowance"] < 0.5
    assert found["largest error of a step, of its allowance"] < 0.5
    assert 0 < found["least margin of a next state"] < 1e-4
    assert found["largest difference from batches of 16"] < 1e-6


def test_rows_that_are_wrong_in_large_batches_are_found():
    system = Miscompiled(ENV.system.claim, state=ENV.system.state)
    with pytest.raises(sw.ContractError, match="compiled rows of a safe action set must be"):
        check_compiled(system, 8192)
    assert check_compiled(system, 1024).findings["states"] == 1024  # where it is right


def test_unsafe_actions_are_found():
    with pytest.raises(sw.ContractError, match="next state must lie in the safe set"):
        check_compiled(ENV.system, 256, safeguard=mutants.Nothing())


def test_steps_that_are_not_the_models_are_found():
    def beyond(key, x, a):
        return jnp.full(1, 40.0)

    env = sw.SafeguardWrapper(
        SafePendulum(safe_set="narrow", disturbance=beyond), sw.BoundaryProjection()
    )
    with pytest.raises(sw.ContractError, match="step of the environment reaches must lie in"):
        check_compiled(env, 256)


def test_other_actions_in_small_batches_are_found():
    with pytest.raises(sw.ContractError, match="Batches of 16 must give the actions"):
        check_compiled(ENV.system, 256, safeguard=OtherInSmallBatches())


def test_systems_without_a_claim_are_compared_with_small_batches():
    report = check_compiled(sw.envs.SafeSeeker(), 256)
    assert report.findings["largest difference from batches of 16"] < 1e-5
    assert "ExplicitSystem" in report.unchecked[0]


def test_what_has_no_safe_actions_is_refused():
    with pytest.raises(
        TypeError, match="`subject` is a `int`, but it must be a `SafeguardWrapper`"
    ):
        check_compiled(3)
