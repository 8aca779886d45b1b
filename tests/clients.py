"""The task that other libraries' agents are given, and what is asked of all of them."""

import importlib.metadata

import gymnasium
import jax

import safe_wrappers as sw

ID = "SafeWrappers/Pendulum-v0"
# The optimum lies outside of the narrow set, and the worst disturbances push: the safeguard must
# intervene all the time.
TASK = {"safe_set": "narrow", "target_angle": 0.8, "disturbance": "worst_case"}
EPISODE = 60


def one(**options):
    """A single environment of Gymnasium."""
    return gymnasium.make(ID, max_episode_steps=EPISODE, **{**TASK, **options})


def many(num_envs=8, mode="SameStep", **options):
    """A vector environment of Gymnasium, one compiled step for all copies."""
    options = {**TASK, "max_episode_steps": EPISODE, **options}
    return gymnasium.make_vec(ID, num_envs=num_envs, autoreset_mode=mode, **options)


def brax_env(safeguarded=True):
    """The same as an environment of Brax."""
    env = sw.envs.get_environment("safe_pendulum", **TASK)
    return sw.SafeguardWrapper(env, sw.BoundaryProjection()) if safeguarded else env


def require_safe(count, steps):
    """At least so many steps, none of which left the set, at whose boundary many of them were."""
    jax.effects_barrier()
    assert count.steps >= steps
    assert count.exits == 0
    assert 0 <= count.least < 0.1
    assert count.interventions > 0.1 * count.steps


def require_exits(count, steps):
    """What the same client does without a safeguard: the control."""
    jax.effects_barrier()
    assert count.steps >= steps
    assert count.exits > 0.1 * count.steps
    assert count.interventions == 0


def versions(names):
    return {name: importlib.metadata.version(name) for name in names}
