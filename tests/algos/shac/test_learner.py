import jax
import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers.algos.shac import make_shac_networks
from safe_wrappers.algos.shac.learner import Hyperparameters, Learner, reward_scale
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
        "final_regularisation_fraction": 0.0,
        "normalize_rewards": 1.0,
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


def regularisations(line, **options):
    """The weight in each of seven updates."""
    learner, hyper = make_learner(line), hyperparameters(regularisation=0.2, **options)
    state = learner.init(jax.random.PRNGKey(0), hyper)
    update = jax.jit(learner.update)
    found = []
    for _ in range(7):
        state, metrics = update(state, hyper)
        found.append(float(metrics["regularisation"]))
    return found


def test_regularisation_is_annealed_to_zero_at_half_of_the_budget(line):
    found = regularisations(line)
    assert found == pytest.approx([0.2, 0.16, 0.12, 0.08, 0.04, 0.0, 0.0], abs=1e-6)


def test_a_share_of_the_regularisation_can_last(line):
    found = regularisations(line, final_regularisation_fraction=0.5)
    assert found == pytest.approx([0.2, 0.18, 0.16, 0.14, 0.12, 0.1, 0.1], abs=1e-6)


def test_fresh_starts_differ_between_updates(line):
    learner, hyper = make_learner(line, episode_length=HORIZON), hyperparameters()
    state = learner.init(jax.random.PRNGKey(0), hyper)
    update = jax.jit(learner.update)
    means = []
    for _ in range(3):
        state, _ = update(state, hyper)
        means.append(float(state.normalizer_params.mean[0]))
    assert len(set(means)) == 3


def test_interventions_are_averaged_over_the_newest_tenth_of_the_training(line):
    line.step = lambda state, action, step=line.step: (
        lambda s: s.replace(
            metrics={
                **s.metrics,
                "safeguard/intervention_per_step": (jnp.abs(s.obs[0]) > 0.5).astype(jnp.float32),
            }
        )
    )(step(state, action))
    reset = line.reset
    line.reset = lambda rng: (
        lambda s: s.replace(metrics={**s.metrics, "safeguard/intervention_per_step": jnp.zeros(())})
    )(reset(rng))
    learner, hyper = make_learner(line), hyperparameters(num_updates=20.0)
    state = learner.init(jax.random.PRNGKey(0), hyper)
    update = jax.jit(learner.update)
    shares, after = [], state
    for _ in range(5):
        after, metrics = update(after, hyper)
        shares.append(float(metrics["interventions_per_step"]))
    epoch = jax.jit(learner.epoch)
    assert epoch(state, hyper, jnp.int32(5))[1]["interventions_per_step"] == pytest.approx(
        np.mean(shares[-2:])
    )
    assert epoch(state, hyper, jnp.int32(1))[1]["interventions_per_step"] == pytest.approx(
        shares[0]
    )
    assert len(set(shares)) > 2


def in_another_unit(line, factor):
    step = line.step
    line.step = lambda state, action: (lambda s: s.replace(reward=factor * s.reward))(
        step(state, action)
    )
    return line


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_normalised_rewards_make_the_training_independent_of_their_unit(make_line, factor):
    """The factors are no powers of two, so that rounding is all that differs."""
    hyper, after = hyperparameters(), []
    for env in (make_line(), in_another_unit(make_line(), factor)):
        learner = make_learner(env)
        state = learner.init(jax.random.PRNGKey(0), hyper)
        after.append(jax.jit(learner.epoch)(state, hyper, jnp.int32(4)))
    (one, metrics), (other, scaled) = after
    for a, b in zip(
        jax.tree.leaves((one.policy_params, one.value_params)),
        jax.tree.leaves((other.policy_params, other.value_params)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert scaled["value_loss"] == pytest.approx(float(metrics["value_loss"]), rel=1e-3)
    # What is reported of the reward keeps its unit.
    assert scaled["reward"] == pytest.approx(factor * float(metrics["reward"]), rel=1e-3)


def test_without_normalisation_the_unit_matters(make_line):
    hyper = hyperparameters(normalize_rewards=0.0)
    losses = []
    for env in (make_line(), in_another_unit(make_line(), 100.0)):
        learner = make_learner(env)
        state = learner.init(jax.random.PRNGKey(0), hyper)
        losses.append(float(jax.jit(learner.epoch)(state, hyper, jnp.int32(1))[1]["value_loss"]))
    assert losses[1] > 100 * losses[0]


def test_the_reward_scale_is_one_over_the_root_mean_square_of_all_rewards(line):
    learner, hyper = make_learner(line), hyperparameters()
    state = learner.init(jax.random.PRNGKey(0), hyper)
    update, squares = jax.jit(learner.update), []
    assert reward_scale(state.reward_square) == 1.0
    for _ in range(3):
        # Rewards are -x'^2, and the normaliser of the observations has seen x, not x'.
        state, _ = update(state, hyper)
        squares.append(float(state.reward_square.mean))
    assert int(state.reward_square.count.lo) == 3 * HORIZON * ENVS
    assert 0 < squares[-1] < 1
    assert reward_scale(state.reward_square) == pytest.approx(squares[-1] ** -0.5)


def test_rewards_that_are_all_zero_are_not_divided_by_zero(line):
    learner, hyper = make_learner(in_another_unit(line, 0.0)), hyperparameters()
    state = learner.init(jax.random.PRNGKey(0), hyper)
    after, metrics = jax.jit(learner.epoch)(state, hyper, jnp.int32(2))
    assert reward_scale(after.reward_square) == 1.0
    assert all(np.isfinite(value) for value in metrics.values())
