"""SHAC training with the signature of Brax's agents."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
from brax import envs

from safe_wrappers._arguments import checked

from ..shac_arguments import ARGUMENTS
from . import networks as shac_networks
from .engines import OneRun
from .fitting import fit
from .plan import make_plan
from .result import Trained, TrainingHint
from .rollout import wrap
from .settings import with_recipe


@with_recipe
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
    final_regularisation_fraction: float = 0.0,
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
    # devices
    mesh: jax.sharding.Mesh | None = None,
) -> Trained:
    """Trains a policy by backpropagation through short windows of the environment, with a value
    function at their ends.

    The environment must be differentiable, a `SafeguardWrapper` included or not. Same seed and
    options give the same result, also when the training was interrupted and resumed from a
    checkpoint. Options that are left out are those of `TUNED` for a bundled system, also inside
    wrappers, and else the defaults below, which suit the pendulum; `settings` says which they are.
    `OWN_PLANT` is what suited plants that are not bundled.

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
            executed action), annealed linearly until half of the training. Default: 0.1 with
            `BoundaryProjection`, else 0.
        final_regularisation_fraction: Regularisation in the second half of training, relative to
            its start.
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
        mesh: Devices, of one host or of many, with one axis, such as
            `jax.make_mesh((jax.device_count(),), ("envs",))`. Each steps an equal share of the
            environments, and gradients and statistics are means over all of them, so that the
            training is the one of a single device but for rounding. Of several hosts
            (`jax.distributed`) the first one evaluates, calls the functions and writes; the others
            return no `eval/` metrics, and the last parameters as the best. See docs/scaling.md.

    Returns:
        make_policy, params, metrics, as Brax's agents do: make_policy(params, deterministic=False)
        -> policy(obs, key) -> (action, extras), the parameters at the end of the training
        (normalizer_params, policy_params, value_params), and the last metrics. By name also
        `best_params`, those of the best evaluation, and `hints`; see `Trained`.

    Raises:
        TypeError: If an argument is of another kind than `algos.shac_arguments.ARGUMENTS` says.
        ValueError: If an argument is out of the range that is said there, if a regularisation acts
            in both reward and loss or has no safeguard to act on, if the environments cannot be
            shared out evenly, or if the checkpoint belongs to another training.
        FileNotFoundError: If there is no checkpoint.

    Warns:
        TrainingHint: At the end, if more than a third of the last steps were interventions, or if
            the last policy is worse than the best by more than noise.

    Metrics:
        eval/...: Those of `brax.training.acting.Evaluator`, above all eval/episode_reward.
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
    plan = make_plan(dict(locals()))
    fitted = fit(plan, OneRun(plan, seed))
    for hint in fitted.hints:
        warnings.warn(hint, TrainingHint, stacklevel=4)  # the caller's line, beyond two decorators
    return Trained(
        plan.make_policy, fitted.params, fitted.metrics, fitted.best_params, fitted.hints
    )
