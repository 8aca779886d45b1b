"""Trains arms and the quadrotor for their goals, several seeds side by side, and measures how far
from the goal episodes end and whether any step left the safe set.

python benchmarks/robot_learning.py --robots arm quadrotor   # with the settings of TUNED
python benchmarks/robot_learning.py --robots arm --steps 20000 --seeds 2 --output arm.json
python benchmarks/robot_learning.py --robots arm --safeguard none --seeds 1

Without `--robots` it trains all. One JSON file holds, for each robot, its learning curves and what
was measured at the end. What is not trained anew stays as it is in the file.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers._files import write_text
from safe_wrappers.algos import shac
from safe_wrappers.envs.arm_dynamics import tip

# The environment, the interactions, and the steps of an episode: 6 s.
ROBOTS: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "arm": ("safe_arm", {}, 1_500_000, 300),
    "quadrotor": ("safe_quadrotor_3d", {"goal": "waypoint"}, 1_200_000, 300),
    "arm_tip": ("safe_arm", {"goal": "tip"}, 1_500_000, 300),
    "arm_3_links": ("safe_arm", {"links": 3}, 1_500_000, 300),
    "arm_7_links": ("safe_arm", {"links": 7}, 1_500_000, 600),
    "quadrotor_hover": ("safe_quadrotor_3d", {"goal": "hover"}, 1_200_000, 300),
}
# Without a safeguard, a seed with the 16 updates of the recipe ended 9.4 rad beside its goals.
UNGUARDED: dict[str, dict[str, Any]] = {"arm": {"num_critic_updates": 24}}
EPISODES, LAST = 256, 20


def measure(robot: str, safeguard: str, steps: int | None, seeds: int) -> dict[str, Any]:
    """Trainings of one robot, and what became of them."""
    system, options, budget, length = ROBOTS[robot]
    env = sw.envs.get_environment(system, **options)
    settings = UNGUARDED.get(robot, {}) if safeguard == "none" else {}
    if safeguard != "none":
        env = sw.SafeguardWrapper(env, sw.BoundaryProjection())
    began, busy, curves = time.perf_counter(), time.process_time(), []

    def progress(count: int, metrics: dict[str, Any]) -> None:
        returns = np.asarray(metrics["eval/episode_reward"], np.float64)
        curves.append({"interactions": count, "returns": returns.tolist()})
        print(f"{robot}, {safeguard}: {count:,}: {np.round(returns, 1)}", flush=True)

    many = shac.train_many(
        env,
        steps or budget,
        length,
        seeds=range(seeds),
        num_evals=11,
        progress_fn=progress,
        **settings,
    )
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    ends = [evaluate(env, many.make_policy(many[run].params), length) for run in range(seeds)]
    return {
        "robot": robot,
        "safeguard": safeguard,
        "interactions": steps or budget,
        "seconds": round(seconds, 1),
        "processor_seconds": round(busy, 1),
        "device": str(jax.devices()[0]),
        "curves": curves,
        "final_distances": [round(end.distance, 4) for end in ends],
        "worst_tenths": [round(end.worst_tenth, 4) for end in ends],
        "exits": [end.exits for end in ends],
        "left": [end.left for end in ends],
        "steps": EPISODES * length,
        "interventions": [round(end.acted, 4) for end in ends],
    }


class End(NamedTuple):
    """What became of a training, over `EPISODES` episodes.

    Attributes:
        distance: The mean distance to the goal over the last steps, in rad or m.
        worst_tenth: What a tenth of the episodes exceeds.
        exits: How many states were outside the safe set, in float64.
        left: How many the environment counted.
        acted: The share of steps in which the safeguard acted.
    """

    distance: float
    worst_tenth: float
    exits: int
    left: int
    acted: float


def evaluate(env: Any, policy: Any, length: int) -> End:
    """Drives episodes with a policy."""
    system, base = env.unwrapped.system, env.unwrapped

    def distance(x: jax.Array, info: dict[str, Any]) -> jax.Array:
        if "tip" in info:
            return jnp.linalg.norm(tip(base.lengths, x[: base.links]) - info["tip"])
        goal = info["goal"]
        return jnp.linalg.norm(x[: len(goal)] - goal)

    def episode(key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> Any:
            action, _ = policy(state.obs, key)
            after = env.step(state, action)
            acted = after.metrics.get("safeguard/intervention_per_step", jnp.zeros(()))
            x = system.state(after)
            seen = x, distance(x, after.info), after.metrics["left_set_per_step"], acted
            return after, seen

        return jax.lax.scan(step, env.reset(key), jax.random.split(key, length))[1]

    x, away, left, acted = jax.jit(jax.vmap(episode))(jax.random.split(_KEY, EPISODES))
    H, h = (np.asarray(part, np.float64) for part in system.safe_state_set.halfspaces())
    outside = ~np.all(np.asarray(x, np.float64) @ H.T <= h, axis=-1)
    ends = np.asarray(away)[:, -LAST:].mean(axis=1)
    return End(
        float(np.mean(ends)),
        float(np.quantile(ends, 0.9)),
        int(outside.sum()),
        int(np.sum(left)),
        float(np.mean(acted)),
    )


_KEY = jax.random.PRNGKey(2_026)


def main() -> int:
    """Writes the file."""
    parser = argparse.ArgumentParser(description="Trains the robots and measures the result.")
    parser.add_argument("--robots", nargs="+", choices=list(ROBOTS), default=list(ROBOTS))
    parser.add_argument("--safeguard", choices=["boundary_projection", "none"], default=None)
    parser.add_argument("--steps", type=int, help="interactions of each run; default: TUNED's")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results" / "robot_learning.json",
    )
    options = parser.parse_args()
    guards = [options.safeguard] if options.safeguard else ["boundary_projection", "none"]
    rows = json.loads(options.output.read_text()) if options.output.exists() else []
    found = {(row["robot"], row["safeguard"]): row for row in rows}
    for robot in options.robots:
        for guard in guards:
            seeds = options.seeds if guard != "none" else 1
            found[robot, guard] = measure(robot, guard, options.steps, seeds)
            write_text(options.output, json.dumps(list(found.values()), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
