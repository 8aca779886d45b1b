"""PPO in one file, on any Gymnasium vector environment that resets in the step that ends an
episode; change it as you like.

In JAX and not in torch, so that the default install can run it. python
examples/agents/single_file_ppo.py
"""

import functools
import math

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

NUM_STEPS, EPOCHS, MINIBATCHES, GAMMA, LAMBDA, CLIP, ENTROPY = 32, 4, 4, 0.97, 0.95, 0.2, 1e-3


class ActorCritic(nn.Module):
    """Mean and log standard deviation of the requested action, and the value of an observation."""

    actions: int

    @nn.compact
    def __call__(self, x):
        """Observations, shape (..., n); compressed, because those of raw environments have no
        bound.
        """
        x = jnp.sign(x) * jnp.log1p(jnp.abs(x))
        mean, value = (
            nn.Sequential([nn.Dense(64), nn.tanh, nn.Dense(64), nn.tanh, nn.Dense(size)])(x)
            for size in (self.actions, 1)
        )
        log_std = self.param("log_std", nn.initializers.constant(-0.5), (self.actions,))
        return mean, log_std, value[..., 0]


def log_prob(mean, log_std, action):
    """Of a Gaussian with independent components; the environment gets its sample as it is, and
    whatever is too large is its affair.
    """
    return jnp.sum(
        -0.5 * ((action - mean) / jnp.exp(log_std)) ** 2 - log_std - 0.5 * math.log(2 * math.pi),
        axis=-1,
    )


@functools.partial(jax.jit, static_argnums=0)
def act(net, params, observation, key):
    """Sampled actions, their log probabilities, and values."""
    mean, log_std, value = net.apply(params, observation)
    action = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
    return action, log_prob(mean, log_std, action), value


@jax.jit
def advantages(reward, value, last_value, done):
    """Generalised advantage estimates, shape (NUM_STEPS, N)."""
    following = jnp.concatenate([value[1:], last_value[None]])
    delta = reward + GAMMA * (1 - done) * following - value
    scan = lambda later, now: (now[0] + GAMMA * LAMBDA * (1 - now[1]) * later,) * 2  # noqa: E731
    return jax.lax.scan(scan, jnp.zeros_like(last_value), (delta, done), reverse=True)[1]


def loss(params, net, batch):
    """The clipped objective, the error of the values, and a bonus for entropy."""
    observation, action, old, advantage, target = batch
    mean, log_std, value = net.apply(params, observation)
    ratio, advantage = (
        jnp.exp(log_prob(mean, log_std, action) - old),
        (advantage - advantage.mean()) / (advantage.std() + 1e-8),
    )
    surrogate = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)
    return -surrogate.mean() + 0.5 * jnp.mean((value - target) ** 2) - ENTROPY * jnp.sum(log_std)


@functools.partial(jax.jit, static_argnums=(0, 1))
def update(net, optimiser, carry, batch, key):
    """EPOCHS passes over the batch in MINIBATCHES parts."""

    def step(carry, rows):
        params, memory = carry
        gradient, memory = optimiser.update(
            jax.grad(loss)(params, net, jax.tree.map(lambda leaf: leaf[rows], batch)), memory
        )
        return (optax.apply_updates(params, gradient), memory), None

    orders = jax.vmap(lambda key: jax.random.permutation(key, len(batch[0])))(
        jax.random.split(key, EPOCHS)
    )
    return jax.lax.scan(step, carry, orders.reshape(EPOCHS * MINIBATCHES, -1))[0]


def train(env, num_timesteps, seed=0, reward_scale=0.1):
    """Trains on a `gymnasium.vector.VectorEnv` in the mode SAME_STEP; returns the deterministic
    policy: observations -> actions.
    """
    net, optimiser, key = (
        ActorCritic(env.single_action_space.shape[0]),
        optax.adam(1e-3),
        jax.random.PRNGKey(seed),
    )
    observation, _ = env.reset(seed=seed)
    params = net.init(key, observation)
    carry = params, optimiser.init(params)
    for _ in range(max(1, num_timesteps // (NUM_STEPS * env.num_envs))):
        steps = []
        for _ in range(NUM_STEPS):
            key, draw = jax.random.split(key)
            action, logp, value = act(net, carry[0], observation, draw)
            following, reward, terminated, truncated, info = env.step(np.asarray(action))
            reward = reward * reward_scale
            # time was up, but the task goes on: from its last state, not from the new one
            for i in np.flatnonzero(truncated & ~terminated):
                reward[i] += GAMMA * act(net, carry[0], info["final_obs"][i], draw)[2]
            steps.append((observation, action, logp, value, reward, terminated | truncated))
            observation = following
        observations, action, logp, value, reward, done = (
            jnp.stack([jnp.asarray(x, jnp.float32) for x in column])
            for column in zip(*steps, strict=True)
        )
        advantage = advantages(reward, value, act(net, carry[0], observation, draw)[2], done)
        batch = jax.tree.map(
            lambda leaf: leaf.reshape(-1, *leaf.shape[2:]),
            (observations, action, logp, advantage, advantage + value),
        )
        carry = update(net, optimiser, carry, batch, jax.random.fold_in(key, 1))
    return lambda observation: np.asarray(net.apply(carry[0], observation)[0])


if __name__ == "__main__":
    import safe_wrappers  # noqa: F401 (registers the ids)

    train(
        gymnasium.make_vec(
            "SafeWrappers/Pendulum-v0", 64, autoreset_mode="SameStep", regularisation=0.1
        ),
        100_000,
    )
