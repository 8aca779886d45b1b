"""Plants and safeguards that are not safe, each in one way, and the claim that was meant."""

import dataclasses

import jax.numpy as jnp
import mutants
import numpy as np
from off_center import Drone, drone_claim

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection, Box
from safe_wrappers.envs import SafePendulum, joint_state

ENV = mutants.ENV  # the pendulum on the narrow set
CLAIM = ENV.system.claim


def on(system, env=ENV):
    """The environment behind boundary projection that takes the system for true."""
    return sw.SafeguardWrapper(env, BoundaryProjection(), system=system)


class Remembers(SafePendulum):
    """Also reports its state of one step ago."""

    def reset_to(self, x, rng):
        state = super().reset_to(x, rng)
        return state.replace(info={**state.info, "before": jnp.asarray(x)})

    def step(self, state, action):
        after = super().step(state, action)
        return after.replace(info={**after.info, "before": joint_state(state)})


def stale():
    """The safeguard sees the state of one step ago."""
    env = Remembers(safe_set="narrow")
    system = sw.ModelSystem(env.system.claim, state=lambda state: state.info["before"])
    return on(system, env)


def half_precision():
    """The safeguard sees a state that was stored in 16 bits."""
    return on(sw.ModelSystem(CLAIM, state=lambda state: joint_state(state).astype(jnp.float16)))


def without_allowance():
    """A drone whose rows leave nothing for rounding, where float32 is coarse."""
    env = Drone(drone_claim())
    claim = dataclasses.replace(env.system.claim, eps=np.zeros_like(env.system.claim.eps))
    return on(sw.ModelSystem(claim, state=joint_state), env)


def smaller_disturbances():
    """The safeguard believes in half of W."""
    W = CLAIM.disturbance_set
    return on(mutants.system_with(disturbance_set=Box(W.lower / 2, W.upper / 2)))


def enlarged():
    """A set that is larger by a twentieth and not invariant, judged against itself."""
    claim = dataclasses.replace(
        CLAIM, safe_state_set=CLAIM.safe_state_set.scaled(1.05), eps=None, gain=None
    )
    return mutants.AnotherPlant.__mro__ and claim
