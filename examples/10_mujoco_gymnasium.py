"""A MuJoCo environment of Gymnasium as it is, with and without the safeguard.

python examples/10_mujoco_gymnasium.py [--quick]
"""

import sys

import gymnasium
import jax
import numpy as np
from matplotlib import pyplot as plt

import safe_wrappers as sw

QUICK = "--quick" in sys.argv
EPISODES, STEPS, SAMPLES = (10, 200, 4_096) if QUICK else (40, 1_000, 16_384)


def rollout(env, plant, starts):
    """All states of episodes under full force one way or the other, held for a while."""
    rng, states = np.random.default_rng(0), []
    for start in starts:
        env.reset(seed=0)
        plant.set_state(env.unwrapped, start)
        force = 3.0
        for _ in range(STEPS):
            force = -force if rng.random() < 0.2 else force
            terminated = env.step(np.array([force]))[2]
            states.append(plant.state(env.unwrapped))
            if terminated:
                break
    return np.array(states)


def main():
    """Samples the environment, finds and proves a set, tests it, and draws what happens."""
    env = gymnasium.make("InvertedPendulum-v5", max_episode_steps=10 * STEPS)
    plant = sw.GymPlant(env)  # x = (cart m, pole rad, and their velocities), force in [-3, 3]
    limits = sw.Box.symmetric([0.9, 0.18, 2.0, 2.0])  # the rail ends at 1 m, episodes at 0.2 rad
    surrogate = sw.fit_surrogate(plant, limits, jax.random.PRNGKey(0), samples=SAMPLES)
    print("surrogate:", surrogate)
    options = {"facets": 10, "seeds": 1, "disturbance_scales": [1.0]}  # W has a factor of safety
    model, W = surrogate.model, surrogate.disturbance_set
    certificate = sw.certify(model, constraints=limits, disturbances=W, **options)
    system, S = sw.ModelSystem(certificate, state=plant.state), certificate.claim.safe_state_set
    guard = sw.BoundaryProjection()
    safe = sw.GymSafeguardWrapper(env, guard, system=system, set_state=plant.set_state)
    print("environment:", sw.conform(safe, samples=1_000 if QUICK else 10_000).message)

    starts = 0.9 * S.sample(jax.random.PRNGKey(1), (EPISODES,))
    _, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, color, host in (("without", "r", env), ("with", "b", safe)):
        x = rollout(host, plant, starts)
        outside = np.sum([S.margin(state) < 0 for state in x])
        print(f"{name} the safeguard: {outside} of {len(x)} states outside the safe set")
        for ax, (i, j) in zip(axes, ((0, 1), (1, 3)), strict=True):
            ax.plot(x[:, i], x[:, j], color + ".", markersize=3, label=f"{name} the safeguard")
            ax.set(xlabel=plant.state_names[i], ylabel=plant.state_names[j])
    for ax, pair in zip(axes, ((0, 1), (1, 3)), strict=True):
        sw.sets.draw(S, ax, pair, color="k", label="safe set")
    axes[0].legend()
    plt.savefig("inverted_pendulum.png", dpi=150)
    print("picture: inverted_pendulum.png")


if __name__ == "__main__":
    main()
