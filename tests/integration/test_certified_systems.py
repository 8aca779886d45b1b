"""Every safeguard on every certified system: no exit on long runs, and minimal interventions,
against plants written once more in float64.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import plants
import pytest
from helpers import ENVS, STEPS, keys, margins, requests

import safe_wrappers as sw

SAFEGUARDS = {
    "boundary projection": sw.BoundaryProjection(),
    "linear ray mask": sw.RayMask(mapping="linear"),
    "hyperbolic ray mask": sw.RayMask(),
    "analytic ray mask": sw.RayMask(center="analytic"),
    "box ray mask": sw.RayMask(center="box"),
    "orthogonal ray mask": sw.RayMask(center="orthogonal"),
    "gauge map": sw.GaugeMap(),
    "generator mask": sw.GeneratorMask(),
    "replacement": sw.Replacement(),
}


@functools.cache
def recorded(system: str, safe_set: str, safeguard: str | None) -> tuple[Any, Any]:
    """The environment, and a compiled rollout (keys, requests (T, N, d)) -> states (T + 1, N, n),
    executed actions, disturbances, metrics.
    """
    env = sw.envs.get_environment(system, safe_set=safe_set, disturbance="worst_case")
    env = sw.SafeguardWrapper(env, SAFEGUARDS[safeguard]) if safeguard else env
    x_of = jax.vmap(env.system.state)

    def step(state, request):
        after = jax.vmap(env.step)(state, request)
        executed = after.info["safeguard"]["action"] if safeguard else request
        return after, (x_of(after), executed, after.info["disturbance"], after.metrics)

    @jax.jit
    def rollout(keys, requests):
        first = jax.vmap(env.reset)(keys)
        x, *others = jax.lax.scan(step, first, requests)[1]
        return jnp.concatenate([x_of(first)[None], x]), *others

    return env, lambda *inputs: jax.tree.map(np.asarray, rollout(*inputs))


def check_soak(system, safe_set, safeguard, rollouts):
    """Counts in float64: the states that were reached, and those that any vertex of W could have
    led to; the smallest margin of both.
    """
    env, rollout = recorded(system, safe_set, safeguard)
    H, plant = plants.facets(env.system.claim), plants.PLANTS[system]
    corners = plants.disturbance_vertices(env.system.claim)
    least, interventions = np.inf, 0
    for seed in range(rollouts):
        sent = requests(("random", "bang_bang")[seed % 2], seed, (STEPS, ENVS, env.action_size))
        x, action, w, metrics = rollout(keys(seed), sent)
        assert x.dtype == action.dtype == np.float32
        assert np.all(np.abs(action) <= 1)
        before, after = np.asarray(x[:-1], np.float64), np.asarray(x[1:], np.float64)
        action = np.asarray(action, np.float64)
        # What is reported as executed is what moved the plant.
        np.testing.assert_allclose(
            plant(before, action, np.asarray(w, np.float64)), after, rtol=0, atol=1e-5
        )
        worst = np.min([margins(H, plant(before, action, corner)) for corner in corners], axis=0)
        least = min(least, margins(H, x).min(), worst.min())
        interventions += int(metrics["safeguard/intervention_per_step"].sum())
        assert (
            metrics["safeguard/infeasible_per_step"].sum()
            == metrics["safeguard/fallback_per_step"].sum()
            == metrics["cost_per_step"].sum()
            == 0
        )
    assert least > 0
    assert interventions > 0.005 * rollouts * STEPS * ENVS
    return rollouts * STEPS * ENVS, least


@pytest.mark.parametrize("system", ["safe_cart_pole", "safe_quadrotor"])
def test_no_exit_in_50_000_steps(system):
    """Half random, half bang-bang actions; the same without the safeguard leaves the set."""
    check_soak(system, "wide", "boundary projection", 2)
    env, raw = recorded(system, "wide", None)
    x = raw(keys(0), requests("bang_bang", 0, (STEPS, ENVS, env.action_size)))[0]
    assert (margins(plants.facets(env.system.claim), x) < 0).sum() > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("safeguard", SAFEGUARDS)
@pytest.mark.parametrize(
    ("system", "safe_set"),
    [
        ("safe_pendulum", "full"),
        ("safe_cart_pole", "wide"),
        ("safe_cart_pole", "classic"),
        ("safe_quadrotor", "wide"),
    ],
)
def test_no_exit_in_a_million_steps(system, safe_set, safeguard):
    steps, least = check_soak(system, safe_set, safeguard, 20)
    assert steps > 1_000_000
    print(f"{system} {safe_set} {safeguard}: {steps} steps, 0 exits, least margin {least:.3g}")


def nearest(A, b, request):
    """The projection onto {a in the box : A a <= b} for one or two actions, by trying every face
    and vertex in float64; shapes (N, m, d), (N, m), (N, d).
    """
    d = request.shape[1]
    box = np.broadcast_to(np.concatenate([np.eye(d), -np.eye(d)]), (len(A), 2 * d, d))
    A, b = np.concatenate([A, box], axis=1), np.concatenate([b, np.ones((len(A), 2 * d))], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.sum(A * A, axis=-1)
        excess = np.einsum("smd,sd->sm", A, request) - b
        candidates = [request[:, None], request[:, None] - (excess / lengths)[..., None] * A]
        if d == 2:
            first, second = np.triu_indices(A.shape[1], 1)
            rows = np.stack([A[:, first], A[:, second]], axis=2)
            determinant = rows[..., 0, 0] * rows[..., 1, 1] - rows[..., 0, 1] * rows[..., 1, 0]
            x = (b[:, first] * rows[..., 1, 1] - b[:, second] * rows[..., 0, 1]) / determinant
            y = (b[:, second] * rows[..., 0, 0] - b[:, first] * rows[..., 1, 0]) / determinant
            candidates.append(np.stack([x, y], axis=-1))
        points = np.concatenate(candidates, axis=1)
        feasible = np.all(np.einsum("smd,scd->scm", A, points) <= b[:, None] + 1e-12, axis=-1)
    distance = np.where(feasible, np.sum((points - request[:, None]) ** 2, axis=-1), np.inf)
    assert np.isfinite(distance.min(axis=1)).all()
    return points[np.arange(len(A)), distance.argmin(axis=1)]


@pytest.mark.parametrize("system", ["safe_cart_pole", "safe_quadrotor"])
def test_interventions_are_minimal(system):
    """On visited states the executed action is the exact projection onto the safe action set less
    its rounding allowance.

    The allowance, about 1e-5 of the set's size, moves the action by up to 1e-3 where an actuator
    hardly moves a facet.
    """
    env, rollout = recorded(system, "wide", "boundary projection")
    sent = requests("random", 0, (STEPS, ENVS, env.action_size))
    x, action, _, metrics = rollout(keys(0), sent)
    # A sixth of all steps keeps the oracle cheap.
    x, action, sent, moved = (
        value[::6].reshape(-1, *value.shape[2:])
        for value in (x[:-1], action, sent, metrics["safeguard/intervention_per_step"])
    )
    A, b = plants.action_rows(env.system.claim, plants.PLANTS[system], np.asarray(x, np.float64))
    assert len(x) > 8_000
    assert moved.mean() > 0.005
    np.testing.assert_array_equal(action[moved == 0], sent[moved == 0])
    differences = [
        np.abs(action - nearest(A, b - allowance, np.asarray(sent, np.float64))).max()
        for allowance in (env.system.eps, 0.0)
    ]
    assert differences[0] < 1e-4, differences
    assert differences[1] < 1e-3, differences
