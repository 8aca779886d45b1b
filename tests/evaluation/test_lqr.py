import jax
import jax.numpy as jnp
import numpy as np
import pytest
from integrators import Integrator
from off_center import Drone, drone_claim
from square_plant import Square, claim

import safe_wrappers as sw
from safe_wrappers.evaluation import NoRegulator, lqr, lqr_policy
from safe_wrappers.evaluation._lqr import _gain


@pytest.mark.parametrize(
    ("name", "options", "target"),
    [
        ("safe_pendulum", {}, [0, 0]),
        ("safe_pendulum", {"target_angle": 0.8}, [0.8, 0]),
        ("safe_cart_pole", {"x_target": 0.5}, [0.5, 0, 0, 0]),
    ],
)
def test_the_regulator_holds_and_reaches_the_target(name, options, target):
    env = sw.envs.get_environment(name, **options)
    controller = lqr(env)
    # The weight of the action that holds an angle draws the target 1.3e-5 rad towards upright.
    assert controller.target == pytest.approx(target, abs=2e-5)
    policy = lqr_policy(env)

    def step(x, _):
        action = policy(controller, env.reset_to(x, jax.random.PRNGKey(0)), jax.random.PRNGKey(0))
        return env.model(x, action, jnp.zeros(env.model.disturbance_size)), action

    near = jnp.asarray(controller.target) + 0.05
    x, actions = jax.lax.scan(step, near, length=800)
    assert x == pytest.approx(np.array(target), abs=2e-3)
    assert actions[-1] == pytest.approx(controller.action, abs=2e-3)


def test_the_gain_solves_the_riccati_equation_by_iteration():
    env = sw.envs.get_environment("safe_pendulum")
    # Linearised by hand: th'' = 14.715 th + 90 a, semi-implicit Euler.
    dt, k, g = 0.05, 14.715, 90.0
    A = np.array([[1 + dt * dt * k, dt], [dt * k, 1]])
    B = np.array([[dt * dt * g], [dt * g]])
    Q, R = np.diag([1, 0.1]), np.array([[0.001]])
    P = Q
    for _ in range(500):
        K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        P = Q + A.T @ P @ (A - B @ K)
    assert lqr(env).gain == pytest.approx(K, rel=1e-4)


@pytest.mark.smoke
def test_actions_are_clipped():
    env = sw.envs.get_environment("safe_pendulum")
    state = env.reset_to(jnp.array([3.0, 8.0]), jax.random.PRNGKey(0))
    assert lqr_policy(env)(lqr(env), state, jax.random.PRNGKey(0)).tolist() == [-1.0]


def test_where_the_boundary_is_in_the_way_the_regulator_aims_beyond_it():
    env = sw.envs.get_environment("safe_pendulum", safe_set="narrow", target_angle=0.8)
    assert lqr(env).target == pytest.approx([0.8, 0], abs=1e-4)


def test_the_regulator_of_a_plant_away_from_the_origin_rests_where_the_reward_leaves_it_free():
    """The reward is about the height alone; gravity has to be held, at speed 0."""
    env = Drone(drone_claim())
    controller = lqr(env)
    assert controller.target == pytest.approx([8.5, 0.0], abs=1e-4)
    # 9.81 = 10 (1 + a)
    assert controller.action == pytest.approx([-0.019], abs=1e-4)
    policy = lqr_policy(env)

    def step(x, _):
        action = policy(controller, env.reset_to(x, jax.random.PRNGKey(0)), jax.random.PRNGKey(0))
        return env.model(x, action, jnp.zeros(1)), action

    x, _ = jax.lax.scan(step, jnp.array([7.5, 0.5]), length=200)
    assert x == pytest.approx([8.5, 0.0], abs=1e-3)


class Reader(Square):
    """Its reward knows what has pushed."""

    def reward(self, x, action, info):
        return -((x[0] - info["disturbance"][0]) ** 2)


class Plant(Square):
    """x1' = x1 + a / 2 + w, x2' = x2 / 2 with another reward."""

    def __init__(self, reward):
        super().__init__(claim)
        self._reward = reward

    def reward(self, x, action, info):
        return self._reward(x, action[0])


@pytest.mark.parametrize(
    ("reward", "target", "gain"),
    [
        # x1 alone is a scalar plant of gain 1/2: p = q + p r / (r + p / 4), k = (p / 2) / (...).
        (lambda x, a: -((x[0] - 0.25) ** 2) - x[1] ** 2 - 0.25 * a**2, [0.25, 0], 1.2360680),
        (lambda x, a: jnp.exp(-((x[0] + 0.5) ** 2) - 0.25 * a**2), [-0.5, 0], 1.2360680),
        # (x1' - 1/2 a)^2 = x1^2: nothing to gain by acting.
        (lambda x, a: -((x[0] - 0.5 * a) ** 2) - x[1] ** 2 - a**2, [0, 0], None),
    ],
    ids=["quadratic", "bell", "mixed"],
)
def test_any_smooth_reward_with_a_best_state_has_its_regulator(reward, target, gain):
    env = Plant(reward)
    controller = lqr(env)
    assert controller.target == pytest.approx(target, abs=1e-5)
    if gain is not None:
        assert controller.gain[0] == pytest.approx([gain, 0], abs=1e-4)
    # No other gain is better on a start near the target, without disturbances.

    def cost(gain):
        x, total = np.array([target[0] + 0.1, 0.0]), 0.0
        best = float(reward(jnp.asarray(target, jnp.float32), 0.0))
        for _ in range(60):
            a = -gain * (x[0] - target[0])
            x = np.array([x[0] + 0.5 * a, 0.5 * x[1]])
            total += best - float(reward(jnp.asarray(x, jnp.float32), a))
        return total

    found = float(controller.gain[0, 0])
    assert cost(found) < min(cost(found + 0.15), cost(found - 0.15))


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (lambda: sw.envs.get_environment("safe_quadrotor"), "a task of its own"),
        (lambda: sw.envs.get_environment("safe_seeker"), "a task of its own"),
        (lambda: Integrator(), "does not step a model"),
        (lambda: Plant(lambda x, a: -jnp.abs(x[0] - 0.25)), "not concave"),
        (lambda: Plant(lambda x, a: x[0]), "not concave"),
        (lambda: Plant(lambda x, a: x[0] ** 2), "not concave"),
        (lambda: Plant(lambda x, a: -jnp.sqrt(x[0] ** 2)), "no second derivative|not concave"),
        (lambda: Reader(claim), r"the reward reads info\['disturbance'\]"),
        (lambda: Plant(lambda x, a: jax.lax.add(x[0], np.float32(1))), "in float64: .*lax.add"),
    ],
    ids=["quadrotor", "seeker", "simulator", "kink", "linear", "convex", "root", "info", "dtype"],
)
def test_where_there_is_no_regulator_the_reason_is_said(env, reason):
    with pytest.raises(NoRegulator, match=reason):
        lqr(env())


def test_motion_that_grows_out_of_the_reach_of_actions_has_no_regulator():
    A, B = np.array([[1.2, 0.0], [0.0, 0.5]]), np.array([[0.0], [1.0]])
    with pytest.raises(NoRegulator, match="the actions do not reach"):
        _gain(np.eye(3), A, B)
