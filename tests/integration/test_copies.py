"""Copies and pickles of what a user holds, in the middle of an episode too: they go on bit for bit,
and the same stands behind them.
"""

import copy
import pickle

import cloudpickle
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from params import quick

import safe_wrappers as sw

WAYS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
}
every_way = pytest.mark.parametrize("duplicate", WAYS.values(), ids=WAYS)
# Flat, with blocks, and without a set of facets: these stand for the others in the quick tests.
SOME = ("safe_pendulum", "safe_arm", "safe_seeker")
NARROW = {"safe_set": "narrow", "disturbance": "uniform"}


def require_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def read(env):
    return env.unwrapped.state


def set_state(env, x):
    env.state = np.asarray(x, np.float64)
    return env._get_obs()


def pendulum_step(x, a, w):
    speed = x[1] + 0.05 * (15 * jnp.sin(x[0]) + 6 * a[0])
    return jnp.stack([x[0] + 0.05 * speed, speed])


def gymnasium_pendulum(state=read):
    claim = sw.Claim(
        sw.Model("Pendulum-v1", pendulum_step, 2, 1, 0),
        safe_state_set=sw.Polytope(
            [[1 / 0.3, 0], [-1 / 0.3, 0], [1 / 0.3, 0.25], [-1 / 0.3, -0.25]], [1.0] * 4
        ),
        constraint_set=sw.Box.symmetric([0.5, 8.0]),
        disturbance_set=sw.Box.symmetric([]),
    )
    return sw.GymSafeguardWrapper(
        gymnasium.make("Pendulum-v1"),
        sw.BoundaryProjection(),
        system=sw.ModelSystem(claim, state=state),
        set_state=set_state,
        monitor=True,
    )


def brax_pendulum():
    return sw.SafeguardWrapper(
        sw.envs.get_environment("safe_pendulum", **NARROW), sw.BoundaryProjection()
    )


RUNNING = {
    "make": lambda: gymnasium.make("SafeWrappers/Pendulum-v0", **NARROW),
    "make_vec": lambda: gymnasium.make_vec("SafeWrappers/Pendulum-v0", num_envs=2, **NARROW),
    "GymEnv": lambda: sw.GymEnv(brax_pendulum()),
    "GymVectorEnv": lambda: sw.GymVectorEnv(brax_pendulum(), 2, max_episode_steps=3),
    "GymSafeguardWrapper": gymnasium_pendulum,
}


def go_on(env):
    """What happens next: steps, a reset from the random stream, and steps again."""
    shape, found = env.action_space.shape, []
    for request in (0.3, -0.8, 0.1):
        found.append(env.step(np.full(shape, request, np.float32)))
    found.append(env.reset())
    found.append(env.step(np.full(shape, 0.5, np.float32)))
    return found


@every_way
@pytest.mark.parametrize("make", RUNNING.values(), ids=RUNNING)
def test_a_running_environment_of_gymnasium_goes_on(make, duplicate):
    env = make()
    env.reset(seed=3)
    env.step(np.full(env.action_space.shape, 0.4, np.float32))
    twin = duplicate(env)
    expected = go_on(env)
    require_equal(go_on(twin), expected)


@every_way
@pytest.mark.parametrize("name", quick(SOME, sw.envs.registered_names()))
def test_an_environment_of_brax_with_all_that_it_holds(name, duplicate):
    env = sw.SafeguardWrapper(sw.envs.get_environment(name), sw.BoundaryProjection())
    state = jax.jit(env.reset)(jax.random.PRNGKey(0))
    twin, its_state = duplicate((env, state))
    assert twin is not env
    assert twin.guarantee == env.guarantee
    assert twin.guarantee.status == ("certified" if name == "safe_seeker" else "proved")
    for own, other in ((env, twin), (env.env, twin.env)):
        assert str(jax.make_jaxpr(own.step)(state, jnp.ones(env.action_size))) == str(
            jax.make_jaxpr(other.step)(its_state, jnp.ones(env.action_size))
        )


@every_way
def test_a_copy_of_the_seeker_does_not_vouch_for_another_system(duplicate):
    env = duplicate(sw.envs.get_environment("safe_seeker"))
    rows = env.system.rows
    object.__setattr__(env.system, "rows", lambda x: rows(x))
    assert env.guarantee.status == "tested"


@every_way
def test_an_arm_of_gymnasium_proves_nothing_by_being_copied(duplicate):
    env = gymnasium_pendulum()
    assert duplicate(env).guarantee == env.guarantee


def test_a_lambda_is_refused_by_pickle_in_its_own_words():
    env = gymnasium_pendulum(state=lambda env: env.unwrapped.state)
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(env)
    env.reset(seed=0)
    twin = pickle.loads(cloudpickle.dumps(env))
    require_equal(go_on(twin), go_on(env))
