"""Faults in the solver: every safeguard executes a safe action, or says that it does not."""

import functools
import itertools

import numpy as np
import pytest
from counts import record
from hostile.faults import FAULTS, PLACES, BrokenSolver
from plants import pendulum, quadrotor

import safe_wrappers as sw
from safe_wrappers.safe_actions._candidates import candidates

TAU = {d: (4 * d + 12) * np.finfo(np.float32).eps for d in (1, 2, 3)}
CANDIDATES = {1: np.zeros((1, 1)), 2: candidates(2), 3: candidates(3)}
SAFEGUARDS = {
    "boundary projection": sw.BoundaryProjection(),
    "boundary projection, inward": sw.BoundaryProjection(gradient=sw.safeguards.Inward()),
    "ray mask": sw.RayMask(),
    "ray mask, orthogonal": sw.RayMask(center="orthogonal"),
    "gauge map": sw.GaugeMap(),
    "generator mask": sw.GeneratorMask(),
    "replacement": sw.Replacement(),
}


def growing(H, gain):
    """x' = 1.1 x + gain a + w in {x : |H x| <= 1}, as many actions as states, without blocks: the
    anchor is a solver's. The system, and its plant.
    """

    def plant(x, a, w):
        return 1.1 * x + gain * a + w

    n = H.shape[1]
    claim = sw.Claim(
        sw.Model("growing", plant, n, n, n),
        safe_state_set=sw.Polytope(np.concatenate([H, -H]), np.ones(2 * len(H))),
        constraint_set=sw.Box.symmetric([9.0] * n),
        disturbance_set=sw.Box.symmetric([0.02] * n),
    )
    return sw.ModelSystem(claim, state=lambda state: state.obs), plant


_HEXAGON = [[1, 0], [0.5, np.sqrt(0.75)], [-0.5, np.sqrt(0.75)]]
_TURNED_CUBE = np.array([[1, 2, 2], [2, 1, -2], [2, -2, 1]]) / 3
# With the smaller gain some states have safe actions, but none among the candidates.
GROWING = {
    "two actions": (np.array(_HEXAGON, np.float32), 0.5),
    "two weak actions": (np.array(_HEXAGON, np.float32), 0.13),
    "three actions": (_TURNED_CUBE.astype(np.float32), 0.4),
}


@functools.cache
def plant_of(name):
    """A system, and its plant in NumPy."""
    if name == "one action":
        return sw.envs.get_environment("safe_pendulum", safe_set="narrow").system, pendulum
    if name == "blocks":
        return sw.envs.get_environment("safe_quadrotor").system, quadrotor
    return growing(*GROWING[name])


def states(system, count):
    """States of S on rays from its middle, most of them close to the boundary."""
    rng = np.random.default_rng(0)
    H, h = (np.asarray(v, np.float64) for v in system.safe_state_set.halfspaces())
    ways = rng.normal(size=(count, H.shape[1])) / np.abs(H).max(axis=0)
    gauges = np.max(ways @ H.T / h, axis=1, keepdims=True)
    x = ways / gauges * rng.choice([0.5, 0.99, 0.9999, 0.9999], (count, 1))
    return x.astype(np.float32)


def margins(system, plant, x, action):
    """The least margin of the next states over W, in float64, shape (N,)."""
    H, h = (np.asarray(v, np.float64) for v in system.safe_state_set.halfspaces())
    x, action = x.astype(np.float64), action.astype(np.float64)
    W = np.asarray(system.disturbance_set.vertices(), np.float64)
    return np.min([np.min(h - plant(x, action, w) @ H.T, axis=1) for w in W], axis=0)


def requests(count, d):
    """Corners, inner points and, for a seventh of the states, NaN."""
    found = np.random.default_rng(1).choice([-1.0, 1.0, 0.3], (count, d)).astype(np.float32)
    found[::7] = np.nan
    return found


def tried(monkeypatch, name, safeguard, faults, count):
    """Executes actions under faults: asserts that none is unsafe without a flag, or where a
    candidate is safe, and returns how many of them were unsafe.
    """
    system, plant = plant_of(name)
    call = BrokenSolver(monkeypatch).caller(system, SAFEGUARDS[safeguard])
    x, d = states(system, count), system.action_size
    request, numbers = requests(count, d), list(FAULTS)
    # With one action, and with blocks, the anchor is no solver's.
    closed_form = d == 1 or name == "blocks"
    unsafe = silent = avoidable = fallbacks = 0
    for fault, place in itertools.product(faults, PLACES):
        A, b, output = call(*(numbers.index(fault) * broken for broken in place), x, request)
        assert np.all(np.abs(output.action) <= 1), (fault, place)
        depths = b[:, None] - np.einsum("nmd,kd->nkm", A.astype(np.float64), CANDIDATES[d])
        safe_candidate = np.min(depths, axis=2).max(axis=1) > TAU[d] / 2
        bad = margins(system, plant, x, output.action) < 0
        unsafe += bad.sum()
        silent += (bad & output.feasible).sum()
        avoidable += (bad & (safe_candidate | closed_form)).sum()
        fallbacks += output.fallback.sum()
    total, wrong = count * len(faults) * len(PLACES), max(silent, avoidable)
    note = "Executed actions under a broken solver; none unsafe where a candidate is safe."
    record(caught=total - wrong, unsafe=wrong, note=note, suite=f"faults/{safeguard}")
    print(f"{total} actions, {fallbacks} of them anchors, {unsafe} unsafe and flagged")
    assert silent == avoidable == 0
    return unsafe


QUICK = [
    ("one action", "boundary projection"),
    ("two actions", "ray mask"),
    ("two weak actions", "boundary projection"),
    ("three actions", "boundary projection, inward"),
    ("blocks", "boundary projection"),
]
SLOW = [
    pair
    for pair in itertools.product(("one action", *GROWING, "blocks"), SAFEGUARDS)
    if pair not in QUICK
]


@pytest.mark.parametrize(("name", "safeguard"), QUICK)
def test_no_fault_of_the_solver_executes_an_unsafe_action(name, safeguard, monkeypatch):
    unsafe = tried(monkeypatch, name, safeguard, FAULTS, 300)
    # Where no candidate is safe, an action is executed that is unsafe, and flagged.
    assert (unsafe > 0) == (name == "two weak actions")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "safeguard"), SLOW)
def test_no_fault_of_the_solver_does_for_any_safeguard(name, safeguard, monkeypatch):
    tried(monkeypatch, name, safeguard, FAULTS, 1500)
