import jax
import jax.numpy as jnp
import numpy as np
import pytest
from off_center import Drone, drone_claim

import safe_wrappers as sw
from safe_wrappers.evaluation import lqr, lqr_policy


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
    assert controller.target == pytest.approx(target, abs=1e-5)
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


def test_there_is_no_regulator_for_goals_that_differ_by_episode():
    assert lqr(sw.envs.get_environment("safe_quadrotor")) is None


def test_there_is_no_regulator_where_each_episode_has_its_own_goal():
    assert lqr(sw.envs.get_environment("safe_seeker")) is None


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
