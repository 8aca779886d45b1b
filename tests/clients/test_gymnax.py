"""gymnax: `pip install -e ".[clients,test]"`, which brings gymnax 0.0; and once more after
`pip install --no-deps "gymnax>=1"`.
"""

import functools
import importlib.metadata

import jax
import jax.numpy as jnp
import pytest
from clients import EPISODE, brax_env, require_exits, require_safe

import safe_wrappers as sw

pytestmark = pytest.mark.clients
PACKAGES = ("gymnax",)
ENVS, STEPS = 8, 200


def bang_bang(env, key):
    """Random requests at the limits, in one compiled scan, as PureJaxRL collects."""
    from gymnax.wrappers import FlattenObservationWrapper, LogWrapper

    env = LogWrapper(FlattenObservationWrapper(env))
    keys = jax.random.split(key, ENVS)

    def step(state, key):
        request = jax.random.rademacher(key, (ENVS, 1), jnp.float32)
        keys = jax.random.split(key, ENVS)
        _, state, _, *ends, info = jax.vmap(env.step, (0, 0, 0, None))(
            keys, state, request, env.default_params
        )
        return state, (functools.reduce(jnp.logical_or, ends), info)

    _, state = jax.vmap(env.reset, (0, None))(keys, env.default_params)
    return jax.lax.scan(step, state, jax.random.split(key, STEPS))[1]


@functools.cache
def made(safeguarded):
    separate = int(importlib.metadata.version("gymnax").split(".")[0]) >= 1
    return sw.GymnaxEnv(brax_env(safeguarded), max_steps_in_episode=EPISODE, separate_ends=separate)


def test_the_wrappers_of_gymnax(count):
    done, info = jax.jit(functools.partial(bang_bang, made(True)))(jax.random.PRNGKey(0))
    assert int(done.sum()) == ENVS * (STEPS // EPISODE)
    assert (info["returned_episode_lengths"][-1] == EPISODE).all()
    assert (info["cost"] == 0).all()
    require_safe(count, ENVS * STEPS)


def test_without_a_safeguard(count):
    jax.jit(functools.partial(bang_bang, made(False)))(jax.random.PRNGKey(0))
    require_exits(count, ENVS * STEPS)


def test_the_spaces_are_those_of_gymnax():
    from gymnax.environments import spaces

    env = made(True)
    space = env.observation_space(env.default_params)
    assert isinstance(space, spaces.Box)
    assert space.contains(env.reset(jax.random.PRNGKey(0))[0])
    assert env.action_space().shape == (1,)
