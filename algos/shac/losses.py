"""The losses of SHAC (Xu et al. 2022, Accelerated Policy Learning with Parallel Differentiable
Simulation, eq. 5-8).

All arrays start with (horizon, num_envs); `last` marks the final step of the window.
"""

import jax
import jax.numpy as jnp

from .rollout import Rollout


def _cut(done: jax.Array) -> jax.Array:
    """1 where a segment of rewards ends: at the end of an episode and at the last step of the
    window.
    """
    return done.at[-1].set(1.0)


def discounted_return(
    rollout: Rollout, next_values: jax.Array, discounting: float | jax.Array
) -> jax.Array:
    """Sum of discounted rewards per environment, with V(next_obs) where a segment ends without
    termination. Shape (num_envs,).

    The discount restarts after a reset. Segments are weighted alike, so a window with a reset is
    the sum of two returns.
    """

    def step(discount, transition):
        reward, done, bootstrap = transition
        value = discount * (reward + discounting * bootstrap)
        return jnp.where(done > 0, 1.0, discounting * discount), value

    bootstrap = jnp.where(_cut(rollout.done) * (1 - rollout.termination) > 0, next_values, 0.0)
    _, values = jax.lax.scan(
        step, jnp.ones_like(rollout.reward[0]), (rollout.reward, rollout.done, bootstrap)
    )
    return jnp.sum(values, axis=0)


def policy_loss(
    rollout: Rollout,
    next_values: jax.Array,
    *,
    discounting: float | jax.Array,
    reward_scaling: float | jax.Array,
    regularisation: float | jax.Array,
) -> jax.Array:
    """-(mean return per step) + regularisation * mean |a_s - a|^2, both means over environments and
    steps. Shape ().

    Args:
        rollout: From `rollout.rollout`, differentiable with respect to the policy.
        next_values: V(next_obs) of the target value function, in units of scaled reward.
        discounting: gamma.
        reward_scaling: Factor on rewards.
        regularisation: Weight of the distance between requested and executed action (Walter et al.
            2025).
    """
    scaled = rollout._replace(reward=reward_scaling * rollout.reward)
    returns = discounted_return(scaled, next_values, discounting)
    return -jnp.mean(returns) / rollout.reward.shape[0] + regularisation * jnp.mean(
        rollout.correction
    )


def td_lambda_targets(
    reward: jax.Array,
    done: jax.Array,
    termination: jax.Array,
    next_values: jax.Array,
    *,
    discounting: float | jax.Array,
    td_lambda: float | jax.Array,
) -> jax.Array:
    """TD(lambda) targets of the value function by a reverse scan, shape (horizon, num_envs).

    G_t = r_t + gamma (1 - termination_t) ((1 - lambda) V(next_obs_t) + lambda G_{t+1}), where at a
    truncation and at the end of the window V(next_obs_t) alone stands for the rest.
    """

    def step(
        following: jax.Array, transition: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, jax.Array]:
        reward, cut, termination, value = transition
        rest = jnp.where(cut > 0, value, (1 - td_lambda) * value + td_lambda * following)
        target = reward + discounting * jnp.where(termination > 0, 0.0, rest)
        return target, target

    _, targets = jax.lax.scan(
        step,
        jnp.zeros(reward.shape[1:], reward.dtype),
        (reward, _cut(done), termination, next_values),
        reverse=True,
    )
    return targets
