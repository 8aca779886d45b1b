"""Trainers that know nothing of safety, unchanged: no exit in any of their steps, counted inside the environment."""

import functools

import jax
import numpy as np
import pytest
from brax.training.agents.apg import networks as apg_networks
from brax.training.agents.apg import train as apg
from brax.training.agents.ppo import train as ppo

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Brax's trainers call names that jax and optax have deprecated


class CountingPendulum(SafePendulum):
    """Counts every executed step and every exit on the host, whoever steps it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.steps, self.exits, self.least = 0, 0, np.inf

    def step(self, state, action):
        state = super().step(state, action)
        jax.debug.callback(self.count, state.info["margin"])
        return state

    def count(self, margin):
        self.steps += margin.size
        self.exits += int(np.sum(~(margin >= 0)))
        self.least = min(self.least, float(np.min(margin)))


def train_with(trainer, safeguarded=True):
    """Trains on the narrow set towards an angle beyond its boundary, under worst-case disturbances."""
    env = CountingPendulum(safe_set="narrow", target_angle=0.8, disturbance="worst_case")
    _, _, metrics = trainer(sw.SafeguardWrapper(env, sw.BoundaryProjection()) if safeguarded else env)
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


@pytest.mark.parametrize("trainer", [run_apg, pytest.param(run_ppo, marks=pytest.mark.slow)])
def test_the_trainers_of_brax_never_leave_the_set(trainer):
    env, metrics = train_with(trainer)
    assert env.steps > 300
    assert env.exits == 0
    assert 0 < env.least < 0.1
    assert metrics["eval/episode_safeguard/left_set_per_step"] == metrics["eval/episode_safeguard/infeasible_per_step"] == 0
    assert metrics["eval/episode_safeguard/intervention_per_step"] > 0
    assert np.isfinite(metrics["eval/episode_reward"])


@pytest.mark.slow
def test_the_same_trainer_without_the_safeguard_leaves_the_set():
    env, metrics = train_with(run_ppo, safeguarded=False)
    assert env.exits > 100
    assert metrics["eval/episode_left_set_per_step"] > 0
