"""A plant of a user's own, as a user would write it: named `square_plant:NAME` on the command line.

It compiles in no time, and its safe set is known by hand.
"""

import jax.numpy as jnp
import numpy as np
from integrators import MODEL, PUSHES, Integrator

import safe_wrappers as sw

limits = sw.Box(np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
pushes = PUSHES
model = MODEL
claim = sw.Claim(
    model,
    safe_state_set=sw.Polytope(*limits.halfspaces()).scaled(0.99),
    constraint_set=limits,
    disturbance_set=pushes,
)
number = 3


class Square(sw.envs.CertifiedEnv):
    """Bring x1 to 0.5."""

    target = 0.5

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -((x[0] - self.target) ** 2 + x[1] ** 2 + 0.1 * action[0] ** 2)

    @property
    def observation_size(self):
        return 2


class Elsewhere(Square):
    target = -0.5


env = Square(claim)
elsewhere = Elsewhere(claim)
simulator = Integrator()


def certificate():
    return sw.Certificate(claim, "square")


def made(disturbance="uniform"):
    return Square(claim, disturbance=disturbance)


def guarded():
    return sw.SafeguardWrapper(Square(claim), sw.Replacement())


def wrapped_simulator():
    return sw.SafeguardWrapper(Integrator(push=0.2), sw.BoundaryProjection())


def needs(argument):
    return argument


def broken():
    raise RuntimeError("there is no such plant")


def two_actions():
    return sw.ExplicitSystem(
        action_size=2,
        rows=lambda x: (jnp.eye(2), jnp.ones(2)),
        margin=lambda x: 1 - jnp.abs(x[0]),
        sample_initial=lambda key: jnp.zeros(1),
        state=lambda state: state.obs,
        anchor=lambda x: jnp.zeros(2),
    )
