"""The evaluation of trained policies: paired episodes, and a judge that does not ask the library's
wrappers.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import envs
from ..evaluation import (
    Evaluation,
    NoRegulator,
    constrained_optimum,
    episode_keys,
    lqr,
    lqr_policy,
)
from ..falsification._subject import Subject, subject_of
from ..safeguards import BoundaryProjection, make_safeguard
from ..wrappers import SafeguardWrapper
from ._study import UNSAFE, StudyError, StudyRow, Task, Variant

_SEED = 0  # of starts and disturbances: the same for every row


class Judged(NamedTuple):
    """What the episodes of several policies gave; arrays have shape (policies,).

    Attributes:
        returns: Mean undiscounted sum of rewards, without regularisation.
        exits: Steps after which the environment reported a state outside of its safe set.
        judged_exits: Steps after which the state lies outside of the certified set, computed in
            float64 by NumPy.
        smallest_margin: The smallest margin that was judged, 1 at the centre and 0 on the boundary.
        unsafe_requests: Share of steps whose request was not safe.
        fallbacks: Steps in which the anchor was executed.
    """

    returns: np.ndarray
    exits: np.ndarray
    judged_exits: np.ndarray
    smallest_margin: np.ndarray
    unsafe_requests: np.ndarray
    fallbacks: np.ndarray


def subject(task: Task, variant: Variant, *, evaluated: bool) -> Subject:
    """The environment of a task behind a safeguard, with the judge of its steps.

    Args:
        task: The task.
        variant: The safeguard.
        evaluated: Whether it is the environment of the evaluation or that of the training.
    """
    options = {**task.options, **(task.evaluation_options if evaluated else {})}
    env = envs.get_environment(task.system, **options)
    guard: Any = UNSAFE
    if variant.safeguard != UNSAFE:
        guard = make_safeguard(variant.safeguard, **variant.options)
    return subject_of(env, guard, None)


class JudgedEvaluation:
    """The same episodes for all policies of a row, and for all rows of a task.

    Args:
        row: Its task, and how many episodes.
        variant: The safeguard that the policies act behind.
        make_policy: (parameters, deterministic) -> policy.
    """

    def __init__(self, row: StudyRow, variant: Variant, make_policy: Callable[..., Any]):
        acted = subject(row.task, variant, evaluated=True)
        self._judge = acted.judge

        def policy(params: Any, state: Any, key: jax.Array) -> jax.Array:
            return make_policy(params, deterministic=True)(state.obs, key)[0]

        keys = episode_keys(row.episodes, _SEED)
        evaluation = Evaluation(acted.wrapper, {"trained": policy}, keys, row.task.episode_length)

        def run(params: Any) -> dict[str, jax.Array]:
            episodes = evaluation("trained", {"trained": params})
            alive = episodes.alive
            assert alive is not None
            steps = jnp.sum(alive)
            return {
                "x": episodes.x[1:],
                "alive": alive,
                "returns": jnp.mean(jnp.sum(episodes.reward, axis=0)),
                "exits": jnp.sum(episodes.violation),
                "unsafe_requests": jnp.sum(episodes.intervention) / steps,
                "fallbacks": jnp.sum(episodes.fallback),
            }

        self._run = jax.jit(jax.vmap(run))

    def __call__(self, params: Any) -> Judged:
        """Runs the episodes of policies whose parameters have a leading axis."""
        found = {name: np.asarray(value) for name, value in self._run(params).items()}
        outside, smallest = [], []
        for x, alive in zip(found.pop("x"), found.pop("alive") > 0, strict=True):
            margins = self._judge.exact(x.reshape(-1, x.shape[-1])).reshape(alive.shape)
            outside.append(int(np.sum((margins < 0) & alive)))
            smallest.append(float(np.min(margins, where=alive, initial=np.inf)))
        judged = {"judged_exits": np.array(outside), "smallest_margin": np.array(smallest)}
        return Judged(**found, **judged)


def reference_return(row: StudyRow) -> float | None:
    """The return that the policies of a task are compared with, on their episodes; None if it has
    none.

    Raises:
        StudyError: If the task names a reference that there is not.
    """
    if row.task.reference == "none":
        return None
    env: Any = subject(row.task, Variant(UNSAFE, UNSAFE), evaluated=True).plant
    keys = episode_keys(row.episodes, _SEED)
    if row.task.reference == "optimum":
        # From below only: the bound from above takes a convex problem for every episode.
        return float(
            constrained_optimum(env, keys, row.task.episode_length, rounds=0).returns.mean()
        )
    try:
        controller = lqr(env)
    except NoRegulator as error:
        raise StudyError(
            f"tasks.{row.task.name}.reference must be one that the task has, but there is no "
            f"linear-quadratic regulator: {error}. Write reference = 'none'."
        ) from error
    projected = SafeguardWrapper(env, BoundaryProjection())
    evaluation = Evaluation(projected, {"lqr": lqr_policy(env)}, keys, row.task.episode_length)
    return float(evaluation("lqr", {"lqr": controller}).returns.mean())
