"""A safeguard around one of Brax's own environments: from `brax.envs` to an episode that never
terminates, without an equation written down.

python examples/05_wrap_a_brax_env.py [--quick]
"""

import sys
import warnings

import brax.envs
import jax
import jax.numpy as jnp

import safe_wrappers as sw
from safe_wrappers.synthesis import synthesise

QUICK = "--quick" in sys.argv
ENVS, STEPS = (128, 100) if QUICK else (1_000, 1_000)
warnings.filterwarnings("ignore", message="Brax System, piplines and environments are not actively")


def rollout(env, plant):
    """Full force one way or the other, held for a while: how many steps are done with, and how far
    cart and pole got.
    """

    def step(carry, key):
        state, force = carry
        force = jnp.where(jax.random.bernoulli(key, 0.1), -force, force)
        after = env.step(state, force)
        return (after.replace(reward=jnp.float32(after.reward)), force), (
            after.done,
            plant.state(after),
        )

    def episode(key):
        return jax.lax.scan(step, (env.reset(key), jnp.ones(1)), jax.random.split(key, STEPS))[1]

    done, x = jax.jit(jax.vmap(episode))(jax.random.split(jax.random.PRNGKey(0), ENVS))
    x = jnp.where(jnp.cumsum(done, axis=1)[..., None] > 0, 0.0, x)  # until it is done with
    lasted = jnp.where(done.any(axis=1), done.argmax(axis=1) + 1, STEPS)
    return (
        f"{lasted.mean():.1f} of {STEPS} steps on average; |cart| <= "
        f"{jnp.abs(x[..., 0]).max():.3f} m, |pole| <= {jnp.abs(x[..., 1]).max():.3f} rad"
    )


def main():
    """Reads the plant off, searches a safe set, proves it, and attacks with and without the
    safeguard.
    """
    env = brax.envs.get_environment("inverted_pendulum", backend="generalized")
    plant = sw.BraxPlant(env)  # x = (cart m, pole rad, and their velocities)
    limits = sw.Box.symmetric([0.9, 0.2, 2.0, 2.0])  # the episode terminates beyond 0.2 rad

    surrogate = sw.fit_surrogate(plant.model, limits, jax.random.PRNGKey(0))
    print("surrogate:", surrogate)
    W = surrogate.disturbance_set
    result = synthesise(
        surrogate.model, limits, W, facets=12 if QUICK else 16, seeds=1, disturbance_scale=1.0
    )
    claim = sw.Claim(
        surrogate.model,
        safe_state_set=result.safe_state_set,
        constraint_set=limits,
        disturbance_set=W,
    )
    if not QUICK:
        print("safe set:", sw.prove(claim).status, "for the surrogate")
    system = sw.ModelSystem(claim, state=plant.state)

    safe = sw.SafeguardWrapper(env, sw.BoundaryProjection(), system=system)  # the line to add
    print("safeguarded:", rollout(safe, plant))
    print("bare:       ", rollout(env, plant))


if __name__ == "__main__":
    main()
