"""A car that keeps its lane with a plan in its state: a larger set, proved, and never left."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import keys
from lane_car import HORIZON, LIMITS, WINDS, car, certificates, plant
from scipy.optimize import linprog

import safe_wrappers as sw
from safe_wrappers.envs import CertifiedEnv

ENVS, STEPS = 128, 100


class Lane(CertifiedEnv):
    """Drive fast along the left edge, which a plan must allow."""

    observation_size = 3 + HORIZON

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -((x[0] - 0.9) ** 2)


@functools.cache
def rollout(safe=True):
    env = Lane(certificates()[1], disturbance="worst_case")
    env = sw.SafeguardWrapper(env, sw.BoundaryProjection()) if safe else env

    def step(state, request):
        after = jax.vmap(env.step)(state, request)
        executed = after.info["safeguard"]["action"] if safe else request
        found = after.metrics if safe else {}
        return after, (jax.vmap(env.system.state)(after), executed, found)

    @jax.jit
    def run(keys, requests, starts=None):
        first = (
            jax.vmap(env.reset)(keys) if starts is None else jax.vmap(env.reset_to)(starts, keys)
        )
        x, *others = jax.lax.scan(step, first, requests)[1]
        return jnp.concatenate([jax.vmap(env.system.state)(first)[None], x]), *others

    return run


def held(seed, share=0.1):
    """Bang-bang requests that hold each sign for ten steps on average."""
    rng = np.random.default_rng(seed)
    flips = np.where(rng.random((STEPS, ENVS, 1)) < share, -1.0, 1.0)
    return np.float32(np.cumprod(flips, axis=0) * rng.choice([-1.0, 1.0], (ENVS, 1)))


def requests_of(kind):
    if kind == "held":
        return held(1)
    return np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, 1)).astype(np.float32)


def margins(claim, x):
    return 1.0 - np.asarray(x, np.float64) @ np.asarray(claim.safe_state_set.H, np.float64).T


def test_the_set_with_a_plan_is_proved():
    planned = certificates()[1]
    assert planned.record is not None
    assert planned.claim.model.state_size == 3 + HORIZON
    assert planned.claim.model.state_names[3:5] == ("plan 1: action 1", "plan 2: action 1")
    (form,) = planned.claim.virtual.forms
    np.testing.assert_array_equal(form.K, np.eye(1, 3 + HORIZON, 3))


@functools.cache
def plans():
    """400 states of the limits, and a plan of each, with the most slack that there is, shape
    (400, N); nan where there is none.
    """
    H = np.asarray(certificates()[1].claim.safe_state_set.H, np.float64)
    x = np.random.default_rng(0).uniform(-1, 1, (400, 3)) * np.asarray(LIMITS.upper)
    found = np.full((400, HORIZON), np.nan)
    for i, one in enumerate(x):
        slack = np.ones((len(H), 1))
        program = linprog(
            [*np.zeros(HORIZON), -1.0],
            A_ub=np.hstack([H[:, 3:], slack]),
            b_ub=1 - H[:, :3] @ one,
            bounds=[(-1, 1)] * HORIZON + [(None, 1)],
        )
        if program.status == 0 and program.x[-1] > 1e-5:
            found[i] = program.x[:-1]
    return x, found


def test_some_states_are_safe_with_a_plan_only():
    """By a linear program for the plan, and none that is safe without one is lost."""
    x, found = plans()
    without = margins(certificates()[0].claim, x).min(axis=1)
    with_plan = np.isfinite(found).all(axis=1)
    assert np.mean(with_plan) > np.mean(without >= 0) + 0.06
    assert with_plan[without >= 0.02].all()


@pytest.mark.parametrize("kind", ["random", "held"])
def test_no_exit_and_without_the_safeguard_it_leaves_the_lane(kind):
    """Judged in float64 by the car in NumPy: what it reached, and what it could have reached."""
    planned = certificates()[1].claim
    x, action, metrics = jax.tree.map(np.asarray, rollout()(keys(0, ENVS), requests_of(kind)))
    assert margins(planned, x).min() >= 0
    assert (np.abs(x[..., :3]) <= np.asarray(LIMITS.upper)).all()
    corners = WINDS.vertices()
    for wind in corners:
        reached = plant(x[:-1, ..., :3], action, np.broadcast_to(wind, (*action.shape[:-1], 2)))
        assert (np.abs(reached) <= np.asarray(LIMITS.upper) + 1e-9).all()
    for flag in ("infeasible", "fallback"):
        assert metrics[f"safeguard/{flag}_per_step"].sum() == 0
    free, *_ = rollout(safe=False)(keys(0, ENVS), requests_of(kind))
    assert (np.abs(np.asarray(free)[..., 0]) > 1.0).mean() > 0.05


def test_it_is_kept_from_where_the_gain_alone_could_not_keep_it():
    """Under the worst winds and bang-bang requests."""
    base, planned = (certificate.claim for certificate in certificates())
    x, found = plans()
    beyond = np.isfinite(found).all(axis=1) & (margins(base, x).min(axis=1) < -0.01)
    assert beyond.sum() >= 10
    starts = np.resize(np.hstack([x, found])[beyond].astype(np.float32), (ENVS, 3 + HORIZON))
    states, _, metrics = rollout()(keys(4, ENVS), held(4), starts)
    np.testing.assert_array_equal(states[0], starts)
    assert margins(planned, states).min() >= 0
    assert metrics["safeguard/fallback_per_step"].sum() == 0


def test_the_first_action_of_the_plan_is_safe():
    system = sw.ModelSystem(certificates()[1], state=lambda x: x)
    x = jax.vmap(system.sample_initial)(keys(3, 256))
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    slack = np.asarray(rows.b) - np.asarray(rows.A)[..., 0] * np.asarray(x)[:, 3:4]
    assert slack.min() > 0


def test_a_plan_answers_what_it_did_not_foresee():
    """The new plan leads along what the old one had foreseen plus Ac^k e, in the linear form."""
    base, planned = (certificate.claim for certificate in certificates())
    form, rng = base.virtual.forms[0], np.random.default_rng(2)
    # The plan is computed with float32 numbers.
    A, B, K = (np.float64(np.float32(part)) for part in (form.A, form.B, form.K))
    x, plan = rng.uniform(-0.03, 0.03, 3), rng.uniform(-0.3, 0.3, HORIZON)

    def along(z, actions):
        found = []
        for v in actions:
            z = A @ z + B[:, 0] * v
            found.append(z)
        return found

    with jax.enable_x64():
        after = np.asarray(
            planned.model.unit_step(
                jnp.asarray(np.concatenate([x, plan])), jnp.asarray([0.8]), jnp.array([0.2, -0.02])
            )
        )
    foreseen = along(x, plan)
    error = after[:3] - foreseen[0]
    assert np.abs(error).max() > 0.01
    foreseen.append((A + B @ K) @ foreseen[-1])
    for k, z in enumerate(along(after[:3], after[3:]), start=1):
        wanted = foreseen[k] + np.linalg.matrix_power(A + B @ K, k) @ error
        np.testing.assert_allclose(z, wanted, rtol=0, atol=1e-9)


def test_other_sets_are_refused():
    def line(x, a, w):
        return x + 0.1 * a + 0.01 * w

    interval = sw.certify(
        sw.Model("line", line, 1, 1, 1),
        constraints=sw.Box.symmetric([1.0]),
        disturbances=sw.Box.symmetric([1.0]),
        progress=False,
    )
    with pytest.raises(sw.CertificateError, match="carried for blocks that a gain keeps"):
        sw.carry_plan(interval, 3)
    with pytest.raises(ValueError, match="`horizon`"):
        sw.carry_plan(certificates()[0], 0)
    with pytest.raises(TypeError, match="`certificate`"):
        sw.carry_plan(car(), 3)
