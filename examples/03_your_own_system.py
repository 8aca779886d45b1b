"""Your own system: from dynamics to a proved safe set to safeguarded training, on a controlled Van
der Pol oscillator.

python examples/03_your_own_system.py [--quick]
"""

import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import safe_wrappers as sw

QUICK = "--quick" in sys.argv
DT, STIFFNESS, FORCE = 0.05, 1.0, 6.0


def step(x, action, disturbance):
    """One step of x1'' = mu (1 - x1^2) x1' - x1 + force a + w, semi-implicit Euler: affine in (a,
    w), in plain JAX.
    """
    position, velocity = x
    velocity = velocity + DT * (
        STIFFNESS * (1 - position * position) * velocity
        - position
        + FORCE * action[0]
        + disturbance[0]
    )
    return jnp.stack([position + DT * velocity, velocity])


class VanDerPol(sw.envs.CertifiedEnv):
    """Bring the oscillator to rest at position 1."""

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return x

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return -((x[0] - 1.0) ** 2 + 0.1 * x[1] ** 2 + 0.01 * action[0] ** 2)

    @property
    def observation_size(self) -> int:
        return 2


def main():
    """Finds and proves a safe set, trains behind it, and counts the exits."""
    model = sw.Model(
        "van_der_pol",
        step,
        state_size=2,
        action_size=1,
        disturbance_size=1,
        parameters={"dt": DT, "mu": STIFFNESS, "force": FORCE},
    )
    certificate = sw.certify(
        model, constraints=sw.Box.symmetric([1.5, 2.0]), disturbances=sw.Box.symmetric([0.2])
    )
    facts = certificate.metadata
    print(f"{facts['facets']} facets, area {facts['volume']:.2f} of 12: proved")

    env = VanDerPol(certificate, disturbance="worst_case")
    env = sw.SafeguardWrapper(env, sw.BoundaryProjection())
    print(env.guarantee)
    num_timesteps = 2_048 if QUICK else 20_000
    _, _, metrics = sw.algos.shac.train(
        env, num_timesteps=num_timesteps, episode_length=240, num_evals=2, seed=0
    )
    exits, interventions = (metrics[f"training/{name}"] for name in ("violations", "interventions"))
    print(
        f"return {metrics['eval/episode_reward']:.2f}; in training {exits} exits, "
        f"{interventions} interventions"
    )


if __name__ == "__main__":
    main()
