"""Gymnasium: the bundled systems by name, many at once, and a safeguard around Gymnasium's own
Pendulum-v1.

python examples/04_gymnasium.py [--quick]
"""

import sys
import time

import gymnasium
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.synthesis import synthesise

QUICK = "--quick" in sys.argv
STEPS = 200 if QUICK else 5_000


def step(x, action, disturbance):
    """Pendulum-v1 near the upright position: its clip of the speed at 8 rad/s is far away, and its
    angle is not normalised.
    """
    th, thd = x
    thd = thd + 0.05 * (15.0 * jnp.sin(th) + 6.0 * action[0] + disturbance[0])
    return jnp.stack([th + 0.05 * thd, thd])


def set_state(env, x):
    """Puts Pendulum-v1 into the state (th, thd) and returns the observation."""
    env.state = np.asarray(x, np.float64)
    return env._get_obs()


def rollout(env):
    """Steps with random requests and counts what the info reports."""
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())  # compiles
    interventions = exits = 0
    begin = time.perf_counter()
    for _ in range(STEPS):
        _, _, _, truncated, info = env.step(env.action_space.sample())
        interventions += np.sum(info["safeguard"]["intervened"])
        exits += np.sum(1 - info["safeguard"]["inside"])
        if isinstance(env, gymnasium.Env) and truncated:
            env.reset()
    number = STEPS * getattr(env, "num_envs", 1)
    print(
        f"{env}\n  {number} steps, {interventions / number:.0%} interventions, {exits:.0f} "
        f"exits, {number / (time.perf_counter() - begin):.0f} steps/s"
    )


def main():
    """One environment, 256 of them, and an environment of somebody else."""
    rollout(gymnasium.make("SafeWrappers/Pendulum-v0", safe_set="narrow", disturbance="worst_case"))
    rollout(
        gymnasium.make_vec(
            "SafeWrappers/CartPole-v0",
            num_envs=256,
            safeguard="ray_mask",
            safeguard_kwargs={"mapping": "linear"},
        )
    )

    model = sw.Model(
        "pendulum_v1",
        step,
        state_size=2,
        action_size=1,
        disturbance_size=1,
        parameters={"dt": 0.05},
    )
    # Beyond |th| = 0.4 gravity is stronger than the torque. The disturbance covers the difference
    # between float32 and float64.
    constraints, disturbances = sw.Box.symmetric([0.3, 1.0]), sw.Box.symmetric([0.01])
    result = synthesise(model, constraints, disturbances, facets=6)
    claim = sw.Claim(
        model,
        safe_state_set=result.safe_state_set,
        constraint_set=constraints,
        disturbance_set=disturbances,
    )
    proof = sw.prove(claim)
    if not proof.proved:
        raise SystemExit(proof.reason)
    system = sw.ModelSystem(claim, state=lambda env: env.state)
    rollout(
        sw.GymSafeguardWrapper(
            gymnasium.make("Pendulum-v1"),
            sw.BoundaryProjection(),
            system=system,
            set_state=set_state,
        )
    )


if __name__ == "__main__":
    main()
