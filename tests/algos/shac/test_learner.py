import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.algos.shac import make_shac_networks
from safe_wrappers.algos.shac.learner import Hyperparameters, Learner
from safe_wrappers.algos.shac.rollout import wrap

HORIZON, ENVS, EPISODE = 4, 6, 8


def make_learner(env, episode_length=EPISODE):
    networks = make_shac_networks(
        1, 1, policy_hidden_layer_sizes=(8,), value_hidden_layer_sizes=(8,)
    )
    return Learner(
        wrap(env, episode_length), networks, ENVS, HORIZON, episode_length, num_critic_updates=2
    )


def hyperparameters(**changes):
    values = {
        "num_updates": 10.0,
        "learning_rate": 1e-2,
        "critic_learning_rate": 1e-2,
        "final_learning_rate_fraction": 0.1,
        "adam_b": (0.7, 0.95),
        "max_gradient_norm": 1.0,
        "discounting": 0.9,
        "td_lambda": 0.9,
        "tau": 0.5,
        "reward_scaling": 1.0,
        "regularisation": 0.0,
    }
    return jax.tree.map(jnp.float32, Hyperparameters(**{**values, **changes}))


def changed(before, after):
    return any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    )


def test_one_program_serves_all_lengths_and_hyperparameters(line):
    learner = make_learner(line)
    state = jax.jit(learner.init)(jax.random.PRNGKey(0), hyperparameters())
    epoch = jax.jit(learner.epoch)
    twice, _ = epoch(state, hyperparameters(), jnp.int32(2))
    once, _ = epoch(state, hyperparameters(), jnp.int32(1))
    again, _ = epoch(once, hyperparameters(), jnp.int32(1))
    assert not changed(twice, again)
    other, _ = epoch(state, hyperparameters(learning_rate=2e-2), jnp.int32(2))
    assert changed(twice.policy_params, other.policy_params)
    assert epoch._cache_size() == 1


def test_episodes_and_violations_are_counted_over_all_steps(make_line):
    learner = make_learner(make_line(bound=0.0))  # every state is a violation
    hyper = hyperparameters()
    state, _ = jax.jit(learner.epoch)(
        learner.init(jax.random.PRNGKey(0), hyper), hyper, jnp.int32(5)
    )
    assert int(state.totals["violations"]) == 5 * HORIZON * ENVS
    # 20 steps; truncations every 8 steps, the first ones spread over the episode: env i has already
    # done floor(8 i / 6) steps.
    expected = sum(1 + (19 + int(np.floor(EPISODE * i / ENVS))) // EPISODE for i in range(ENVS))
    assert int(state.totals["episodes"]) == expected
    assert state.smallest_margin < 0


def poison(line):
    """Adds a term to the reward whose value is 0 and whose derivative is 0 * inf."""
    step = line.step

    def poisoned(state, action):
        next_state = step(state, action)
        return next_state.replace(reward=next_state.reward + jnp.sqrt(jnp.sum(0.0 * action)))

    line.step = poisoned
    return line


def test_a_non_finite_gradient_skips_the_policy_but_not_the_value_function(line):
    learner, hyper = make_learner(poison(line)), hyperparameters()
    state = learner.init(jax.random.PRNGKey(0), hyper)
    after, metrics = jax.jit(learner.epoch)(state, hyper, jnp.int32(3))
    assert int(after.policy_optimizer_state.skipped) == 3
    assert int(after.value_optimizer_state.skipped) == 0
    assert not np.isfinite(metrics["gradient_norm"])
    assert not changed(state.policy_params, after.policy_params)
    assert not changed(state.policy_optimizer_state.inner, after.policy_optimizer_state.inner)
    assert changed(state.value_params, after.value_params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after.value_params))


def test_non_finite_observations_do_not_poison_the_normaliser_and_the_value_function(line):
    step = line.step
    line.step = lambda state, action: (
        lambda s: s.replace(obs=s.obs * jnp.nan, reward=s.reward * jnp.nan)
    )(step(state, action))
    learner, hyper = make_learner(line), hyperparameters()
    state = learner.init(jax.random.PRNGKey(0), hyper)
    after, _ = jax.jit(learner.epoch)(state, hyper, jnp.int32(1))
    assert not changed(state.normalizer_params, after.normalizer_params)
    assert not changed(state.value_params, after.value_params)
    assert int(after.value_optimizer_state.skipped) == 2


def test_regularisation_is_annealed_to_zero_at_half_of_the_budget(line):
    learner, hyper = make_learner(line), hyperparameters(regularisation=0.2)
    state = learner.init(jax.random.PRNGKey(0), hyper)
    update = jax.jit(learner.update)
    found = []
    for _ in range(7):
        state, metrics = update(state, hyper)
        found.append(float(metrics["regularisation"]))
    assert found == pytest.approx([0.2, 0.16, 0.12, 0.08, 0.04, 0.0, 0.0], abs=1e-6)


def test_fresh_starts_differ_between_updates(line):
    learner, hyper = make_learner(line, episode_length=HORIZON), hyperparameters()
    state = learner.init(jax.random.PRNGKey(0), hyper)
    update = jax.jit(learner.update)
    means = []
    for _ in range(3):
        state, _ = update(state, hyper)
        means.append(float(state.normalizer_params.mean[0]))
    assert len(set(means)) == 3
