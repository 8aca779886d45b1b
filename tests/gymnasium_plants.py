"""Gymnasium's own environments as plants, with their proved sets, and what is asked of them behind
the safeguard and without it.
"""

import functools

import gymnasium
import jax
import numpy as np

import safe_wrappers as sw

KEY = jax.random.PRNGKey(0)
# The rail ends at 1 m, and the episode at 0.2 rad.
UPRIGHT = sw.Box.symmetric([0.9, 0.18, 2.0, 2.0])
# At -1.2 is an inelastic wall, and beyond 0.07 the speed is clipped: neither is a polynomial, so a
# step from the limits must not reach them. The goal, at 0.45, lies inside.
VALLEY = sw.Box([-1.12, -0.065], [0.48, 0.065])


def certified(plant, limits, degree, facets):
    surrogate = sw.fit_surrogate(plant, limits, KEY, degree=degree, samples=4_096)
    certificate = sw.certify(
        surrogate.model,
        constraints=limits,
        disturbances=surrogate.disturbance_set,
        facets=facets,
        seeds=1,
        disturbance_scales=[1.0],
        progress=False,
    )
    return plant, sw.ModelSystem(certificate, state=plant.state)


@functools.cache
def pendulum():
    return certified(sw.GymPlant(gymnasium.make("InvertedPendulum-v5")), UPRIGHT, 3, 10)


@functools.cache
def car():
    def set_state(env, x):
        env.state = np.array(x, np.float32)
        return env.state

    env = gymnasium.make("MountainCarContinuous-v0")
    return certified(sw.GymPlant(env, lambda env: env.state, set_state), VALLEY, 7, 10)


def safe(plant, system):
    return sw.GymSafeguardWrapper(
        plant.env, sw.BoundaryProjection(), system=system, set_state=plant.set_state
    )


def requests(space, kind, steps, rng):
    """Uniform in the action space, or its bounds, each held for a while."""
    if kind == "random":
        return rng.uniform(space.low, space.high, (steps, *space.shape)).astype(space.dtype)
    signs = np.where(np.cumsum(rng.random(steps) < 0.1) % 2, 1.0, -1.0)
    return np.where(signs[:, None] > 0, space.high, space.low)


def outside(system, x):
    H, h = (np.asarray(part, np.float64) for part in system.safe_state_set.halfspaces())
    return (np.asarray(x, np.float64) @ H.T > h).any(axis=1)


def rollout(env, plant, kind, episodes, steps):
    """States, and how many of the requests were replaced, of episodes from the safe set that are
    not cut short.
    """
    states, replaced, rng = [], 0, np.random.default_rng(1)
    for seed in range(episodes):
        env.reset(seed=seed)
        for request in requests(env.action_space, kind, steps, rng):
            info = env.step(request)[4]
            states.append(plant.state(env.unwrapped))
            replaced += info["safeguard"]["intervened"] if "safeguard" in info else 0
    return np.array(states), replaced / len(states)


def require_conformance(plant, system):
    """It steps the surrogate, on steps that the fit has not seen, and W is not vain."""
    assert system.guarantee.status == "proved"
    report = sw.conform(safe(plant, system), samples=500)
    assert report.conforms, report.message
    reach = np.abs(report.total_cover.upper) / np.asarray(system.disturbance_set.upper)
    assert 0.1 < reach.max() < 1


def require_containment(plant, system, kind, episodes, steps):
    """Behind the safeguard no state of episodes from all over the set is outside."""
    env = safe(plant, system)
    assert env.guarantee.status == "tested"
    x, replaced = rollout(env, plant, kind, episodes, steps)
    assert not outside(system, x).any()
    assert 0.01 < replaced < 1


def share_that_leaves(plant, system, episodes=10, steps=200):
    """The share of episodes from the set that leave it without the safeguard, bang-bang."""
    env, guarded, left = plant.env.unwrapped, safe(plant, system), 0
    for seed in range(episodes):
        guarded.reset(seed=seed)
        rng, x = np.random.default_rng(seed), []
        for request in requests(env.action_space, "bang-bang", steps, rng):
            env.step(request)
            x.append(plant.state(env))
        left += outside(system, x).any()
    return left / episodes
