"""What float32 does to rows and steps in virtual inputs, against the bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import ARM_V, ARM_W, ARM_X, arm, arm_claim, drone, drone_claim

import safe_wrappers as sw
from safe_wrappers.certificates._virtual_rounding import (
    input_allowance,
    nonlinear_states,
    virtual_rounding_bound,
)
from safe_wrappers.models import InVirtualInputs


def states_of(claim, count=4000):
    rng = np.random.default_rng(0)
    X = claim.constraint_set
    share = rng.uniform(-1, 1, (count, X.dim))
    share[::2] = np.sign(share[::2])
    return (share * np.asarray(X.upper)).astype(np.float32)


@pytest.mark.parametrize("make", [arm_claim, drone_claim], ids=["arm", "drone"])
def test_a_step_loses_less_than_the_allowance(make):
    """An accepted action in float32 against the same in float64, along every facet."""
    claim = make()
    model, V = claim.model, claim.virtual.inputs
    x = states_of(claim)
    rng = np.random.default_rng(1)
    v = rng.uniform(np.asarray(V.lower), np.asarray(V.upper), (len(x), V.dim)).astype(np.float32)
    W = claim.disturbance_set
    w = rng.uniform(np.asarray(W.lower), np.asarray(W.upper), (len(x), W.dim)).astype(np.float32)
    parts = InVirtualInputs(model)
    u = jnp.clip(jax.jit(jax.vmap(parts.actions))(x, v), -1, 1)
    found = np.asarray(jax.jit(jax.vmap(model.unit_step))(x, u, w), np.float64)
    with jax.enable_x64():
        exact = np.asarray(
            jax.vmap(model.unit_step)(*(jnp.asarray(p, jnp.float64) for p in (x, u, w)))
        )
    lost = np.abs((found - exact) @ np.asarray(claim.safe_state_set.H, np.float64).T).max(axis=0)
    assert np.all(lost <= claim.eps)
    assert np.any(lost > claim.eps / 2000)  # the bound is not idle


def test_rows_lose_less_than_the_allowance():
    claim = arm_claim()
    system = sw.ModelSystem(claim, state=lambda state: state)
    x = states_of(claim)
    found = jax.jit(jax.vmap(system.safe_action_set))(x)
    with jax.enable_x64():
        exact = jax.vmap(system.safe_action_set)(jnp.asarray(x, jnp.float64))
    allowed = np.repeat(input_allowance(claim.model, claim.virtual.inputs, ARM_X), 2)
    slopes, bounds = (
        np.abs(np.asarray(one) - np.asarray(two))
        for one, two in ((found.A, exact.A), (found.b, exact.b))
    )
    assert np.all((slopes.sum(axis=2) + bounds).max(axis=0) <= allowed)


def test_the_theorem_and_the_operations_bound_the_same_program():
    """Two joints can be bounded operation by operation, without knowing the armature."""
    claim = arm_claim()
    arguments = (
        claim.virtual.inputs,
        claim.blocks,
        claim.centered_set,
        ARM_X,
        ARM_W,
        claim.center,
    )
    by_least, _ = virtual_rounding_bound(arm(), *arguments)
    heavy = arm(armature=0.0)
    followed, _ = virtual_rounding_bound(heavy, *arguments)
    assert np.isfinite(by_least).all()
    assert np.isfinite(followed).all()


def test_a_small_armature_costs_accuracy():
    V = sw.Box.symmetric(ARM_V)
    allowances = [input_allowance(arm(armature=value), V, ARM_X) for value in (0.5, 0.05, 0.002)]
    assert np.all(allowances[0] < allowances[1])
    assert np.all(allowances[1] < allowances[2])


def test_states_that_enter_nonlinearly_are_found():
    assert nonlinear_states(drone(), drone_claim().constraint_set) == [2]
    assert nonlinear_states(arm(), ARM_X) == [1, 2, 3]
