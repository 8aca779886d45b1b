import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safe_wrappers.algos.shac.losses import discounted_return, policy_loss, td_lambda_targets
from safe_wrappers.algos.shac.rollout import Rollout


def random_transitions(seed, horizon=6, num_envs=5):
    rng = np.random.default_rng(seed)
    reward, values = rng.normal(size=(2, horizon, num_envs)).astype(np.float32)
    done = (rng.random((horizon, num_envs)) < 0.4).astype(np.float32)
    termination = done * (rng.random((horizon, num_envs)) < 0.5)
    return reward, done, termination.astype(np.float32), values


def as_rollout(reward, done, termination, correction=None):
    zeros = jnp.zeros_like(jnp.asarray(reward))
    return Rollout(
        zeros,
        zeros,
        jnp.asarray(reward),
        jnp.asarray(done),
        jnp.asarray(termination),
        zeros if correction is None else correction,
        zeros,
        {},
    )


def naive_td_lambda(reward, done, termination, values, gamma, lam):
    horizon, num_envs = reward.shape
    targets = np.zeros_like(reward)
    for i in range(num_envs):
        for t in range(horizon):
            # Weighted sum of all n-step returns within the segment: (1 - lam) lam^(n-1) each, the
            # last one takes the rest.
            end = next(s for s in range(t, horizon) if done[s, i] or s == horizon - 1)
            for n in range(1, end - t + 2):
                last = t + n - 1
                n_step = sum(gamma**k * reward[t + k, i] for k in range(n)) + gamma**n * (
                    0.0 if termination[last, i] else values[last, i]
                )
                weight = lam ** (n - 1) if last == end else (1 - lam) * lam ** (n - 1)
                targets[t, i] += weight * n_step
    return targets


@given(seed=st.integers(0, 10_000), gamma=st.floats(0, 1), lam=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_td_lambda_equals_the_weighted_n_step_returns(seed, gamma, lam):
    reward, done, termination, values = random_transitions(seed)
    targets = td_lambda_targets(
        *map(jnp.asarray, (reward, done, termination, values)), discounting=gamma, td_lambda=lam
    )
    np.testing.assert_allclose(
        targets,
        naive_td_lambda(reward, done, termination, values, gamma, lam),
        rtol=1e-4,
        atol=1e-4,
    )


@given(seed=st.integers(0, 10_000), gamma=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_discounted_return_restarts_after_a_reset(seed, gamma):
    reward, done, termination, values = random_transitions(seed)
    expected = np.zeros(reward.shape[1])
    for i in range(reward.shape[1]):
        discount = 1.0
        for t in range(len(reward)):
            expected[i] += discount * reward[t, i]
            discount *= gamma
            if (done[t, i] or t == len(reward) - 1) and not termination[t, i]:
                expected[i] += discount * values[t, i]
            discount = 1.0 if done[t, i] else discount
    found = discounted_return(as_rollout(reward, done, termination), jnp.asarray(values), gamma)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("termination", "expected"), [(0.0, 1 + 0.5 * 7.0), (1.0, 1.0)], ids=["truncated", "terminated"]
)
def test_only_a_truncated_episode_is_bootstrapped(termination, expected):
    one = jnp.ones((1, 1))
    rollout = as_rollout(one, one, termination * one)
    assert discounted_return(rollout, 7.0 * one, 0.5) == pytest.approx(expected)
    assert td_lambda_targets(
        one, one, termination * one, 7.0 * one, discounting=0.5, td_lambda=0.9
    ) == pytest.approx(expected)


def test_a_non_finite_value_after_a_termination_is_not_read():
    one = jnp.ones((1, 1))
    values = jnp.full((1, 1), jnp.nan)
    assert discounted_return(as_rollout(one, one, one), values, 0.9) == 1.0
    assert td_lambda_targets(one, one, one, values, discounting=0.9, td_lambda=0.9) == 1.0


def test_regularisation_adds_the_mean_squared_correction():
    reward, done, termination, values = random_transitions(0)
    correction = jnp.asarray(np.random.default_rng(1).random(reward.shape), jnp.float32)

    def loss(correction, c):
        rollout = as_rollout(reward, done, termination, correction)
        return policy_loss(
            rollout, jnp.asarray(values), discounting=0.9, reward_scaling=1.0, regularisation=c
        )

    np.testing.assert_allclose(
        loss(correction, 0.3) - loss(correction, 0.0), 0.3 * correction.mean(), rtol=1e-4
    )
    np.testing.assert_allclose(
        jax.grad(loss)(correction, 0.3), np.full(reward.shape, 0.3 / reward.size), rtol=1e-5
    )
