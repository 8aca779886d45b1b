"""Gymnasium's Pendulum-v1 as a model, with a safe set around the upright position that is
synthesised and proved here.
"""

import functools

import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.certificates import Claim, prove
from safe_wrappers.synthesis import synthesise

CONSTRAINTS, DISTURBANCES = sw.Box.symmetric([0.3, 1.0]), sw.Box.symmetric([0.01])


def step(x, action, disturbance):
    """th'' = 15 sin th + 6 a + w by semi-implicit Euler; the clip at 8 rad/s is far from the safe
    set.
    """
    th, thd = x
    thd = thd + 0.05 * (15.0 * jnp.sin(th) + 6.0 * action[0] + disturbance[0])
    return jnp.stack([th + 0.05 * thd, thd])


MODEL = sw.Model(
    "pendulum_v1", step, state_size=2, action_size=1, disturbance_size=1, parameters={"dt": 0.05}
)


@functools.cache
def system():
    """The system of an environment whose `state` is (th, thd)."""
    found = synthesise(MODEL, CONSTRAINTS, DISTURBANCES, facets=6, progress=False)
    claim = Claim(
        MODEL,
        safe_state_set=found.safe_state_set,
        constraint_set=CONSTRAINTS,
        disturbance_set=DISTURBANCES,
    )
    assert prove(claim).proved
    return sw.ModelSystem(claim, state=lambda env: env.state)


def set_state(env, x):
    """Puts Gymnasium's pendulum into a state, shape (2,); returns the observation."""
    env.state = np.asarray(x, np.float64)
    return env._get_obs()
