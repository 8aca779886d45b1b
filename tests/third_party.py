"""A third-party environment of one state, and a system for it, both written by hand."""

import brax.envs
import jax
import jax.numpy as jnp

from safe_wrappers import SafeActionSet


class Integrator(brax.envs.Env):
    """A third-party environment, x' = x + 0.5 a, that knows nothing of safety; the reward is a
    Python number, as in some of Brax's own.
    """

    observation_size, action_size, backend = 1, 1, "none"

    def reset(self, rng):
        return brax.envs.State(
            jnp.zeros(1),
            jnp.zeros(1),
            jnp.zeros(()),
            jnp.zeros(()),
            {"mine": jnp.zeros(())},
            {"also mine": jnp.ones(2)},
        )

    def step(self, state, action):
        x = state.pipeline_state + 0.5 * action
        return state.replace(pipeline_state=x, obs=x, reward=1.0)


class Outside(Integrator):
    """Never starts in the safe set."""

    def reset(self, rng):
        return super().reset(rng).replace(pipeline_state=jnp.full(1, 3.0))


class IntegratorSystem:
    """|x| <= 1 is invariant: written by hand, without a model or a polytope."""

    action_size = 1
    neutral_action = jnp.zeros(1)

    def state(self, env_state):
        return env_state.pipeline_state

    def safe_action_set(self, x):
        return SafeActionSet.from_rows(jnp.array([[0.5], [-0.5]]), jnp.stack([1 - x[0], 1 + x[0]]))

    def margin(self, x):
        return 1 - jnp.abs(x[0])

    def violation(self, x):
        return (jnp.abs(x[0]) > 1).astype(jnp.float32)

    def sample_initial(self, key):
        return jax.random.uniform(key, (1,), minval=-1, maxval=1)
