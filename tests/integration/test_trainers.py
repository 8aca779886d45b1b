"""Trainers that know nothing of safety, unchanged: no exit in any of their steps, counted inside
the environment.
"""

import functools

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.training import acting
from brax.training.agents.apg import networks as apg_networks
from brax.training.agents.apg import train as apg
from brax.training.agents.ppo import train as ppo
from brax.training.agents.sac import networks as sac_networks
from brax.training.agents.sac import train as sac
from counting import CountingPendulum

import safe_wrappers as sw

sw.adapters.enable_brax_trainers()

# Brax's trainers call names that jax and optax have deprecated
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def train_with(trainer, safeguarded=True):
    env = CountingPendulum()
    _, _, metrics = trainer(
        sw.SafeguardWrapper(env, sw.BoundaryProjection()) if safeguarded else env
    )
    jax.effects_barrier()
    return env, metrics


def run_apg(env):
    return apg.train(
        env,
        episode_length=40,
        policy_updates=4,
        horizon_length=10,
        num_envs=8,
        num_eval_envs=8,
        num_evals=2,
        learning_rate=1e-2,
        network_factory=functools.partial(apg_networks.make_apg_networks, hidden_layer_sizes=(8,)),
    )


def run_ppo(env):
    return ppo.train(
        env,
        num_timesteps=2_000,
        episode_length=40,
        num_envs=16,
        num_eval_envs=16,
        num_evals=2,
        batch_size=16,
        num_minibatches=4,
        unroll_length=10,
        num_updates_per_batch=1,
    )


def run_sac(env):
    return sac.train(
        env,
        num_timesteps=1_000,
        episode_length=40,
        num_envs=8,
        num_eval_envs=16,
        num_evals=2,
        batch_size=32,
        min_replay_size=200,
        learning_rate=1e-3,
        network_factory=functools.partial(sac_networks.make_sac_networks, hidden_layer_sizes=(8,)),
    )


@pytest.mark.parametrize(
    "trainer",
    [run_apg, *(pytest.param(trainer, marks=pytest.mark.slow) for trainer in (run_ppo, run_sac))],
)
def test_the_trainers_of_brax_never_leave_the_set(trainer):
    env, metrics = train_with(trainer)
    assert env.steps > 300
    assert env.exits == 0
    assert 0 < env.least < 0.1
    assert (
        metrics["eval/episode_safeguard/left_set_per_step"]
        == metrics["eval/episode_safeguard/infeasible_per_step"]
        == 0
    )
    assert metrics["eval/episode_safeguard/intervention_per_step"] > 0
    assert np.isfinite(metrics["eval/episode_reward"])


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [run_ppo, run_sac])
def test_the_same_trainer_without_the_safeguard_leaves_the_set(trainer):
    env, metrics = train_with(trainer, safeguarded=False)
    assert env.exits > 100
    assert metrics["eval/episode_left_set_per_step"] > 0


def test_the_transitions_of_off_policy_learners():
    """Brax's own `actor_step` collects what they store: the requested and the executed action, and
    whether only time was up.
    """
    env = sw.SafeguardWrapper(CountingPendulum(), sw.BoundaryProjection())
    wrapped = brax.envs.training.wrap(env, episode_length=4)
    policy = lambda obs, key: (jax.random.uniform(key, (8, 1), minval=-2, maxval=2), {})  # noqa: E731

    def step(state, key):
        return acting.actor_step(
            wrapped, state, policy, key, extra_fields=("truncation", "safeguard", "cost")
        )

    keys = jax.random.split(jax.random.PRNGKey(0), 8)
    _, transitions = jax.jit(lambda keys: jax.lax.scan(step, wrapped.reset(keys), keys))(keys)
    extras = transitions.extras["state_extras"]
    guard = extras["safeguard"]
    np.testing.assert_array_equal(guard["requested"], jnp.clip(transitions.action, -1, 1))
    assert (guard["intervened"] == 1).any()
    assert (guard["inside"] == 1).all()
    safe = guard["intervened"] == 0
    np.testing.assert_array_equal(guard["action"][safe], transitions.action[safe])
    np.testing.assert_allclose(
        np.abs(guard["action"] - guard["requested"])[..., 0],
        guard["distance"],
        rtol=1e-5,
        atol=1e-7,
    )
    np.testing.assert_array_equal(
        extras["truncation"], np.tile([[0], [0], [0], [1], [0], [0], [0], [1]], (1, 8))
    )
    np.testing.assert_array_equal(transitions.discount, 1 - extras["truncation"])
