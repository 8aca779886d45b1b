"""The robots behind a safeguard: no exit, whatever is asked for, judged in float64 by plants that
are formulated in another way.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys, margins, requests
from params import quick
from robot_plants import ROBOTS

import safe_wrappers as sw

ENVS, STEPS = 128, 100
QUICK = quick([robot for robot in ROBOTS if "2_links" in robot or "wide" in robot], ROBOTS)


@functools.cache
def recorded(system, safe_set, safeguarded, commands="actions"):
    """The environment, and a compiled rollout (keys, requests (T, N, d)) -> states (T + 1, N, n),
    executed actions of the plant, metrics.
    """
    env = sw.envs.get_environment(
        system, safe_set=safe_set, disturbance="worst_case", commands=commands
    )
    plant_action = getattr(env.model, "executed", lambda x, action: action)
    env = sw.SafeguardWrapper(env, sw.BoundaryProjection()) if safeguarded else env
    x_of = jax.vmap(env.system.state)

    def step(state, request):
        after = jax.vmap(env.step)(state, request)
        executed = after.info["safeguard"]["action"] if safeguarded else request
        executed = jax.vmap(plant_action)(x_of(state), executed)
        return after, (x_of(after), executed, after.metrics)

    @jax.jit
    def rollout(keys, requests):
        first = jax.vmap(env.reset)(keys)
        x, *others = jax.lax.scan(step, first, requests)[1]
        return jnp.concatenate([x_of(first)[None], x]), *others

    return env, lambda *inputs: jax.tree.map(np.asarray, rollout(*inputs))


def worst_margins(plant, claim, x, action):
    """The least margin of the next states under every disturbance in W, which enter the plants
    linearly and at the same rate in every state.
    """
    H, k = np.asarray(claim.safe_state_set.H, np.float64), claim.model.disturbance_size
    some = np.zeros(x.shape[-1]), np.zeros(action.shape[-1])
    E = np.stack([plant(*some, e) - plant(*some, np.zeros(k)) for e in np.eye(k)], axis=-1)
    push = np.abs(H @ E) @ np.asarray(claim.disturbance_set.upper, np.float64)
    value = 1 - plant(x, action, np.zeros(k)) @ H.T - push
    return np.where(np.isfinite(value), value, -np.inf).min(axis=-1)


def soak(system, safe_set, rollouts, commands="actions"):
    """How many steps, the least margin of what was and could have been reached, interventions."""
    env, rollout = recorded(system, safe_set, True, commands)
    claim, plant = env.system.claim, ROBOTS[system, safe_set]
    H = np.asarray(claim.safe_state_set.H, np.float64)
    least, moved = np.inf, 0
    for seed in range(rollouts):
        kind = ("random", "bang_bang")[seed % 2]
        x, action, metrics = rollout(
            keys(seed, ENVS), requests(kind, seed, (STEPS, ENVS, env.action_size))
        )
        assert x.dtype == action.dtype == np.float32
        assert np.all(np.abs(action) <= 1)
        worst = worst_margins(plant, claim, x[:-1].astype(np.float64), action.astype(np.float64))
        least = min(least, margins(H, x).min(), worst.min())
        moved += int(metrics["safeguard/intervention_per_step"].sum())
        for flag in ("safeguard/infeasible_per_step", "safeguard/fallback_per_step"):
            assert metrics[flag].sum() == 0
        assert metrics["cost_per_step"].sum() == 0
    return rollouts * STEPS * ENVS, least, moved


@pytest.mark.parametrize(("system", "safe_set"), QUICK)
def test_no_exit_and_without_the_safeguard_they_leave(system, safe_set):
    steps, least, moved = soak(system, safe_set, 2)
    assert steps > 25_000
    assert least > 0
    assert moved > 0.005 * steps
    env, raw = recorded(system, safe_set, False)
    H = np.asarray(env.system.claim.safe_state_set.H, np.float64)
    x = raw(keys(0, ENVS), requests("bang_bang", 0, (STEPS, ENVS, env.action_size)))[0]
    with np.errstate(invalid="ignore"):  # some fly off to infinity
        assert (margins(H, x) < 0).sum() > 1_000


@pytest.mark.parametrize(
    ("system", "safe_set"), quick([robot for robot in ROBOTS if "2_links" in robot], ROBOTS)
)
def test_no_exit_where_accelerations_are_commanded(system, safe_set):
    steps, least, moved = soak(system, safe_set, 2, "virtual")
    assert steps > 25_000
    assert least > 0
    assert moved > 0.005 * steps


@pytest.mark.slow
@pytest.mark.parametrize("commands", ["actions", "virtual"])
@pytest.mark.parametrize(("system", "safe_set"), ROBOTS)
def test_no_exit_in_a_million_steps(system, safe_set, commands):
    steps, least, _ = soak(system, safe_set, 80, commands)
    assert steps > 1_000_000
    print(f"{system} {safe_set} {commands}: {steps} steps, 0 exits, least margin {least:.3g}")
    assert least > 0
