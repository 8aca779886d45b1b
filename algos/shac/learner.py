"""One update of SHAC as a pure function of the training state, and loops of it inside one compiled
program.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from brax.envs.base import Env, State
from brax.training import types
from brax.training.acme import running_statistics, specs

from .devices import ONE_DEVICE, Devices
from .losses import policy_loss, td_lambda_targets
from .networks import SHACNetworks, make_inference_fn
from .optimiser import make_optimiser
from .rollout import Rollout, awaiting_reset, counted_metrics, random_keys, rollout, stagger


class Hyperparameters(NamedTuple):
    """Numbers that are data of the compiled program: changing them compiles nothing.

    See `train` for their meaning.
    """

    num_updates: jax.Array | float
    learning_rate: jax.Array | float
    critic_learning_rate: jax.Array | float
    final_learning_rate_fraction: jax.Array | float
    adam_b: tuple[jax.Array | float, jax.Array | float]
    max_gradient_norm: jax.Array | float
    discounting: jax.Array | float
    td_lambda: jax.Array | float
    tau: jax.Array | float
    reward_scaling: jax.Array | float
    regularisation: jax.Array | float
    final_regularisation_fraction: jax.Array | float
    normalize_rewards: jax.Array | float


def newest_updates(num_updates: jax.Array | float) -> jax.Array:
    """How many updates at the end of a training count as its newest: a tenth of all, rounded up."""
    return jnp.ceil(num_updates / 10)


def reward_scale(reward_square: running_statistics.RunningStatisticsState) -> jax.Array:
    """1 / root mean square of all rewards so far; 1 while they are all 0."""
    square = jnp.asarray(reward_square.mean)
    return jnp.where(square > 0, 1 / jnp.sqrt(jnp.where(square > 0, square, 1.0)), 1.0)


class TrainingState(NamedTuple):
    """All that an interrupted training needs to go on exactly as if it had not been interrupted.

    `key` never changes: update i draws from fold_in(key, i). `totals` counts over all training
    steps.
    """

    key: types.PRNGKey
    updates: jax.Array
    normalizer_params: running_statistics.RunningStatisticsState
    reward_square: running_statistics.RunningStatisticsState
    policy_params: types.Params
    value_params: types.Params
    target_value_params: types.Params
    policy_optimizer_state: Any
    value_optimizer_state: Any
    env_state: State
    totals: dict[str, Any]
    smallest_margin: jax.Array

    @property
    def params(self) -> types.Params:
        """(normalizer_params, policy_params, value_params), as `make_policy` takes them."""
        return self.normalizer_params, self.policy_params, self.value_params


@dataclasses.dataclass(frozen=True)
class Learner:
    """SHAC on one batched environment.

    All methods are pure and can be jitted, and batched over keys and hyperparameters.

    Args:
        env: Batched, with episode ends but without automatic resets; see `rollout.wrap`.
        networks: Policy and value networks.
        num_envs: Environments stepped side by side.
        horizon_length: Steps per update.
        train_episode_length: Over which the environments' first truncations are spread.
        num_critic_updates: Full-batch gradient steps of the value function per update.
        devices: Where the environments are. Over a mesh, `epoch` runs under `jax.shard_map`, on
            each device with its own environments.
    """

    env: Env
    networks: SHACNetworks
    num_envs: int
    horizon_length: int
    train_episode_length: int
    num_critic_updates: int
    devices: Devices = ONE_DEVICE

    @property
    def steps_per_update(self) -> int:
        """Environment interactions per update."""
        return self.num_envs * self.horizon_length

    def _optimisers(
        self, hyper: Hyperparameters, updates: jax.Array | int
    ) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
        decay = 1 - (1 - hyper.final_learning_rate_fraction) * updates / hyper.num_updates
        policy = make_optimiser(decay * hyper.learning_rate, hyper.adam_b, hyper.max_gradient_norm)
        return policy, make_optimiser(
            decay * hyper.critic_learning_rate, hyper.adam_b, hyper.max_gradient_norm
        )

    def init(self, key: types.PRNGKey, hyper: Hyperparameters) -> TrainingState:
        """The state before the first update."""
        policy_key, value_key, key = jax.random.split(key, 3)
        env_state: Any = awaiting_reset(self.env, self.num_envs)
        zero: Any = types.UInt64(hi=0, lo=0)  # pyright: ignore[reportCallIssue]
        policy_params = self.networks.policy_network.init(policy_key)
        value_params = self.networks.value_network.init(value_key)
        policy_optimiser, value_optimiser = self._optimisers(hyper, 0)
        state = TrainingState(
            key=key,
            updates=jnp.zeros((), jnp.int32),
            normalizer_params=running_statistics.init_state(
                specs.Array(env_state.obs.shape[1:], jnp.dtype("float32"))
            ),
            reward_square=running_statistics.init_state(specs.Array((), jnp.dtype("float32"))),
            policy_params=policy_params,
            value_params=value_params,
            target_value_params=value_params,
            policy_optimizer_state=policy_optimiser.init(policy_params),
            value_optimizer_state=value_optimiser.init(value_params),
            env_state=env_state,
            totals=dict.fromkeys(("episodes", *counted_metrics(env_state.metrics)), zero),
            smallest_margin=jnp.full((), jnp.inf),
        )
        # Python numbers inside would be weakly typed here and strongly after an epoch, and compile
        # it twice.
        return jax.tree.map(
            lambda leaf: jax.lax.convert_element_type(leaf, jnp.result_type(leaf)), state
        )

    def update(
        self, state: TrainingState, hyper: Hyperparameters
    ) -> tuple[TrainingState, dict[str, Any]]:
        """One window of `horizon_length` steps, one step of the policy, then `num_critic_updates`
        steps of the value function.
        """
        key = jax.random.fold_in(state.key, state.updates)
        indices = self.devices.indices(self.num_envs)
        reset_keys, action_keys = random_keys(key, indices, self.horizon_length)
        fresh = self.env.reset(reset_keys)
        fresh = jax.tree.map(
            lambda first, later: jnp.where(state.updates == 0, first, later),
            stagger(fresh, self.train_episode_length, indices, self.num_envs),
            fresh,
        )
        policy_optimiser, value_optimiser = self._optimisers(hyper, state.updates)
        # Annealed until half of the budget: it revives a policy whose every request is clipped.
        # What is left then keeps requests where the projection passes on their gradient.
        least = hyper.final_regularisation_fraction
        annealed = jnp.maximum(0.0, 1 - 2 * state.updates / hyper.num_updates)
        regularisation = hyper.regularisation * (least + (1 - least) * annealed)
        make_policy = make_inference_fn(self.networks)
        value = self.networks.value_network.apply

        def loss_of_policy(policy_params: types.Params) -> Any:
            policy = make_policy((state.normalizer_params, policy_params))
            env_state, data = rollout(self.env, policy, state.env_state, fresh, action_keys)
            next_values = value(state.normalizer_params, state.target_value_params, data.next_obs)
            reward_square = self._reward_square(state, data)
            scale = hyper.reward_scaling * jnp.where(
                hyper.normalize_rewards > 0, reward_scale(reward_square), 1.0
            )
            loss = policy_loss(
                data,
                next_values,
                discounting=hyper.discounting,
                reward_scaling=scale,
                regularisation=regularisation,
            )
            return loss, (env_state, data, next_values, reward_square, scale)

        (loss, seen), gradient = jax.value_and_grad(loss_of_policy, has_aux=True)(
            state.policy_params
        )
        policy_params, policy_optimizer_state = self._stepped(
            policy_optimiser, gradient, state.policy_params, state.policy_optimizer_state
        )
        env_state, data, next_values, reward_square, scale = seen

        targets = td_lambda_targets(
            scale * data.reward,
            data.done,
            data.termination,
            next_values,
            discounting=hyper.discounting,
            td_lambda=hyper.td_lambda,
        )

        def loss_of_value(value_params: types.Params) -> Any:
            return jnp.mean(
                jnp.square(value(state.normalizer_params, value_params, data.obs) - targets)
            )

        def fit(carry, _):
            value_loss, gradient = jax.value_and_grad(loss_of_value)(carry[0])
            return self._stepped(value_optimiser, gradient, *carry), value_loss

        fitted, value_losses = jax.lax.scan(
            fit, (state.value_params, state.value_optimizer_state), length=self.num_critic_updates
        )
        value_params, value_optimizer_state = fitted

        new_state = TrainingState(
            key=state.key,
            updates=state.updates + 1,
            normalizer_params=self._normalizer_params(state, data),
            policy_params=policy_params,
            reward_square=reward_square,
            value_params=value_params,
            target_value_params=optax.incremental_update(
                value_params, state.target_value_params, hyper.tau
            ),
            policy_optimizer_state=policy_optimizer_state,
            value_optimizer_state=value_optimizer_state,
            env_state=env_state,
            totals=self._totals(state, data),
            smallest_margin=jnp.minimum(
                state.smallest_margin, self.devices.least(jnp.min(data.margin))
            ),
        )
        metrics = {
            "policy_loss": loss,
            "value_loss": value_losses[-1],
            "gradient_norm": new_state.policy_optimizer_state.gradient_norm,
            "reward": jnp.mean(data.reward),
            "regularisation": regularisation,
        }
        if "interventions" in data.counted:
            metrics["interventions_per_step"] = jnp.mean(data.counted["interventions"])
        return new_state, self.devices.mean(metrics)

    def _stepped(
        self,
        optimiser: optax.GradientTransformation,
        gradient: types.Params,
        params: types.Params,
        optimiser_state: Any,
    ) -> tuple[types.Params, Any]:
        """Parameters and optimiser after a step with the mean of all devices' gradients."""
        updates, optimiser_state = optimiser.update(self.devices.mean(gradient), optimiser_state)
        return optax.apply_updates(params, updates), optimiser_state

    def epoch(
        self, state: TrainingState, hyper: Hyperparameters, num_updates: jax.Array
    ) -> tuple[TrainingState, dict[str, Any]]:
        """`num_updates` updates, and the means of their metrics; `interventions_per_step` is the
        mean over the last `newest_updates` of them.

        The number is traced: one compiled program serves epochs of any length.
        """
        newest = jnp.minimum(num_updates, newest_updates(hyper.num_updates))
        update = jax.jit(self.update)  # for its shapes and the loop: traced once

        def body(i, carry):
            state, sums = carry
            state, metrics = update(state, hyper)
            if "interventions_per_step" in metrics:
                is_new = i >= num_updates - newest
                metrics["interventions_per_step"] *= jnp.where(is_new, num_updates / newest, 0.0)
            return state, jax.tree.map(jnp.add, sums, metrics)

        metrics = jax.eval_shape(update, state, hyper)[1]
        sums = jax.tree.map(lambda metric: jnp.zeros(metric.shape, metric.dtype), metrics)
        state, sums = jax.lax.fori_loop(0, num_updates, body, (state, sums))
        return state, {name: total / num_updates for name, total in sums.items()}

    def _normalizer_params(
        self, state: TrainingState, data: Rollout
    ) -> running_statistics.RunningStatisticsState:
        """Statistics with this window's observations, which the next window uses; unchanged if one
        is not finite.
        """
        updated = running_statistics.update(
            state.normalizer_params, data.obs, pmap_axis_name=self.devices.axis
        )
        finite = self.devices.all(jnp.all(jnp.isfinite(data.obs)))
        return jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), updated, state.normalizer_params
        )

    def _reward_square(
        self, state: TrainingState, data: Rollout
    ) -> running_statistics.RunningStatisticsState:
        """Statistics of squared rewards with this window's; unchanged if one is not finite."""
        # The statistics are float32, whatever rewards are where 64-bit types are switched on.
        square = jnp.square(jax.lax.stop_gradient(data.reward)).astype(jnp.float32)
        updated = running_statistics.update(
            state.reward_square, square, pmap_axis_name=self.devices.axis
        )
        finite = self.devices.all(jnp.all(jnp.isfinite(square)))
        return jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), updated, state.reward_square
        )

    def _totals(self, state: TrainingState, data: Rollout) -> dict[str, Any]:
        # An episode starts where the step before, in this window or the last, was done.
        counts = {
            "episodes": jnp.concatenate([state.env_state.done[None], data.done[:-1]]),
            **data.counted,
        }
        return {
            name: total + self.devices.total(jnp.sum(counts[name]).astype(jnp.int32))
            for name, total in state.totals.items()
        }
