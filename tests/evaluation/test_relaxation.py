import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import slow
from scipy.optimize import lsq_linear
from square_plant import Square, claim

import safe_wrappers as sw
from safe_wrappers.evaluation._relaxation import NoBound, Relaxation

STEPS, START = 20, np.array([0.6, 0.2])


class Near(Square):
    """The reward's best state lies beyond the boundary, x1 <= 0.99 - 0.125."""

    target = 2.0


def by_least_squares(target, highest):
    """The best return from START, as a least-squares problem in x1 alone: a = 2 (y_t - y_{t-1})."""
    weight = np.sqrt(0.1) * 2
    moves = weight * (np.eye(STEPS) - np.eye(STEPS, k=-1))
    A = np.concatenate([np.eye(STEPS), moves])
    b = np.concatenate([np.full(STEPS, target), [weight * START[0]], np.zeros(STEPS - 1)])
    found = lsq_linear(A, b, (-np.inf, highest), tol=1e-14)
    actions = 2 * np.diff(found.x, prepend=START[0])
    assert np.abs(actions).max() < 1  # else the box of actions would bind, which is not among these
    second = START[1] * 0.5 ** np.arange(1, STEPS + 1)
    return -2 * found.cost - np.sum(second**2), found.x


def relaxed(env, rounds=8):
    guess = np.tile(START, (STEPS, 1)), np.zeros((STEPS, 1))
    return Relaxation(env, STEPS).solve(START, {}, guess, rounds)


@pytest.mark.parametrize(("kind", "binds"), [(Square, False), (Near, True)])
def test_for_a_linear_plant_the_bound_is_the_optimum(kind, binds):
    room = 0.99 - 0.125  # what every push leaves of the safe set
    expected, y = by_least_squares(kind.target, room)
    assert (y.max() > room - 1e-9) == binds
    plan = relaxed(kind(claim, disturbance="none"))
    assert plan.bound == pytest.approx(expected, rel=1e-4)
    assert plan.bound >= expected - 1e-9
    np.testing.assert_allclose(plan.x[:, 0], y, atol=1e-3)


class Crooked(Square):
    """A reward that is concave, but no quadratic form: it takes tangents."""

    def reward(self, x, action, info):
        return -jnp.sqrt(1e-6 + (x[0] - 2.0) ** 2 + x[1] ** 2) - 0.1 * action[0] ** 2


def test_tangents_lower_the_bound_to_the_optimum_of_a_reward_that_is_not_quadratic():
    env = Crooked(claim, disturbance="none")
    bounds = [relaxed(env, rounds).bound for rounds in (1, 3, 8)]
    assert bounds[0] >= bounds[1] >= bounds[2]
    # Fine steps towards x1 = 0.865 by hand: whatever is tried is below the bound.
    best = -np.inf
    for pace in np.linspace(0.05, 1, 20):
        x, total = START.copy(), 0.0
        for _ in range(STEPS):
            action = min(pace, 2 * (0.865 - x[0]))
            x = np.array([x[0] + action / 2, x[1] / 2])
            total -= np.hypot(x[0] - 2, x[1]) + 0.1 * action**2
        best = max(best, total)
    assert best <= bounds[2] <= best + 0.01 * abs(best)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("safe_pendulum", {"safe_set": "narrow"}),
        ("safe_cart_pole", {}),
        *slow(("safe_quadrotor", {}), ("safe_arm", {})),
    ],
)
def test_every_safe_step_is_one_of_the_convex_problem(name, options):
    env = sw.envs.get_environment(name, disturbance="none", **options)
    relaxation = Relaxation(env, 1)
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())

    def step(key):
        reset, request = jax.random.split(key)
        state = guarded.reset(reset)
        action = jax.random.uniform(request, (env.action_size,), minval=-1.5, maxval=1.5)
        after = guarded.step(state, action)
        executed = after.info["safeguard"]["action"]
        return env.system.state(state), executed, env.system.state(after)

    x, u, after = (
        np.asarray(part, np.float64)
        for part in jax.jit(jax.vmap(step))(jax.random.split(jax.random.PRNGKey(0), 5000))
    )
    z, parts = np.concatenate([x, u], axis=1), relaxation._dynamics
    # The model once more in float64: the environment rounds to float32.
    with jax.enable_x64():
        exact = np.asarray(
            jax.vmap(lambda x, u: env.model.unit_step(x, u, jnp.zeros(env.model.disturbance_size)))(
                jnp.asarray(x), jnp.asarray(u)
            )
        )
    left = exact - z @ parts.J.T
    assert np.max(left @ parts.V.T - z @ parts.slopes.T - parts.offsets) <= 1e-8
    np.testing.assert_allclose(
        left @ parts.relations.T, np.tile(parts.values, (len(z), 1)), atol=1e-7
    )
    assert np.max(after @ relaxation._H.T - relaxation._room) <= 1e-6
    # It is no empty statement: positions follow from speeds exactly.
    assert len(parts.relations) >= env.model.state_size // 2


def test_without_a_convex_safe_set_there_is_no_bound():
    with pytest.raises(NoBound, match="without a convex safe set"):
        Relaxation(sw.envs.SafeSeeker(), 2)


def test_for_a_reward_that_is_not_concave_there_is_no_bound():
    relaxation = Relaxation(sw.envs.SafeArm(goal="tip"), 2)
    x, u = np.zeros((2, 4)), np.zeros((2, 2))
    with pytest.raises(NoBound, match="not concave"):
        relaxation.solve(np.zeros(4), {"tip": jnp.array([0.5, 0.5])}, (x, u))
