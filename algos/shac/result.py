"""What a training returns, and what it says about itself at its end."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedMany:
    """What `train_many` returns: trainings side by side. `many[i]` is the `Trained` of run i, and
    `for trained in many` goes through them.

    Args:
        runs: What tells the runs apart: {"seed": ..., and the swept options}.
        make_policy: (params, deterministic=False) -> policy(obs, key) -> (action, extras), for the
            parameters of one run: `many.make_policy(many[i].params)`.
        params: As of `Trained`; every array starts with the number of runs.
        best_params: As of `Trained`, the best evaluation of each run; arrays as above.
        metrics: The last metrics, each of shape (runs,).
        history: (interactions, metrics) of all evaluations of this call.
        hints: As of `Trained`, for each run.
    """

    runs: tuple[dict[str, Any], ...]
    make_policy: Callable[..., types.Policy]
    params: types.Params
    best_params: types.Params
    metrics: dict[str, Any]
    history: list[tuple[int, dict[str, Any]]]
    hints: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Trained]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, run: int) -> Trained:
        """The training of one run.

        Raises:
            IndexError: If there is none of this number.
        """
        if not -len(self) <= run < len(self):
            raise IndexError(f"There are {len(self)} runs, from 0 on, but run {run} was asked for.")
        params, best_params, metrics = jax.tree.map(
            lambda leaf: leaf[run], (self.params, self.best_params, self.metrics)
        )
        return Trained(self.make_policy, params, metrics, best_params, self.hints[run])

    def __repr__(self) -> str:
        return f"TrainedMany({len(self)} runs, the first {self.runs[0]})"


class Best(NamedTuple):
    """The best policy of all evaluations so far; stored in checkpoints. Of several runs, the best
    policy of each: then all arrays start with the number of runs.

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

    def after(self, params: types.Params, updates: int, reward: Any, error: Any) -> "Best":
        """With one more evaluation; the earlier policy stays if both are equally good."""
        better = np.asarray(reward > self.reward)  # a NaN is no improvement
        if not better.any():
            return self
        new = Best(params, np.float32(reward), np.float32(error), np.int32(updates))
        if better.all():
            return new._replace(updates=np.broadcast_to(new.updates, better.shape))
        return jax.tree.map(
            lambda new, old: jnp.where(
                better.reshape(better.shape + (1,) * (jnp.ndim(old) - better.ndim)), new, old
            ),
            new,
            self,
        )


def standard_error(metrics: Mapping[str, Any], num_episodes: int) -> Any:
    """Of the mean return that Brax's evaluator reports."""
    return metrics["eval/episode_reward_std"] / math.sqrt(num_episodes)


def leaning_hint(share: float, steps: int, has_its_recipe: bool) -> str | None:
    """What to say if the policy leans on the safeguard, or None.

    Args:
        share: Share of unsafe requests in the newest steps of the training.
        steps: Number of these steps.
        has_its_recipe: Whether the system is a bundled one, trained with the settings that suit it.
    """
    if share <= _LEANING:
        return None
    remedy = (
        "try more interactions; the settings are those that suit this system."
        if has_its_recipe
        else "try more interactions, and longer windows with normalised rewards: "
        "`shac.train(..., **shac.OWN_PLANT)`, which the command line takes for plants that are not "
        "bundled."
    )
    return (
        f"The policy leans on the safeguard: {share:.0%} of the last {steps:,} steps of the "
        "training were interventions. This is safe, and right if the best behaviour lies on the "
        f"boundary of the safe set. If it does not, {remedy} The page 'When the policy leans on "
        "the safeguard' of the documentation says how to tell."
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
