"""A MuJoCo environment of Gymnasium as it is: its steps are sampled, a safe set is found and proved
for a model that follows them, and the same requests are sent with and without the safeguard.

python examples/10_mujoco_gymnasium.py [--quick]
"""

import sys

import gymnasium
import jax
import numpy as np
from matplotlib import pyplot as plt

import safe_wrappers as sw
from safe_wrappers.synthesis import synthesise

QUICK = "--quick" in sys.argv
EPISODES, STEPS, SAMPLES = (10, 200, 4_096) if QUICK else (40, 1_000, 16_384)


def rollout(env, plant, starts):
    """Full force one way or the other, held for a while: all states until an episode ends."""
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
    model, W = surrogate.model, surrogate.disturbance_set
    S = synthesise(model, limits, W, facets=10, seeds=1, disturbance_scale=1.0).safe_state_set
    claim = sw.Claim(model, safe_state_set=S, constraint_set=limits, disturbance_set=W)
    print("safe set:", sw.prove(claim).status, "for the surrogate")
    system = sw.ModelSystem(claim, state=plant.state)
    safe = sw.GymSafeguardWrapper(
        env, sw.BoundaryProjection(), system=system, set_state=plant.set_state
    )
    print("environment:", sw.conform(safe, samples=1_000 if QUICK else 10_000).message)

    starts = 0.9 * S.sample(jax.random.PRNGKey(1), (EPISODES,))
    _, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, color, host in (("without", "tab:red", env), ("with", "tab:blue", safe)):
        x = rollout(host, plant, starts)
        outside = (x @ np.asarray(S.H).T > 1).any(axis=1)
        print(f"{name} the safeguard: {outside.sum()} of {len(x)} states outside the safe set")
        for ax, pair in zip(axes, ((0, 1), (1, 3)), strict=True):
            ax.plot(*x[:, pair].T, ".", color=color, markersize=2, label=f"{name} the safeguard")
            ax.set(xlabel=plant.state_names[pair[0]], ylabel=plant.state_names[pair[1]])
    for ax, pair in zip(axes, ((0, 1), (1, 3)), strict=True):
        sw.sets.draw(S, ax, pair, color="k", label="safe set")
    axes[0].legend()
    plt.savefig("inverted_pendulum.png", dpi=150)
    print("picture: inverted_pendulum.png")


if __name__ == "__main__":
    main()
