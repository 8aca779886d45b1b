"""A drone's vertical axis in metres and newtons, with gravity and wind: a safe set in one call, a
policy trained behind it, and a picture of both.

python examples/09_drone_axis.py [--quick]
"""

import sys

import jax.numpy as jnp

import safe_wrappers as sw

QUICK = "--quick" in sys.argv
DT, MASS, GRAVITY, DRAG = 0.1, 0.5, 9.81, 0.025  # s, kg, m/s^2, kg/m
GOAL = 8.8  # m: the ceiling is at 9 m


def step(x, thrust, wind):
    """One step of m v' = thrust - m g - drag v |v| + wind."""
    height, speed = x
    force = thrust[0] - MASS * GRAVITY - DRAG * speed * jnp.abs(speed) + wind[0]
    speed = speed + DT * force / MASS
    return jnp.stack([height + DT * speed, speed])


class Drone(sw.envs.CertifiedEnv):
    """Fly to the goal, just below the ceiling, and hover there."""

    def observe(self, x, info):
        return (x - jnp.array([5.0, 0.5])) / jnp.array([4.0, 2.5])

    def reward(self, x, action, info):
        return -((x[0] - GOAL) ** 2) - 0.05 * x[1] ** 2

    @property
    def observation_size(self):
        return 2


def main():
    """Certifies, trains, counts exits, and draws."""
    model = sw.Model(
        "drone_axis",
        step,
        disturbance_size=1,
        parameters={"dt": DT, "mass": MASS, "gravity": GRAVITY, "drag": DRAG},
        action_box=sw.Box([3.9], [6.1]),
        state_names=("height", "speed"),
        action_names=("thrust",),
        units={"height": "m", "speed": "m/s", "thrust": "N"},
    )
    certificate = sw.certify(
        model,
        constraints=sw.Box([1.0, -2.0], [9.0, 3.0]),  # m, m/s
        disturbances=sw.Box.symmetric([0.15]),  # N
    )
    env = sw.SafeguardWrapper(Drone(certificate, disturbance="worst_case"), sw.BoundaryProjection())
    print(env.guarantee)
    steps, settings = 2_048 if QUICK else 50_000, sw.algos.shac.OWN_PLANT
    make_policy, params, metrics = sw.algos.shac.train(env, steps, 150, **settings)
    exits, reward = metrics["training/violations"], metrics["eval/episode_reward"]
    print(f"return {reward:.1f}; in training {exits} exits; picture: drone_axis.png")
    policy = make_policy(params, deterministic=True)
    sw.plots.phase_portrait(env, policy, episode_length=150).savefig("drone_axis.png", dpi=150)


if __name__ == "__main__":
    main()
