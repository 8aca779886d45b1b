"""SHAC training with the signature of Brax's agents."""

import functools
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs
from brax.training import acting, types
from brax.training.acme import running_statistics

from safe_wrappers._arguments import checked
from safe_wrappers.safeguards import BoundaryProjection
from safe_wrappers.wrappers import SafeguardedEnv

from ..shac_arguments import ARGUMENTS
from . import checkpoint
from . import networks as shac_networks
from .learner import Hyperparameters, Learner, TrainingState, newest_updates
from .result import Best, Trained, TrainingHint, decline_hint, leaning_hint, standard_error
from .rollout import wrap

_MOST_UPDATES = 2**31  # they are counted in int32


def _default_regularisation(environment: envs.Env) -> float:
    # A wrapper that already penalises the correction in the reward must not be doubled.
    base = environment.unwrapped
    if not isinstance(base, SafeguardedEnv) or base.regularisation:
        return 0.0
    return 0.1 if isinstance(base.safeguard, BoundaryProjection) else 0.0


def _check_regularisation(environment: envs.Env, regularisation: float) -> None:
    base = environment.unwrapped
    in_reward = base.regularisation if isinstance(base, SafeguardedEnv) else 0.0
    if regularisation and in_reward:
        raise ValueError(
            f"The correction must be penalised once, but the environment subtracts {in_reward} "
            "|a_s - a|^2 from the reward and "
            f"`train` has `regularisation={regularisation}`; set one of them to 0."
        )
    if regularisation and not isinstance(base, SafeguardedEnv):
        raise ValueError(
            f"`regularisation={regularisation}` needs a safeguarded environment; wrap "
            "it in `SafeguardWrapper` or use `regularisation=0`."
        )


@checked(ARGUMENTS)
def train(
    environment: envs.Env,
    num_timesteps: int,
    episode_length: int,
    *,
    wrap_env: bool = True,
    wrap_env_fn: Callable[[envs.Env, int], envs.Env] = wrap,
    # SHAC
    num_envs: int = 8,
    horizon_length: int = 8,
    train_episode_length: int | None = 16,
    num_critic_updates: int = 24,
    learning_rate: float = 4e-3,
    critic_learning_rate: float = 1e-3,
    final_learning_rate_fraction: float = 0.02,
    adam_b: tuple[float, float] = (0.7, 0.95),
    max_gradient_norm: float = 1.0,
    discounting: float = 0.995,
    td_lambda: float = 0.95,
    tau: float = 0.2,
    reward_scaling: float = 1.0,
    regularisation: float | None = None,
    normalize_observations: bool = True,
    normalize_rewards: bool = False,
    network_factory: Callable[..., shac_networks.SHACNetworks] = shac_networks.make_shac_networks,
    seed: int = 0,
    # evaluation
    num_evals: int = 1,
    run_evals: bool = True,
    eval_env: envs.Env | None = None,
    num_eval_envs: int = 128,
    deterministic_eval: bool = True,
    # callbacks
    progress_fn: Callable[[int, dict[str, Any]], None] = lambda *args: None,
    policy_params_fn: Callable[..., Any] = lambda *args: None,
    # checkpoints
    save_checkpoint_path: str | None = None,
    keep: int = 3,
    restore_checkpoint_path: str | None = None,
) -> Trained:
    """Trains a policy by backpropagation through short windows of the environment, with a value
    function at their ends.

    The environment must be differentiable, a `SafeguardWrapper` included or not. Same seed and
    options give the same result, also when the training was interrupted and resumed from a
    checkpoint. The defaults suit the pendulum; `TUNED` holds what other bundled systems need, and
    `OWN_PLANT` what suited plants that are not bundled.

    Args:
        environment: A single (not vectorised) environment, or a batched one with `wrap_env=False`.
        num_timesteps: Environment interactions; rounded up to whole updates of num_envs *
            horizon_length.
        episode_length: Steps of an evaluation episode, and the longest training episode.
        wrap_env: If True, training and evaluation environment are batched and their episodes end;
            else they are used as they are: batched, with `info["truncation"]`, and for training
            without automatic resets.
        wrap_env_fn: (environment, train_episode_length) -> the batched training environment.
        num_envs: Environments stepped side by side.
        horizon_length: Steps of a window, through which gradients flow; one policy update per
            window.
        train_episode_length: Steps after which training restarts an environment from a fresh state,
            bootstrapping from the value function. Shorter ones cover the states better; None is
            `episode_length`.
        num_critic_updates: Full-batch gradient steps of the value function per window.
        learning_rate: Initial learning rate of the policy; it decays linearly to
            `final_learning_rate_fraction` of this.
        critic_learning_rate: Initial learning rate of the value function, which decays alike.
        final_learning_rate_fraction: Learning rate at the end of training, relative to its start.
        adam_b: Adam's decay rates of the first and the second moment.
        max_gradient_norm: Gradients are clipped to this norm.
        discounting: Discount factor gamma.
        td_lambda: Parameter lambda of the value function's targets.
        tau: Step of the target value function towards the value function, once per window.
        reward_scaling: Factor on rewards in the losses, after their normalisation.
        regularisation: c of c * mean |a_s - a|^2 in the policy's loss (a the requested, a_s the
            executed action), annealed linearly to 0 at half of the training. Default: 0.1 with
            `BoundaryProjection`, else 0.
        normalize_observations: Whether the networks see observations normalised by running
            statistics.
        normalize_rewards: Whether the losses see rewards divided by the root mean square of all
            rewards so far, so that no option depends on the unit of the reward.
        network_factory: (observation_size, action_size, preprocess_observations_fn) ->
            SHACNetworks.
        seed: Random seed for initialisation, rollouts and evaluation.
        num_evals: Evaluations; more than 1 includes one before training, as in Brax's agents.
        run_evals: If False, no episodes are run at evaluations: only callbacks, checkpoints and
            training metrics.
        eval_env: Environment for evaluation. Default: `environment`.
        num_eval_envs: Evaluation episodes, each from a fresh state.
        deterministic_eval: Whether evaluation uses the mode of the policy's distribution.
        progress_fn: Called with (interactions, metrics) after every evaluation.
        policy_params_fn: Called with (interactions, make_policy, params) before every evaluation.
            If it returns a dictionary of numbers, these join the metrics.
        save_checkpoint_path: Folder for checkpoints, one per evaluation after the first. Each one
            holds the metrics of all evaluations so far.
        keep: How many of the newest checkpoints are kept, beside the one with the highest return
            of an evaluation; older ones of this training are deleted. 0 keeps all.
        restore_checkpoint_path: A checkpoint, or a folder of them (the newest is taken), to go on
            from; give the other arguments that it was started with.

    Returns:
        make_policy, params, metrics, as Brax's agents do: make_policy(params, deterministic=False)
        -> policy(obs, key) -> (action, extras), the parameters at the end of the training
        (normalizer_params, policy_params, value_params), and the last metrics. By name also
        `best_params`, those of the best evaluation, and `hints`; see `Trained`.

    Raises:
        TypeError: If an argument is of another kind than `algos.shac_arguments.ARGUMENTS` says.
        ValueError: If an argument is out of the range that is said there, if a regularisation acts
            in both reward and loss or has no safeguard to act on, or if the checkpoint belongs to
            another training.
        FileNotFoundError: If there is no checkpoint.

    Warns:
        TrainingHint: At the end, if more than a third of the last steps were interventions, or if
            the last policy is worse than the best by more than noise.

    Metrics:
        eval/...: From `brax.training.acting.Evaluator`, above all eval/episode_reward.
        eval/best_reward, best_env_steps: The best eval/episode_reward so far, and the interactions
            until then.
        training/policy_loss, value_loss, gradient_norm, reward, regularisation: Means since the
            last evaluation.
        training/skipped_updates, skipped_critic_updates: Optimiser steps left out since the
            gradient was not finite; total.
        training/env_steps, episodes: Interactions and episodes started, total.
        training/violations, interventions, fallbacks, smallest_margin: Over all training steps so
            far, as far as the environment reports them (states outside the safe set, unsafe
            requests, anchors executed, distance to its boundary).
        training/interventions_per_step: Share of unsafe requests in the newest steps: since the
            last evaluation, but at most a tenth of the training.
        training/sps, walltime, compile_time: Interactions per second, seconds of training and of
            compilation.
    """
    if regularisation is None:
        regularisation = _default_regularisation(environment)
    _check_regularisation(environment, regularisation)
    train_episode_length = min(train_episode_length or episode_length, episode_length)

    observation_size, action_size = environment.observation_size, environment.action_size
    if not isinstance(observation_size, int):
        raise ValueError(
            "Observations must be vectors, but the environment's observation size is "
            f"{observation_size}; concatenate them into one."
        )
    normalize = (
        running_statistics.normalize
        if normalize_observations
        else types.identity_observation_preprocessor
    )
    networks = network_factory(observation_size, action_size, preprocess_observations_fn=normalize)
    config = checkpoint.network_config(
        observation_size, action_size, normalize_observations, network_factory
    )
    make_policy = shac_networks.make_inference_fn(networks, config)
    env = wrap_env_fn(environment, train_episode_length) if wrap_env else environment
    learner = Learner(
        env, networks, num_envs, horizon_length, train_episode_length, num_critic_updates
    )
    num_updates = -(-num_timesteps // learner.steps_per_update)
    if num_updates >= _MOST_UPDATES:
        raise ValueError(
            f"`num_timesteps` is {num_timesteps}, but with {learner.steps_per_update} steps per "
            f"update it must be less than {_MOST_UPDATES * learner.steps_per_update}."
        )
    hyper = Hyperparameters(
        num_updates=num_updates,
        learning_rate=learning_rate,
        critic_learning_rate=critic_learning_rate,
        final_learning_rate_fraction=final_learning_rate_fraction,
        adam_b=adam_b,
        max_gradient_norm=max_gradient_norm,
        discounting=discounting,
        td_lambda=td_lambda,
        tau=tau,
        reward_scaling=reward_scaling,
        regularisation=regularisation,
        normalize_rewards=normalize_rewards,
    )
    hyper = jax.tree.map(jnp.float32, hyper)

    key, eval_key = jax.random.split(jax.random.PRNGKey(seed))
    start = time.time()
    state = jax.jit(learner.init)(key, hyper)
    best = Best.nothing_yet(state.params)
    history: list[dict[str, Any]] = []
    if restore_checkpoint_path is not None:
        history = checkpoint.load_history(restore_checkpoint_path)
        saved = checkpoint.load_training_state(
            restore_checkpoint_path, {"training_state": state, "eval_key": eval_key, "best": best}
        )
        state, eval_key, best = saved["training_state"], saved["eval_key"], saved["best"]
        if save_checkpoint_path is not None:  # a training may have been killed before it did
            checkpoint.prune(save_checkpoint_path, history, keep)
    epoch = jax.jit(learner.epoch).lower(state, hyper, jnp.int32(0)).compile()
    compile_time = time.time() - start

    evaluator = None
    if run_evals:
        eval_env = eval_env or environment
        evaluator = acting.Evaluator(
            envs.training.wrap(eval_env, episode_length, action_repeat=1) if wrap_env else eval_env,
            functools.partial(make_policy, deterministic=deterministic_eval),
            num_eval_envs=num_eval_envs,
            episode_length=episode_length,
            action_repeat=1,
            key=eval_key,
        )
    walltime = history[-1].get("training/walltime", 0.0) if history else 0.0

    def evaluate(state: TrainingState, training_metrics: dict[str, Any]) -> dict[str, Any]:
        nonlocal best, eval_key
        updates = int(state.updates)
        added = policy_params_fn(updates * learner.steps_per_update, make_policy, state.params)
        metrics: dict[str, Any] = training_metrics
        if evaluator:
            metrics = {**evaluator.run_evaluation(state.params, training_metrics)}
            reward, error = metrics["eval/episode_reward"], standard_error(metrics, num_eval_envs)
            best = best.after(state.params, updates, float(reward), error)
            metrics["eval/best_reward"] = float(best.reward)
            metrics["eval/best_env_steps"] = int(best.updates) * learner.steps_per_update
        # as the evaluator does with its own, which is private
        eval_key, _ = jax.random.split(eval_key)
        return {**metrics, **added} if isinstance(added, Mapping) else metrics

    metrics: dict[str, Any] = {}
    done = int(state.updates)
    if num_evals > 1 or restore_checkpoint_path is not None:
        before = history[-1] if history else {}
        metrics = {name: before[name] for name in before if name.startswith("training/")}
        metrics |= _totals(state, learner) | {"training/compile_time": compile_time}
        metrics = evaluate(state, metrics)
        if not history:
            history.append(_numbers(done * learner.steps_per_update, metrics))
        progress_fn(done * learner.steps_per_update, metrics)
    epochs = max(num_evals - 1, 1)
    for end in (round(num_updates * (i + 1) / epochs) for i in range(epochs)):
        if end <= done:
            continue
        start = time.time()
        state, means = jax.block_until_ready(epoch(state, hyper, jnp.int32(end - done)))
        elapsed = time.time() - start
        walltime += elapsed
        training_metrics = {
            f"training/{name}": float(value) for name, value in means.items()
        } | _totals(state, learner)
        training_metrics |= {
            "training/sps": (end - done) * learner.steps_per_update / elapsed,
            "training/walltime": walltime,
            "training/compile_time": compile_time,
        }
        done = end
        step = done * learner.steps_per_update
        # As before the evaluation, which a resumed training repeats.
        kept = {"training_state": state, "eval_key": eval_key, "best": best}
        metrics = evaluate(state, training_metrics)
        history.append(_numbers(step, metrics))
        if save_checkpoint_path is not None:
            checkpoint.save(save_checkpoint_path, step, state.params, config, kept, history)
            checkpoint.prune(save_checkpoint_path, history, keep)
        progress_fn(step, metrics)
    most = int(newest_updates(num_updates)) * learner.steps_per_update
    hints = _hints(metrics, best, min(_steps_of_the_last(history), most), num_eval_envs)
    for hint in hints:
        warnings.warn(hint, TrainingHint, stacklevel=3)
    best_params = best.params if evaluator else state.params
    return Trained(make_policy, state.params, metrics, best_params, hints)


def _numbers(step: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation as a row of numbers; what is no single number is left out."""
    row: dict[str, Any] = {"interactions": step}
    for name, value in metrics.items():
        if np.size(value) == 1 and np.asarray(value).dtype.kind in "biuf":
            row[name] = np.asarray(value).item()
    return row


def _steps_of_the_last(history: Sequence[Mapping[str, Any]]) -> int:
    """Interactions between the last two evaluations, or until the only one."""
    steps = [0, *(int(row["interactions"]) for row in history)]
    return steps[-1] - steps[-2]


def _hints(
    metrics: dict[str, Any], best: Best, newest_steps: int, num_episodes: int
) -> tuple[str, ...]:
    """What the metrics at the end of a training are worth saying in words."""
    share = metrics.get("training/interventions_per_step", 0.0)
    hints = [leaning_hint(share, newest_steps)]
    if "eval/episode_reward" in metrics:
        reward, error = metrics["eval/episode_reward"], standard_error(metrics, num_episodes)
        hints.append(decline_hint(best, float(reward), error, metrics["eval/best_env_steps"]))
    return tuple(hint for hint in hints if hint is not None)


def _totals(state: TrainingState, learner: Learner) -> dict[str, Any]:
    """What is counted over the whole training, as host numbers."""
    totals: dict[str, Any] = {
        f"training/{name}": int(value) for name, value in state.totals.items()
    }
    totals["training/env_steps"] = int(state.updates) * learner.steps_per_update
    totals["training/skipped_updates"] = int(state.policy_optimizer_state.skipped)
    totals["training/skipped_critic_updates"] = int(state.value_optimizer_state.skipped)
    if np.isfinite(state.smallest_margin):
        totals["training/smallest_margin"] = float(state.smallest_margin)
    return totals
