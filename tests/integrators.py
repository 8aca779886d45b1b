"""A small environment that differs from its model in whatever way a test asks for."""

import brax.envs
import jax
import jax.numpy as jnp

import safe_wrappers as sw
from safe_wrappers.certificates import Claim

PUSH = 0.125  # exact in float32, so that a disturbance of W's own size is one


def step(x, action, disturbance):
    """x1' = x1 + a / 2 + w, x2' = x2 / 2: the disturbance does not reach x2."""
    return jnp.stack([x[0] + 0.5 * action[0] + disturbance[0], 0.5 * x[1]])


MODEL = sw.Model("integrator", step, state_size=2, action_size=1, disturbance_size=1)


PUSHES = sw.Box.symmetric([PUSH])


class System(sw.ModelSystem):
    """Starts that compile in no time: the fan of simplices takes most of a second."""

    def sample_initial(self, key):
        return jax.random.uniform(key, (2,), minval=-0.999, maxval=0.999)


def system(disturbance_set=PUSHES, model=MODEL, eps=2e-5):
    """|x1| <= 1, |x2| <= 1 is invariant for |w| <= 0.5."""
    square = sw.Box.symmetric([1.0, 1.0])
    claim = Claim(
        model,
        safe_state_set=sw.Polytope(*square.halfspaces()),
        constraint_set=square,
        disturbance_set=disturbance_set,
        eps=eps,
    )
    return System(claim, state=lambda state: state.pipeline_state["x"])


class Integrator(brax.envs.Env):
    """The model with a random push of full size, and errors of it.

    Args:
        push: |w|, a random sign at each step.
        gain: The gain of the action, 0.5 in the model.
        leak: What is added to x2, which no disturbance of the model reaches.
        corner: What is added to x1 within 0.01 of the corner (1, 1).
        fatigue: What is added to x1 in each step after the third since `reset_to`, which x does not
            show.
        broken: Whether the next state is NaN for x1 > 0.5.
        reports: Whether the push is reported as the environment's own disturbance.
    """

    observation_size, action_size, backend = 2, 1, "none"

    def __init__(
        self, *, push=PUSH, gain=0.5, leak=0.0, corner=0.0, fatigue=0.0, broken=False, reports=False
    ):
        self.push, self.gain, self.leak, self.corner, self.fatigue, self.broken, self.reports = (
            push,
            gain,
            leak,
            corner,
            fatigue,
            broken,
            reports,
        )
        self.system = system()

    def reset(self, rng):
        return self.reset_to(self.system.sample_initial(rng), rng)

    def reset_to(self, x, rng):
        info = {"key": rng, **({"disturbance": jnp.zeros(1)} if self.reports else {})}
        return brax.envs.State(
            {"x": x, "age": jnp.zeros(())}, x, jnp.zeros(()), jnp.zeros(()), {}, info
        )

    def step(self, state, action):
        x, age = state.pipeline_state["x"], state.pipeline_state["age"]
        key, draw = jax.random.split(state.info["key"])
        w = self.push * jax.random.rademacher(draw, (1,), x.dtype)
        first = (
            x[0]
            + self.gain * action[0]
            + w[0]
            + self.corner * jnp.all(x > 0.99)
            + self.fatigue * (age >= 3)
        )
        after = jnp.stack(
            [jnp.where(self.broken & (x[0] > 0.5), jnp.nan, first), 0.5 * x[1] + self.leak]
        )
        info = {**state.info, "key": key, **({"disturbance": w} if self.reports else {})}
        return state.replace(
            pipeline_state={"x": after, "age": age + 1},
            obs=after,
            reward=-(after @ after),
            info=info,
        )


def strong():
    """Pushed by more than W."""
    return Integrator(push=0.2)
