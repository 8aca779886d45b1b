"""Plants and safeguards that are unsafe, each in one way: functions that return what is attacked,
its safeguard if it has none yet, and the claim that is meant if that is not its own.
"""

import dataclasses
import functools

import jax.numpy as jnp
import mutants
import numpy as np
from off_center import Drone, drone_claim

import safe_wrappers as sw
from safe_wrappers import BoundaryProjection, Box
from safe_wrappers.envs import CertifiedEnv, SafePendulum, joint_state

ENV = mutants.ENV  # the pendulum on the narrow set
CLAIM = ENV.system.claim


class Bare(CertifiedEnv):
    """The plant of a claim."""

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return jnp.zeros((), x.dtype)

    @property
    def observation_size(self):
        return self.model.state_size


class Remembers(SafePendulum):
    """Also reports its state of one step ago."""

    def reset_to(self, x, rng):
        state = super().reset_to(x, rng)
        return state.replace(info={**state.info, "before": x})

    def step(self, state, action):
        after = super().step(state, action)
        return after.replace(info={**after.info, "before": joint_state(state)})


class StepsAround(mutants.RawActionReachesThePlant):
    """Reports safe actions and executes the requested ones."""

    def reset_to(self, x, rng):
        state = super().reset_to(x, rng)
        return state.replace(info={**state.info, "executed": jnp.zeros(1)})


def on(system, env=ENV):
    """The environment behind a boundary projection that takes the system for true."""
    return sw.SafeguardWrapper(env, BoundaryProjection(), system=system)


def stale_state():
    env = Remembers(safe_set="narrow")
    system = sw.ModelSystem(env.system.claim, state=lambda state: state.info["before"])
    return on(system, env), None, None


def half_precision():
    system = sw.ModelSystem(CLAIM, state=lambda state: joint_state(state).astype(jnp.float16))
    return on(system), None, None


def no_rounding_allowance():
    """A drone far from the origin, where float32 is coarse."""
    env = Drone(drone_claim())
    claim = env.system.claim
    without = dataclasses.replace(claim, eps=np.zeros_like(claim.eps), gain=claim.gain)
    return on(sw.ModelSystem(without, state=joint_state), env), None, None


def half_of_the_disturbances():
    W = CLAIM.disturbance_set
    return on(mutants.system_with(disturbance_set=Box(W.lower / 2, W.upper / 2))), None, None


def enlarged_claim():
    """A set that is larger by a twentieth and not invariant."""
    larger = CLAIM.safe_state_set.scaled(1.05)
    return dataclasses.replace(CLAIM, safe_state_set=larger, eps=None, gain=None)


def enlarged_set():
    return Bare(enlarged_claim()), None, None


def enlarged_set_against_the_true_one():
    return Bare(enlarged_claim()), None, CLAIM


def clamped():
    """Its exits are hidden by a clamp: only what the model says of the executed action shows."""
    return mutants.Clamped(safe_set="narrow"), "none", None


def weaker_motor():
    return (
        mutants.AnotherPlant(sw.envs.dynamics.pendulum(torque=29.0), safe_set="narrow"),
        None,
        None,
    )


def steps_around():
    return StepsAround(ENV, BoundaryProjection()), None, None


def no_safeguard():
    return ENV, "none", None


SAFEGUARDS = [*mutants.SAFEGUARD_MUTANTS, mutants.NaNIsExecuted()]
UNSAFE = {
    "no safeguard": no_safeguard,
    "stale state": stale_state,
    "half precision": half_precision,
    "no rounding allowance": no_rounding_allowance,
    "half of the disturbances": half_of_the_disturbances,
    "enlarged set": enlarged_set,
    "enlarged set against the true one": enlarged_set_against_the_true_one,
    "clamped": clamped,
    "weaker motor": weaker_motor,
    "steps around": steps_around,
    **{type(guard).__name__: functools.partial(tuple, (ENV, guard, None)) for guard in SAFEGUARDS},
    **{
        name: functools.partial(lambda make: (on(make()), None, None), make)
        for name, make in mutants.SYSTEM_MUTANTS.items()
    },
}
