"""Run by test_x64.py in a process of its own, where 64-bit types are switched on from the start.

Its arguments are pairs of an environment's name and its backend, and the word "hosts".
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs.wrappers import training
from brax.training.acme import running_statistics

import safe_wrappers as sw
from safe_wrappers.algos.shac import learner, networks, rollout


def types(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree)}


def scanned(env):
    """The state after a scan, which asks for the same types before and after a step."""

    def run(keys):
        actions = jnp.zeros((3, 2, env.action_size))
        return jax.lax.scan(lambda s, a: (env.step(s, a), None), env.reset(keys), actions)[0]

    return jax.eval_shape(run, jax.random.split(jax.random.PRNGKey(0), 2))


def check_environment(name, backend):
    """What learners see is float64, as in Brax's own environments; what is safe is float32."""
    env = sw.envs.get_environment(name, backend=backend)
    options = {"regularisation": 0.1, "diagnostics": True, "monitor": name != "safe_seeker"}
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection(), **options)
    for inner in (env, guarded):
        state = scanned(training.EvalWrapper(training.wrap(inner, episode_length=5)))
        assert types((state.obs, state.reward, state.done, state.metrics)) == {"float64"}
        assert types(jax.eval_shape(jax.vmap(env.system.state), state)) == {"float32"}
        scanned(rollout.wrap(inner, 5))
    assert types(state.info["safeguard"]) == {"float32"}
    x, request = jnp.zeros(env.model.state_size, jnp.float32), jnp.ones(env.action_size)
    for guard in (sw.BoundaryProjection(), sw.RayMask()):
        act = lambda x, a, guard=guard: sw.safe_action(env.system, guard, x, a)  # noqa: E731
        assert types(jax.eval_shape(act, x, request)) == {"float32", "bool"}


def check_functional(env):
    """A scan, as of gymnax's agents, through the end of an episode."""

    def run(key):
        def step(state, key):
            observation, state, reward, done, _ = env.step(key, state, jnp.zeros(1))
            return state, (observation, reward, done)

        return jax.lax.scan(step, env.reset(key)[1], jax.random.split(key, 3))[1]

    observation, _, done = jax.eval_shape(run, jax.random.PRNGKey(0))
    assert (observation.dtype, done.dtype) == (np.float32, np.bool_)


def check_hosts():
    """Gymnasium, one and many at a time, and the trainer of the library."""
    env = sw.envs.get_environment("safe_pendulum", safe_set="narrow")
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())
    for host in (sw.GymEnv(guarded), sw.GymVectorEnv(guarded, 2)):
        host.reset(seed=0)
        observation, reward, _, _, info = host.step(host.action_space.sample())
        assert observation in host.observation_space
        assert observation.dtype == np.float32
        assert np.asarray(reward).dtype == np.float64
        assert np.all(info["safeguard"]["inside"] == 1)
    check_functional(sw.GymnaxEnv(guarded))
    hyper = learner.Hyperparameters(
        1, 1e-3, 1e-3, 0.1, (0.7, 0.95), 1.0, 0.99, 0.95, 0.1, 1.0, 0.1, 0.0, normalize_rewards=1.0
    )
    hyper = jax.tree.map(jnp.float32, hyper)
    made = networks.make_shac_networks(4, 1, running_statistics.normalize)
    trainer = learner.Learner(rollout.wrap(guarded, 8), made, 2, 4, 8, 2)
    state = jax.eval_shape(trainer.init, jax.random.PRNGKey(0), hyper)
    updates = jax.ShapeDtypeStruct((), jnp.int32)
    after, _ = jax.eval_shape(trainer.epoch, state, hyper, updates)
    assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(after)] == [
        (leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(state)
    ]


if __name__ == "__main__":
    assert jnp.zeros(()).dtype == jnp.float64
    for argument in sys.argv[1:]:
        if argument == "hosts":
            check_hosts()
        else:
            check_environment(*argument.split(":"))
    print("done")
