"""Plans for blocks of a plant in virtual inputs: larger sets, proved, and never left."""

import functools

import jax
import numpy as np
import pytest
from helpers import keys
from robot_plants import ROBOTS
from scipy.optimize import linprog
from virtual_plants import DRONE_V, DRONE_W, DRONE_X, DT, G, drone

import safe_wrappers as sw
from safe_wrappers.certificates import VirtualBlocks, prove
from safe_wrappers.envs import CertifiedEnv
from safe_wrappers.models import InVirtualInputs, next_plan

N = 4


@functools.cache
def certificates():
    """Of the drone by gains, and of its sideways block with a plan."""
    base = sw.certify(
        drone(),
        constraints=DRONE_X,
        disturbances=DRONE_W,
        inputs=DRONE_V,
        factors=["gain", None],
        progress=False,
    )
    return base, sw.carry_plan(base, N, name="planned", progress=False)


def plant(x, a, w):
    """The drone in NumPy: thrust and rate of tilt in natural units."""
    x0, z, tilt, vx, vz = np.moveaxis(x, -1, 0)
    vx = vx + DT * (a[..., 0] * np.sin(tilt) + w[..., 0])
    vz = vz + DT * (a[..., 0] * np.cos(tilt) - G + w[..., 1])
    return np.stack([x0 + DT * vx, z + DT * vz, tilt + DT * a[..., 1], vx, vz], axis=-1)


@functools.cache
def planned_states(base, planned, block, points=200):
    """Random states of a block's limits, whether its gain's set holds them, and those with a plan
    of the most slack that there is: x with everything else at the centre; nan where there is none.
    """
    before, after = base.claim.blocks[block], planned.claim.blocks[block]
    H0, H = (
        np.asarray(b.factor(c.claim.centered_set).H, np.float64)
        for b, c in ((before, base), (after, planned))
    )
    n, size = len(before.states), planned.claim.model.state_size
    limits = np.asarray(base.claim.constraint_set.upper, np.float64)[list(before.states)]
    y = np.random.default_rng(0).uniform(-limits, limits, (points, n))
    found, cost = np.full((points, size), np.nan), [*np.zeros(H.shape[1] - n), -1.0]
    for one, row in zip(y, found, strict=True):
        program = linprog(
            cost,
            np.hstack([H[:, n:], np.ones((len(H), 1))]),
            1 - H[:, :n] @ one,
            bounds=[*[(None, None)] * (H.shape[1] - n), (1e-5, None)],
        )
        if program.status == 0:
            row[:] = 0.0
            row[list(after.states)] = [*one, *program.x[:-1]]
    return (y @ H0.T <= 1).all(axis=1), found


def require_larger(base, planned, block, by):
    """That a plan makes a block's set larger by this share of its limits, and loses nothing."""
    by_gain, found = planned_states(base, planned, block)
    by_plan = np.isfinite(found).all(axis=1)
    assert by_plan.mean() > by_gain.mean() + by
    assert by_plan[by_gain].all()


def soaked(base, planned, plant, asked, steps=150):
    """States of a float64 plant that knows nothing of the plan, mostly under the worst
    disturbances, and the least margin of all that could have been reached. Half of them start where
    the gains alone could not keep the first block.
    """
    claim, rng, n = planned.claim, np.random.default_rng(0), base.claim.model.state_size
    system = sw.ModelSystem(planned, state=lambda x: x)
    guard, corners = sw.BoundaryProjection(), claim.disturbance_set.vertices()
    decide = jax.jit(jax.vmap(lambda x, a: sw.safe_action(system, guard, x, a)))
    by_gain, found = planned_states(base, planned, 0)
    beyond = found[np.isfinite(found).all(axis=1) & ~by_gain]
    assert len(beyond) >= 5
    x = np.asarray(jax.vmap(system.sample_initial)(keys(0, 32)), np.float64)
    x = np.concatenate([x, np.resize(beyond, x.shape)])
    H, least, states = np.asarray(claim.safe_state_set.H, np.float64), np.inf, [x]
    for _ in range(steps):
        output = decide(np.float32(x), np.float32(asked(rng, x)))
        assert not np.any(output.fallback)
        action = np.asarray(output.action, np.float64)
        reached = np.stack(
            [plant(x[:, :n], action, np.broadcast_to(w, (len(x), len(w)))) for w in corners]
        )
        after = next_plan(claim.model, np.broadcast_to(x, (len(corners), *x.shape)), reached)
        margins = (1 - after @ H.T).min(axis=-1)
        least = min(least, margins.min())
        worst = np.where(rng.random(len(x)) < 0.7, margins.argmin(axis=0), 0)
        x = after[worst, np.arange(len(x))]
        states.append(x)
    return np.array(states), least


def held_inputs(claim):
    """Virtual inputs at their ends, held for a while, as actions."""
    parts = InVirtualInputs(claim.model)
    actions = jax.jit(jax.vmap(lambda x, v: parts.virtual.actions(x, v)))
    upper, held = np.asarray(claim.virtual.inputs.upper), {}

    def asked(rng, x):
        sign = held.get("sign", rng.choice([-1.0, 1.0], (len(x), len(upper))))
        held["sign"] = np.where(rng.random(sign.shape) < 0.03, -sign, sign)
        return actions(np.float32(x), np.float32(held["sign"] * upper))

    return asked


def test_the_set_is_proved_and_larger_and_other_blocks_stay():
    base, planned = certificates()
    assert planned.record is not None
    assert [b.states for b in planned.claim.blocks] == [(0, 2, 3, 5, 6, 7, 8), (1, 4)]
    sideways, climb = planned.claim.virtual.forms
    np.testing.assert_array_equal(sideways.K, np.eye(1, 3 + N, 3))
    assert climb.K is None
    np.testing.assert_allclose(
        planned.claim.blocks[1].factor(planned.claim.safe_state_set).H,
        base.claim.blocks[1].factor(base.claim.safe_state_set).H,
        rtol=1e-6,
    )
    require_larger(base, planned, 0, by=0.01)


class Hover(CertifiedEnv):
    """The environment carries the plan."""

    observation_size = 5 + N

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -(x[0] ** 2)


def test_an_environment_carries_the_plan_and_its_guarantee_is_proved():
    env = sw.SafeguardWrapper(Hover(certificates()[1]), sw.BoundaryProjection())
    assert env.guarantee.status == "proved"
    state = env.reset(jax.random.PRNGKey(0))
    after = jax.jit(env.step)(state, np.ones(2, np.float32))
    moved = next_plan(env.system.model, state.obs, after.obs[:5])
    np.testing.assert_allclose(after.obs, moved, atol=1e-5)


@pytest.mark.slow
def test_no_exit_of_a_plant_that_knows_nothing_of_the_plan():
    base, planned = certificates()
    states, least = soaked(base, planned, plant, held_inputs(planned.claim))
    assert least >= 0
    assert (np.abs(states[..., :5]) <= np.asarray(DRONE_X.upper)).all()
    x, rng, asked = states[0], np.random.default_rng(0), held_inputs(planned.claim)
    for _ in range(150):  # the same without a safeguard
        wind = rng.choice([-0.3, 0.3], (len(x), 2))
        after = plant(x[:, :5], np.asarray(asked(rng, x), np.float64), wind)
        x = np.concatenate([after, x[:, 5:]], axis=1)
    assert (np.abs(x[:, :5]) > np.asarray(DRONE_X.upper)).any(axis=1).mean() > 0.5


def test_the_first_inputs_of_the_plans_are_safe():
    system = sw.ModelSystem(certificates()[1], state=lambda x: x)
    x = np.asarray(jax.jit(jax.vmap(system.sample_initial))(keys(3, 128)))
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    parts = InVirtualInputs(system.model)
    of_anchor = np.asarray(jax.vmap(parts.of_actions)(x, rows.anchor), np.float64)
    of_anchor[:, 1] = x[:, 5]
    action = np.asarray(jax.vmap(parts.actions)(x, np.float32(of_anchor)))
    slack = np.asarray(rows.b) - np.einsum("ijk,ik->ij", np.asarray(rows.A), action)
    assert slack.min() > 0


def changed(claim, **parts):
    """Another claim of the same plant with its plan."""
    fields = {
        "safe_state_set": claim.safe_state_set,
        "constraint_set": claim.constraint_set,
        "disturbance_set": claim.disturbance_set,
        "virtual": claim.virtual,
    } | parts
    return sw.Claim(
        claim.model, center=claim.center, sigma=claim.sigma, blocks=claim.blocks, **fields
    )


def test_more_wind_smaller_inputs_and_larger_sets_are_not_proved():
    claim = certificates()[1].claim
    assert prove(changed(claim)).proved
    inputs, forms = claim.virtual
    others = {
        "more wind": {"disturbance_set": sw.Box.symmetric([0.33, 0.3])},
        "inputs that do not hold the plan": {
            "virtual": VirtualBlocks(sw.Box.symmetric(0.95 * inputs.upper), forms)
        },
        "a larger set": {
            "safe_state_set": sw.Polytope(
                np.asarray(claim.safe_state_set.H), 1.02 * np.asarray(claim.safe_state_set.h)
            )
        },
        "a gain that takes the second input": {
            "virtual": VirtualBlocks(
                inputs, (forms[0]._replace(K=np.eye(1, 3 + N, 4, dtype=np.float32)), forms[1])
            )
        },
    }
    for name, parts in others.items():
        assert prove(changed(claim, **parts)).status == "inconclusive", name


def test_blocks_that_no_gain_keeps_are_refused():
    base = certificates()[0]
    for blocks in ([1], [0, 1], [], [7]):
        with pytest.raises(sw.CertificateError, match=r"'drone' these are \[0\]"):
            sw.carry_plan(base, N, blocks=blocks)
    with pytest.raises(ValueError, match=r"`blocks\[0\]`"):
        sw.carry_plan(base, N, blocks=[-1])


@pytest.mark.slow
def test_the_quadrotor_with_plans_sideways():
    base = sw.envs.load_certificate("safe_quadrotor_3d", "wide")
    planned = sw.carry_plan(base, N, progress=False)
    for block in (0, 1):
        require_larger(base, planned, block, by=0.03)
    quadrotor, box = ROBOTS["safe_quadrotor_3d", "wide"], planned.claim.model.action_box
    middle, reach = np.asarray(box.center, np.float64), np.asarray(box.radius, np.float64)
    states, least = soaked(
        base,
        planned,
        lambda x, a, w: quadrotor(x, (a - middle) / reach, w),
        held_inputs(planned.claim),
    )
    assert least >= 0
    limits = np.asarray(base.claim.constraint_set.upper, np.float64)
    assert (np.abs(states[..., :12]) <= limits).all()
