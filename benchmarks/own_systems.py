"""SHAC with the settings `shac.OWN_PLANT` on plants that are not bundled, against a hand-made
controller behind the same safeguard.

Their tasks are what newcomers wrote: most goals lie near the limits, so that a policy that leans on
the safeguard is safe and yet misses them.

    python benchmarks/own_systems.py
    python benchmarks/own_systems.py --tasks servo --seeds 10
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.algos import shac

EPISODES = 64


def axis_step(x, action, disturbance):
    """One axis of a drone at 10 Hz, x = (position - 5 m, velocity): acceleration of up to 2 m/s^2,
    quadratic drag, wind.
    """
    position, velocity = x
    drag = 0.05 * velocity * jnp.sqrt(velocity * velocity + 0.01)
    velocity = velocity + 0.1 * (2.0 * action[0] - drag + disturbance[0])
    return jnp.stack([position + 0.1 * velocity, velocity])


def cruise_step(x, action, disturbance):
    """Adaptive cruise control at 10 Hz, x = (gap - 40 m, speed of the lead car relative to ours):
    we accelerate by up to 4 m/s^2, the lead car as it likes.
    """
    gap, speed = x
    speed = speed + 0.1 * (disturbance[0] - 4.0 * action[0])
    return jnp.stack([gap + 0.1 * speed, speed])


def servo_step(x, action, disturbance):
    """A motor with 12 V at 200 Hz, x = (angle, speed, current), by four steps of Runge-Kutta."""
    inertia, friction, constant, resistance, inductance = 5e-4, 1e-4, 0.05, 1.0, 0.005
    h = 0.005 / 4

    def derivative(x):
        _, speed, current = x
        torque = constant * current - friction * speed - disturbance[0]
        voltage = 12.0 * action[0] - resistance * current - constant * speed
        return jnp.stack([speed, torque / inertia, voltage / inductance])

    for _ in range(4):
        k1 = derivative(x)
        k2 = derivative(x + h / 2 * k1)
        k3 = derivative(x + h / 2 * k2)
        k4 = derivative(x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


# What `synthesise` found with 8 facets, rounded; `sw.prove` accepts each in a second.
AXIS = sw.Claim(
    sw.Model("drone_axis", axis_step, 2, 1, 1),
    safe_state_set=sw.Polytope(
        np.array(
            [
                [0.0, 0.334],
                [0.251, 0.0],
                [0.202, 0.269],
                [0.246, 0.149],
                [-0.251, 0.0],
                [0.0, -0.501],
                [-0.0479, -0.466],
                [-0.243, -0.23],
            ]
        ),
        np.ones(8),
    ),
    constraint_set=sw.Box([-4.0, -2.0], [4.0, 3.0]),
    disturbance_set=sw.Box.symmetric([0.3]),
)
CRUISE = sw.Claim(
    sw.Model("cruise_control", cruise_step, 2, 1, 1),
    safe_state_set=sw.Polytope(
        np.array(
            [
                [0.000624, 0.089],
                [0.0167, 0.0],
                [0.0122, 0.107],
                [0.0172, 0.0634],
                [-0.0286, 0.0],
                [0.0, -0.0885],
                [-0.0174, -0.148],
                [-0.0292, -0.103],
            ]
        ),
        np.ones(8),
    ),
    constraint_set=sw.Box([-35.0, -12.0], [60.0, 12.0]),
    disturbance_set=sw.Box.symmetric([2.5]),
)
_SERVO = np.array(
    [
        [0.499, 0.0656, 0.00727],
        [-0.0388, -0.00354, 0.211],
        [0.538, 0.00108, 0.00783],
        [-0.397, -0.0362, -0.0974],
    ]
)
SERVO = sw.Claim(
    sw.Model("servo", servo_step, 3, 1, 1),
    safe_state_set=sw.Polytope(np.concatenate([_SERVO, -_SERVO]), np.ones(8)),
    constraint_set=sw.Box.symmetric([2.0, 30.0, 5.0]),
    disturbance_set=sw.Box.symmetric([0.02]),
)


class DroneAxis(sw.envs.CertifiedEnv):
    """Hover at 8.5 m where 9 m are allowed."""

    observation_size = 2  # pyright: ignore[reportAssignmentType]

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -((x[0] - 3.5) ** 2) - 0.05 * action[0] ** 2


class CruiseControl(sw.envs.CertifiedEnv):
    """Follow at 8 m where 5 m are allowed, less than the safe set admits at most speeds."""

    observation_size = 2  # pyright: ignore[reportAssignmentType]

    def observe(self, x, info):
        return x / jnp.array([30.0, 6.0])

    def reward(self, x, action, info):
        return -(((x[0] + 32.0) / 10) ** 2) - 0.1 * x[1] ** 2 - 0.05 * action[0] ** 2


class Servo(sw.envs.CertifiedEnv):
    """Turn to 1 rad where at most 1.86 rad can be held safely."""

    goal = 1.0
    observation_size = 3  # pyright: ignore[reportAssignmentType]

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -((x[0] - self.goal) ** 2) - 0.01 * action[0] ** 2


class ServoAtItsLimit(Servo):
    """Turn to 1.7 rad, which few starts reach without an intervention."""

    goal = 1.7


class Task(NamedTuple):
    """A safeguarded environment, the steps of its episodes, and a hand-made controller x -> a."""

    env: sw.SafeguardWrapper
    episode_length: int
    controller: Callable[[jax.Array], jax.Array]


def _task(kind, claim, disturbance, episode_length, controller):
    env = sw.SafeguardWrapper(kind(claim, disturbance=disturbance), sw.BoundaryProjection())
    return Task(env, episode_length, controller)


def _axis_controller(x):
    return 3.6 * (3.5 - x[0]) - 1.7 * x[1]


def _servo_controller(goal):
    return lambda x: 7.0 * (goal - x[0]) - 0.13 * x[1] - 0.05 * x[2]


# The gains are those of the linear-quadratic regulator of each task.
TASKS: dict[str, Callable[[], Task]] = {
    "axis": lambda: _task(DroneAxis, AXIS, "uniform", 150, _axis_controller),
    "axis_worst_case": lambda: _task(DroneAxis, AXIS, "worst_case", 150, _axis_controller),
    "cruise": lambda: _task(
        CruiseControl, CRUISE, "worst_case", 200, lambda x: 0.33 * (x[0] + 32.0) + 1.1 * x[1]
    ),
    "servo": lambda: _task(Servo, SERVO, "uniform", 200, _servo_controller(1.0)),
    "servo_at_limit": lambda: _task(ServoAtItsLimit, SERVO, "uniform", 200, _servo_controller(1.7)),
}


class Outcome(NamedTuple):
    """Of the same episodes for every policy: mean return, share of interventions, exits."""

    mean_return: jax.Array
    interventions: jax.Array
    exits: jax.Array


def evaluate(task: Task, act: Callable) -> Outcome:
    """The outcome of `act`, a function of Brax's state."""

    def episode(key):
        def step(state, _):
            state = task.env.step(state, act(state))
            metrics = state.metrics
            return state, (
                state.reward,
                metrics["safeguard/intervention_per_step"],
                metrics["safeguard/left_set_per_step"],
            )

        return jax.lax.scan(step, task.env.reset(key), length=task.episode_length)[1]

    keys = jax.random.split(jax.random.PRNGKey(2025), EPISODES)
    reward, intervened, left = jax.jit(jax.vmap(episode))(keys)
    return Outcome(reward.sum(axis=1).mean(), intervened.mean(), left.sum())


def baseline(task: Task) -> Outcome:
    """The outcome of the hand-made controller behind the safeguard."""
    return evaluate(
        task,
        lambda state: jnp.clip(task.controller(task.env.system.state(state)), -1.0, 1.0)[None],
    )


def main():
    """Prints one row per task and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--num-timesteps", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore", shac.TrainingHint)  # the table says it

    print(f"{args.num_timesteps:,} interactions, {EPISODES} episodes, jax {jax.__version__}")
    print(
        f"{'task':16s} {'seed':>4s} {'controller':>10s} {'SHAC':>9s} {'gap':>7s} "
        f"{'unsafe requests: last tenth':>28s} {'evaluation':>10s} {'exits':>5s} {'seconds':>7s}"
    )
    for name in args.tasks:
        task = TASKS[name]()
        reference = float(baseline(task).mean_return)
        for seed in range(args.seeds):
            start = time.perf_counter()
            make_policy, params, metrics = shac.train(
                task.env,
                args.num_timesteps,
                task.episode_length,
                run_evals=False,
                seed=seed,
                **shac.OWN_PLANT,
            )
            policy, key = make_policy(params, deterministic=True), jax.random.PRNGKey(0)
            outcome = evaluate(task, lambda state, p=policy: p(state.obs, key)[0])  # noqa: B023
            gap = (reference - float(outcome.mean_return)) / abs(reference)
            print(
                f"{name:16s} {seed:4d} {reference:10.1f} {float(outcome.mean_return):9.1f} "
                f"{gap:7.1%} {metrics['training/interventions_per_step']:28.0%} "
                f"{float(outcome.interventions):10.0%} "
                f"{metrics['training/violations'] + int(outcome.exits):5d} "
                f"{time.perf_counter() - start:7.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
