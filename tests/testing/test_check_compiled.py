"""The check of compiled programs: quiet where they are right, loud where one is wrong."""

import dataclasses

import jax
import jax.numpy as jnp
import mutants
import numpy as np
import pytest
from params import quick

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


SHIPPED = [
    (name, safe_set)
    for name in sw.envs.registered_names()
    for safe_set in sw.envs.certificate_names(name) or (None,)
]
# Arms with more joints run the same program with more of them.
FEW_JOINTS = [pair for pair in SHIPPED if pair[1] not in ("3_links", "7_links")]


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "safe_set"), quick(FEW_JOINTS, SHIPPED))
def test_every_shipped_set_is_right_in_large_batches(name, safe_set):
    """The last facets of the last states were the wrong ones when a compiler failed."""
    options = {} if safe_set is None else {"safe_set": safe_set}
    system = sw.envs.get_environment(name, **options).system
    found = check_compiled(system).findings
    assert found["facets x states"] > 100_000
    in_virtual_inputs = safe_set is not None and system.claim.virtual is not None
    # Ends of intervals are quotients by slopes of a hundredth, which magnify rounding.
    assert found["largest difference from rows without jit"] < (5e-5 if in_virtual_inputs else 1e-5)
    assert found["largest difference from batches of 16"] < 1e-5
    if safe_set is not None:
        if system.claim.virtual is None:  # else rows are not those of the facets
            assert found["largest error of a row, of its allowance"] < 0.5
        assert found["least margin of a next state"] > 0


@pytest.mark.gpu
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


def test_a_compiler_with_the_known_defect_is_trusted_with_no_system(monkeypatch):
    """Whatever the system: rows of its own may be right by luck. The defect itself is imitated;
    the check was seen to refuse the real jaxlib 0.10.2.
    """
    sine = jnp.sin
    lost = jax.custom_batching.custom_vmap(sine)
    lost.def_vmap(lambda size, _, x: (sine(x) * (jnp.arange(size) < WRONG_FROM), True))
    monkeypatch.setattr(jnp, "sin", lost)
    with pytest.raises(sw.ContractError, match="A program that a compiler is known to have"):
        check_compiled(sw.envs.SafeSeeker(), 256)


def test_rows_that_jit_changes_are_found_without_a_claim():
    seeker = sw.envs.SafeSeeker().system

    def rows(x):
        A, b = seeker.rows(x)
        # Under `vmap` alone the tracer holds numbers; under `jit` it holds another tracer.
        compiled = isinstance(getattr(x, "val", x), jax.core.Tracer)
        return A, b + 0.01 * compiled

    with pytest.raises(sw.ContractError, match="those of the same operations one by one"):
        check_compiled(dataclasses.replace(seeker, rows=rows), 256)


@pytest.mark.slow
def test_a_set_that_is_not_proved_need_not_have_a_safe_action_everywhere():
    """But where one is found it must be safe."""
    W = ENV.system.claim.disturbance_set
    stronger = sw.Box(1000 * np.asarray(W.lower), 1000 * np.asarray(W.upper))
    claim = dataclasses.replace(ENV.system.claim, disturbance_set=stronger)
    system = ModelSystem(claim, state=ENV.system.state)
    x = jax.vmap(system.sample_initial)(jax.random.split(jax.random.PRNGKey(0), 100))
    found = jax.vmap(lambda x: sw.safe_action(system, sw.BoundaryProjection(), x, jnp.zeros(1)))(x)
    assert 0 < found.feasible.mean() < 1
    report = check_compiled(system, 1024)
    assert "the set is not proved" in report.unchecked[0]
    assert report.findings["least margin of a next state"] > 0
    with pytest.raises(sw.ContractError, match="next state must lie in the safe set"):
        check_compiled(system, 1024, safeguard=mutants.Nothing())


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
