"""What a safe action of the robots costs: rows and anchor, boundary projection, and its derivative.

taskset -c 0 python benchmarks/robot_speed.py
taskset -c 0 python benchmarks/robot_speed.py --commands virtual --repeats 200

Times are CPU times of the process, the least of many repeats, so that other processes on the
machine matter little.
"""

import argparse
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.safeguards import safe_unit_action

ROBOTS = {
    "2_links": ("safe_arm", {"links": 2}),
    "3_links": ("safe_arm", {"links": 3}),
    "7_links": ("safe_arm", {"links": 7}),
    "quadrotor": ("safe_quadrotor_3d", {}),
}


def programs(system, guard):
    """What is timed, by name: (states (N, n), requests (N, d)) -> arrays."""

    def loss(x, request, weight):
        return jnp.vdot(weight, safe_unit_action(system, guard, x, request).action)

    weight = jnp.asarray(np.random.default_rng(2).normal(size=system.action_size), jnp.float32)
    return {
        "rows": lambda x, request: system.safe_action_set(x),
        "forward": lambda x, request: safe_unit_action(system, guard, x, request).action,
        "backward": lambda x, request: jax.value_and_grad(loss, (0, 1))(x, request, weight),
    }


def seconds(program, x, request, repeats, rounds):
    """The least CPU time of a call, over so many repeats of so many calls."""
    compiled = jax.jit(jax.vmap(program))
    jax.block_until_ready(compiled(x, request))
    least = np.inf
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(rounds):
            jax.block_until_ready(compiled(x, request))
        least = min(least, (time.process_time() - start) / rounds)
    return least


def main() -> int:
    """Prints one line of JSON for each robot: microseconds for each state."""
    parser = argparse.ArgumentParser(description="What a safe action of the robots costs.")
    parser.add_argument("--robots", nargs="+", choices=ROBOTS, default=list(ROBOTS))
    parser.add_argument("--commands", choices=("actions", "virtual"), default="actions")
    parser.add_argument("--safeguard", default="boundary_projection", choices=sw.safeguards.NAMES)
    parser.add_argument("--states", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    guard = sw.safeguards.make_safeguard(options.safeguard)
    for robot in options.robots:
        name, chosen = ROBOTS[robot]
        env = sw.envs.get_environment(name, commands=options.commands, **chosen)
        system = env.system
        keys = jax.random.split(jax.random.PRNGKey(0), options.states)
        x = jax.jit(jax.vmap(system.sample_initial))(keys)
        shape = options.states, system.action_size
        request = jax.random.uniform(jax.random.PRNGKey(1), shape, minval=-1.0)
        found = {
            part: seconds(program, x, request, options.repeats, options.rounds)
            for part, program in programs(system, guard).items()
        }
        of_each = {part: round(1e6 * value / options.states, 2) for part, value in found.items()}
        print(json.dumps({"robot": robot, "commands": options.commands, **of_each}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
