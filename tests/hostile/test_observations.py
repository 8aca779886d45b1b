"""Faults of the observation: the safeguard or the watchdog's check says so before the plant leaves
S.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from counts import record
from plants import pendulum

import safe_wrappers as sw
from safe_wrappers.safe_actions import StepCheck

EPISODES, STEPS, START = 128, 60, 20

# What is observed at a time t >= START instead of the true state x: from x, the true state before
# it, and the last observation.
FAULTS = {
    "none": lambda x, before, last, t: x,
    "NaN": lambda x, before, last, t: jnp.full_like(x, jnp.nan),
    "one NaN": lambda x, before, last, t: x.at[1].set(jnp.nan),
    "infinite": lambda x, before, last, t: jnp.full_like(x, jnp.inf),
    "stale": lambda x, before, last, t: last,
    "one step late": lambda x, before, last, t: before,
    "every fifth one lost": lambda x, before, last, t: jnp.where(t % 5 == 0, jnp.nan, x),
    "every fifth one stale": lambda x, before, last, t: jnp.where(t % 5 == 0, last, x),
    "zeros": lambda x, before, last, t: jnp.zeros_like(x),
    "the opposite sign": lambda x, before, last, t: -x,
    "an offset of 0.02": lambda x, before, last, t: x + 0.02,
    "1e30": lambda x, before, last, t: jnp.full_like(x, 1e30),
}


@functools.cache
def system():
    return sw.envs.get_environment("safe_pendulum", safe_set="narrow").system


@functools.cache
def episodes():
    """A compiled function of the fault: true states, executed actions, disturbances and flags, each
    of shape (EPISODES, STEPS, ...).
    """
    plant = system()
    check, safeguard = StepCheck.of(plant), sw.BoundaryProjection()
    W = plant.disturbance_set

    def step(fault, carry, given):
        x, before, last, action = carry
        t, request, w = given
        faulty = jnp.stack([change(x, before, last, t) for change in FAULTS.values()])[fault]
        seen = jnp.where(t < START, x, faulty)
        explained = check.monitor(last, action, seen).modelled | (t == 0)
        output = sw.safe_action(plant, safeguard, seen, request)
        flagged = ~(explained & output.inside & output.feasible & ~output.fallback)
        after = plant.model.step(x, output.action, w)
        return (after, x, seen, output.action), (x, output.action, w, flagged)

    def episode(fault, key):
        start, requests, disturbances = jax.random.split(key, 3)
        x = plant.sample_initial(start)
        # Requests that push to the boundary, for some steps to the same side.
        side = jnp.repeat(jax.random.rademacher(requests, (STEPS // 10, 1)), 10, axis=0)
        w = jax.random.uniform(
            disturbances, (STEPS, 1), minval=jnp.asarray(W.lower), maxval=jnp.asarray(W.upper)
        )
        carry = (x, x, x, jnp.zeros(1))
        given = (jnp.arange(STEPS), side.astype(jnp.float32), w)
        return jax.lax.scan(functools.partial(step, fault), carry, given)[1]

    return jax.jit(jax.vmap(episode, in_axes=(None, 0)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_observation_is_flagged_before_the_plant_leaves_the_set(fault):
    keys = jax.random.split(jax.random.PRNGKey(0), EPISODES)
    x, action, w, flagged = jax.device_get(episodes()(np.int32(list(FAULTS).index(fault)), keys))
    H, h = (np.asarray(v, np.float64) for v in system().safe_state_set.halfspaces())
    # The state after each step, in float64 from the plant in NumPy.
    after = np.stack(
        [pendulum(x[:, t].astype(np.float64), action[:, t], w[:, t, 0:1]) for t in range(STEPS)],
        axis=1,
    )
    left = np.min(h - after @ H.T, axis=2) < 0
    known = np.cumsum(flagged, axis=1) > 0
    silent = (left & ~known).any(axis=1)
    first = np.where(flagged[:, START:].any(1), flagged[:, START:].argmax(1), STEPS)
    record(
        caught=EPISODES - silent.sum(),
        unsafe=silent.sum(),
        note="Episodes with wrong observations; none leaves S before a flag.",
        suite="faults/observations",
    )
    print(
        f"{fault}: {left.any(axis=1).sum()} of {EPISODES} episodes leave S, {silent.sum()} of them "
        f"without a flag; the first flag after {np.median(first):.0f} steps, at most {first.max()}"
    )
    assert not flagged[:, :START].any()
    assert not silent.any()
    assert flagged.any() == (fault != "none")
