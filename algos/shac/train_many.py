"""Trainings of SHAC side by side, in one compiled program."""

import inspect
import itertools
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from brax import envs

from safe_wrappers._keywords import require_known_keywords

from ..shac_arguments import ARGUMENTS, SEEDS, SWEEP
from .engines import ManyRuns
from .fitting import fit
from .plan import make_plan
from .result import TrainedMany, TrainingHint
from .settings import check_regularisation, recipe
from .train import train


def train_many(
    environment: envs.Env,
    num_timesteps: int,
    episode_length: int,
    *,
    seeds: Iterable[int] = range(10),
    sweep: Mapping[str, Sequence[Any]] | None = None,
    **options: Any,
) -> TrainedMany:
    """Trains one policy per seed, and per combination of swept options, side by side.

    All runs are one program, which is compiled once, and which ten runs use better than one. Run i
    is `train` with its seed and options but for rounding: the programs add up float32 numbers in
    another order, and over many updates such differences grow.

    Args:
        environment: As of `train`.
        num_timesteps: Environment interactions of each run.
        episode_length: As of `train`.
        seeds: One run per seed.
        sweep: Values of options that are numbers of the program (`algos.shac_arguments.SWEPT`):
            `{"learning_rate": [1e-3, 4e-3]}` trains with both. Of several options all combinations
            are trained, each with all seeds.
        **options: All other options of `train` but `seed` and `mesh`; those left out are the same
            as there. `progress_fn` and `policy_params_fn` are called once for all runs:
            metrics are arrays of shape (runs,), and arrays of parameters start with the number of
            runs. Numbers that `policy_params_fn` returns are one for all, or of shape (runs,).
            Checkpoints hold all runs; `algos.shac.checkpoint.load(path, run=0)` loads one policy's
            parameters.

    Returns:
        The policies, metrics and `history` of all runs; `many[i]` is a `Trained` of one.

    Raises:
        UnknownOptionError: If an option is none of `train`, or `seed` or `mesh`.
        TypeError: As `train`, also for `seeds` and `sweep`.
        ValueError: As `train`, also if a seed is given twice, an option cannot be swept, or is
            given and swept; or if the checkpoint belongs to other runs.
        FileNotFoundError: If there is no checkpoint.

    Warns:
        TrainingHint: At the end, of how many runs `train` would say so.

    Metrics:
        Those of `train`, each of shape (runs,). training/sps and eval/sps are those of each run,
        while all others run, too; other times are those of all.

    Example:
        >>> import safe_wrappers as sw
        >>> env = sw.SafeguardWrapper(sw.envs.SafePendulum(), sw.BoundaryProjection())
        >>> many = sw.algos.shac.train_many(
        ...     env, 128, 8, seeds=range(2), num_critic_updates=1, num_eval_envs=4
        ... )
        >>> many.runs, many.metrics["training/violations"].tolist()
        (({'seed': 0}, {'seed': 1}), [0, 0])
    """
    given = {"environment": environment, "num_timesteps": num_timesteps}
    given |= {"episode_length": episode_length, **options}
    parameters = inspect.signature(train).parameters
    valid = ["seeds", "sweep", *(name for name in parameters if name not in ("seed", "mesh"))]
    require_known_keywords("train_many()", options, valid)
    seeds = SEEDS("seeds", seeds)
    swept = SWEEP("sweep", sweep) or {}
    twice = [name for name in swept if name in options]
    if twice:
        raise ValueError(
            f"`{twice[0]}` must be given or swept, but it is both; leave one of them out."
        )
    given = {**recipe(environment), **given}
    resolved = {
        name: argument(name, given.get(name, parameters[name].default))
        for name, argument in ARGUMENTS.items()
    }
    points = [
        dict(zip(swept, values, strict=True)) for values in itertools.product(*swept.values())
    ]
    for point in points:
        check_regularisation(environment, point.get("regularisation", 0.0))
    runs = tuple({"seed": seed, **point} for point in points for seed in seeds)
    plan = make_plan(resolved)
    each = [
        plan.hyperparameters._replace(**{k: v for k, v in run.items() if k != "seed"})
        for run in runs
    ]
    stack = lambda *values: jnp.asarray(values, jnp.float32)  # noqa: E731
    hyperparameters = jax.tree.map(stack, *each)
    fitted = fit(plan, ManyRuns(plan, [run["seed"] for run in runs], hyperparameters), runs)
    said = Counter(hint.split(":", 1)[0] for hints in fitted.hints for hint in hints)
    for beginning, count in said.items():
        one = next(h for hints in fitted.hints for h in hints if h.startswith(beginning))
        warnings.warn(f"{count} of {len(runs)} runs. {one}", TrainingHint, stacklevel=2)
    return TrainedMany(
        runs,
        plan.make_policy,
        fitted.params,
        fitted.best_params,
        fitted.metrics,
        fitted.history,
        fitted.hints,
    )
