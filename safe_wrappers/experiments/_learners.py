"""The learners of a study: each trains all seeds of a row and keeps the policies on the way."""

import functools
import importlib
import inspect
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs import Env

from .._keywords import require_known_keywords
from ..adapters import enable_brax_trainers
from ..algos import shac
from ._study import UNSAFE, StudyRow

# What SHAC counts in the training itself, for each seed.
COUNTS = ("violations", "interventions", "fallbacks", "skipped_updates")

# What a row says itself, or a study decides for all of them.
_OWN = (
    *("environment", "num_timesteps", "episode_length", "seed", "seeds", "num_evals", "run_evals"),
    *("network_factory", "progress_fn", "policy_params_fn", "regularisation", "mesh"),
    *("checkpoint_logdir", "save_checkpoint_path", "restore_checkpoint_path"),
)

Report = Callable[[int], None]
"""Called with the interactions of all seeds together since the last call."""


class Outcome(NamedTuple):
    """What the training of a row leaves.

    Attributes:
        make_policy: (parameters, deterministic) -> policy, as Brax's agents return it.
        snapshots: (interactions, parameters), a leading axis of the parameters being the seed.
        counts: By name, what was counted in the training, shape (seeds,); empty if the trainer
            counts nothing.
        training_seconds: Seconds of training of all seeds, without compilation; None if the trainer
            does not tell them apart.
    """

    make_policy: Callable[..., Any]
    snapshots: list[tuple[int, Any]]
    counts: dict[str, np.ndarray]
    training_seconds: float | None


def check_options(row: StudyRow) -> None:
    """Checks that the trainer of a row has the options that the row gives it.

    Raises:
        UnknownOptionError: If it has not.
    """
    algorithm = row.learner.algorithm
    known = [*inspect.signature(_trainer(algorithm)).parameters]
    if algorithm != "shac":
        known.append("hidden_layer_sizes")
    known = [name for name in known if name not in _OWN]
    require_known_keywords(f"the learner {algorithm!r}", row.learner.options, known)


def train(row: StudyRow, env: Env, scratch: Path, report: Report) -> Outcome:
    """Trains all seeds of a row.

    Args:
        row: What is trained.
        env: The environment that the policies act in, safeguarded or not.
        scratch: An empty folder, which may be left with anything in it.
        report: Told of the interactions that were made.
    """
    return _TRAINERS[row.learner.algorithm](row, env, scratch, report)


def _shac(row: StudyRow, env: Env, scratch: Path, report: Report) -> Outcome:
    del scratch
    options = dict(row.learner.options)
    if row.variant.safeguard != UNSAFE:
        options["regularisation"] = row.variant.regularisation
    kept, keep = _keeper(report, row.seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", shac.TrainingHint)  # what it hints at is in the table
        many = shac.train_many(
            env,
            row.num_timesteps,
            row.task.episode_length,
            seeds=range(row.seeds),
            num_evals=row.evaluations,
            run_evals=False,
            policy_params_fn=keep,
            **options,
        )
    counts = {
        name: np.broadcast_to(many.metrics.get(f"training/{name}", 0), row.seeds) for name in COUNTS
    }
    seconds = float(np.max(many.metrics["training/walltime"]))
    return Outcome(many.make_policy, kept, counts, seconds)


def _ppo(row: StudyRow, env: Env, scratch: Path, report: Report) -> Outcome:
    from brax.training.agents.ppo import networks
    from brax.training.agents.ppo import train as ppo

    del scratch
    enable_brax_trainers()
    options = dict(row.learner.options)
    hidden = tuple(options.pop("hidden_layer_sizes", (64, 64)))
    factory = functools.partial(
        networks.make_ppo_networks,
        policy_hidden_layer_sizes=hidden,
        value_hidden_layer_sizes=hidden,
    )
    runs, make_policy = [], None
    for seed in range(row.seeds):
        kept, keep = _keeper(report)
        make_policy, _, _ = ppo.train(
            env,
            row.num_timesteps,
            episode_length=row.task.episode_length,
            num_evals=row.evaluations,
            run_evals=False,
            network_factory=factory,
            policy_params_fn=keep,
            seed=seed,
            **options,
        )
        runs.append(kept)
    assert make_policy is not None
    return Outcome(make_policy, _side_by_side(runs), {}, None)


def _sac(row: StudyRow, env: Env, scratch: Path, report: Report) -> Outcome:
    from brax.training.agents.sac import checkpoint, networks
    from brax.training.agents.sac import train as sac

    enable_brax_trainers()
    options = dict(row.learner.options)
    hidden = tuple(options.pop("hidden_layer_sizes", (64, 64)))
    options["min_replay_size"] = min(options.get("min_replay_size", 0), row.num_timesteps // 2)
    factory: Any = functools.partial(networks.make_sac_networks, hidden_layer_sizes=hidden)
    runs, make_policy = [], None
    for seed in range(row.seeds):
        # The only way in which this trainer shows its policies before the end.
        folder = scratch.absolute() / f"seed_{seed}"
        make_policy, _, _ = sac.train(
            env,
            row.num_timesteps,
            row.task.episode_length,
            num_evals=row.evaluations,
            num_eval_envs=1,
            network_factory=factory,
            checkpoint_logdir=str(folder),
            seed=seed,
            **options,
        )
        found = sorted(path for path in folder.iterdir() if path.name.isdigit())
        runs.append([(int(path.name), checkpoint.load(str(path))[:2]) for path in found])
        shutil.rmtree(folder)
        report(row.num_timesteps)
    assert make_policy is not None
    return Outcome(make_policy, _side_by_side(runs), {}, None)


def _trainer(algorithm: str) -> Callable[..., Any]:
    """The function that trains, of which the options of a learner are arguments."""
    if algorithm == "shac":
        return shac.train  # of which `train_many` takes the options
    return importlib.import_module(f"brax.training.agents.{algorithm}.train").train


_TRAINERS = {"shac": _shac, "ppo": _ppo, "sac": _sac}

Snapshots = list[tuple[int, Any]]


def _keeper(report: Report, runs: int = 1) -> tuple[Snapshots, Callable[..., None]]:
    """A list, and the callback of a trainer of so many runs that fills it."""
    kept: Snapshots = []

    def keep(interactions: int, make_policy: Callable[..., Any], params: Any) -> None:
        del make_policy
        report(runs * (int(interactions) - (kept[-1][0] if kept else 0)))
        if not kept or kept[-1][0] != int(interactions):
            kept.append((int(interactions), jax.device_get(params)))

    return kept, keep


def _side_by_side(runs: Sequence[Snapshots]) -> Snapshots:
    """The snapshots of several seeds, which were taken at the same interactions, as one list."""
    return [
        (together[0][0], jax.tree.map(lambda *leaves: jnp.stack(leaves), *(p for _, p in together)))
        for together in zip(*runs, strict=True)
    ]
