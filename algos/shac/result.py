"""What a training returns, and what it says about itself at its end."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from brax.training import types

# Above this share of unsafe requests a policy is said to lean on the safeguard.
_LEANING = 1 / 3
# A difference of two evaluations within so many of its standard errors is taken for noise. The best
# of many evaluations is partly luck, hence more than the usual two.
_NOISE = 3.0


class TrainingHint(UserWarning):
    """A finished training whose policy probably is not what was wanted, and what to try.

    `warnings.simplefilter("ignore", sw.algos.shac.TrainingHint)` silences it.
    """


class _Triple(NamedTuple):
    make_policy: Callable[..., types.Policy]
    params: types.Params
    metrics: dict[str, Any]


class Trained(_Triple):
    """What `train` returns: (make_policy, params, metrics), as Brax's agents do, and more by name.

    Args:
        make_policy: (params, deterministic=False) -> policy(obs, key) -> (action, extras).
        params: (normalizer_params, policy_params, value_params) at the end of the training.
        metrics: The last metrics.
        best_params: Those with the best return of all evaluations, the one before training
            included: `metrics["eval/best_env_steps"]` says which. `params` if no episodes were
            evaluated.
        hints: The warnings of the training, in sentences; empty if there were none.
    """

    best_params: types.Params
    hints: tuple[str, ...]

    def __new__(
        cls,
        make_policy: Callable[..., types.Policy],
        params: types.Params,
        metrics: dict[str, Any],
        best_params: types.Params,
        hints: tuple[str, ...],
    ):
        trained = super().__new__(cls, make_policy, params, metrics)
        trained.best_params, trained.hints = best_params, hints
        return trained

    def __getnewargs__(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        return (*self, self.best_params, self.hints)


class Best(NamedTuple):
    """The best policy of all evaluations so far; stored in checkpoints.

    Args:
        params: Its parameters.
        reward: Mean return of its evaluation, shape (); minus infinity before the first one.
        standard_error: Standard error of that mean, shape ().
        updates: Updates of the training until then, shape ().
    """

    params: types.Params
    reward: Any
    standard_error: Any
    updates: Any

    @classmethod
    def nothing_yet(cls, params: types.Params) -> "Best":
        """Before the first evaluation."""
        return cls(params, np.float32(-np.inf), np.float32(0.0), np.int32(0))

    def after(self, params: types.Params, updates: int, reward: float, error: float) -> "Best":
        """With one more evaluation; the earlier policy stays if both are equally good."""
        if not reward > self.reward:  # a NaN is no improvement
            return self
        return Best(params, np.float32(reward), np.float32(error), np.int32(updates))


def standard_error(metrics: dict[str, Any], num_episodes: int) -> float:
    """Of the mean return that Brax's evaluator reports."""
    return float(metrics["eval/episode_reward_std"]) / math.sqrt(num_episodes)


def leaning_hint(share: float, steps: int) -> str | None:
    """What to say if the policy leans on the safeguard, or None.

    Args:
        share: Share of unsafe requests in the newest steps of the training.
        steps: Number of these steps.
    """
    if share <= _LEANING:
        return None
    return (
        f"The policy leans on the safeguard: {share:.0%} of the last {steps:,} steps of the "
        "training were interventions. This is safe, and right if the best behaviour lies on the "
        "boundary of the safe set. If it does not, try more interactions, and longer windows with "
        "normalised rewards: `shac.train(..., **shac.OWN_PLANT)`, which the command line takes for "
        "plants that are not bundled. The page 'When the policy leans on the safeguard' of the "
        "documentation says how to tell."
    )


def decline_hint(best: Best, reward: float, error: float, best_steps: int) -> str | None:
    """What to say if the last policy is worse than the best by more than noise, or None.

    Args:
        best: The best policy.
        reward: Mean return of the last policy.
        error: Standard error of that mean.
        best_steps: Interactions after which the best policy was found.
    """
    if not best.reward - reward > _NOISE * math.hypot(error, float(best.standard_error)):
        return None
    return (
        f"The training ended worse than it had been: the last policy returns {reward:.4g}, the one "
        f"after {best_steps:,} interactions {float(best.reward):.4g}. Use the `best_params` of "
        "what `train` returns, and try a smaller `learning_rate`."
    )
