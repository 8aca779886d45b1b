"""Checkpoints of SHAC: Brax's format for the policy, and beside it the whole training state, to go
on from.

A folder `000000010240/` (interactions) holds what Brax's agents store there, so that `load_policy`
works alike, a folder `training_state/`, all evaluations so far in `history.json`, and
`manifest.json` with the SHA-256 of every other file. It appears under its name only when it is
complete, and is read only if it is what was written.
"""

import hashlib
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from brax.training import checkpoint, types
from ml_collections import config_dict
from orbax import checkpoint as ocp

from safe_wrappers._files import INCOMPLETE, new_folder, write_text
from safe_wrappers._gate import as_integer, one_of
from safe_wrappers._records import read_record, write_record

from . import networks as shac_networks

_CONFIG_FNAME = "shac_network_config.json"
_TRAINING_STATE = "training_state"
_HISTORY = "history.json"
_MANIFEST = "manifest.json"
_RUNS = "runs.json"  # of `train_many` alone
_RETURNS = ("eval/return", "eval/episode_reward")  # the metric that says how good a policy is


def network_config(
    observation_size: int,
    action_size: int,
    normalize_observations: bool,
    network_factory: Callable[..., shac_networks.SHACNetworks],
) -> config_dict.ConfigDict:
    """What `load_policy` needs to make the networks again; the factory's arguments are read from
    its defaults.
    """
    # Brax's own networks are all that its annotation knows.
    factory: Any = network_factory
    return checkpoint.network_config(observation_size, action_size, normalize_observations, factory)


def save(
    path: str | os.PathLike,
    step: int,
    params: types.Params,
    config: config_dict.ConfigDict,
    training_state: Any,
    history: Sequence[Mapping[str, Any]] = (),
    runs: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Writes the checkpoint `path`/`step` (12 digits) and returns its folder; replaces one that is
    already there.

    Args:
        path: Folder of all checkpoints of a run.
        step: Environment interactions so far.
        params: (normalizer_params, policy_params, value_params).
        config: From `network_config`.
        training_state: A pytree of arrays.
        history: The evaluations so far: `interactions` and the metrics of each, as numbers.
        runs: What tells the runs of `train_many` apart, with which all arrays start; None for one.
    """
    final = Path(path).absolute() / f"{step:012d}"
    with new_folder(final) as complete:
        _save_policy(complete, params, config)
        ocp.PyTreeCheckpointer().save(
            complete / _TRAINING_STATE, jax.tree.map(np.asarray, training_state)
        )
        rows = [json.dumps(row) for row in history]
        write_text(complete / _HISTORY, "[\n" + ",\n".join(rows) + "\n]\n")
        if runs is not None:
            write_text(complete / _RUNS, json.dumps(list(runs)) + "\n")
        _seal(complete)
    return final


def save_params(path: str | Path, params: types.Params, config: config_dict.ConfigDict) -> None:
    """Writes a checkpoint without a training state: it loads as a policy, and no training goes on
    from it.

    Args:
        path: Its folder; what is there is replaced.
        params: (normalizer_params, policy_params, value_params).
        config: From `network_config`.
    """
    with new_folder(path) as complete:
        _save_policy(complete, params, config)
        _seal(complete)


def _save_policy(folder: Path, params: types.Params, config: config_dict.ConfigDict) -> None:
    # Brax names the folder by an integer.
    checkpoint.save(str(folder), 0, params, config, _CONFIG_FNAME)
    inner = folder / f"{0:012d}"
    for each in inner.iterdir():
        each.rename(folder / each.name)
    inner.rmdir()


def _seal(folder: Path) -> None:
    """Writes the manifest; last, so that a file which a full disk has shortened is noticed."""
    write_record(folder / _MANIFEST, _digests(folder))


def prune(path: str | os.PathLike, history: Sequence[Mapping[str, Any]], keep: int) -> None:
    """Deletes checkpoints but the newest ones and the one with the highest return.

    Args:
        path: Folder of all checkpoints of a run.
        history: The evaluations of the run so far. Checkpoints of other moments are not touched.
        keep: How many of the newest are kept; 0 keeps all.
    """
    steps = [int(row["interactions"]) for row in history]
    found = {step: folder for step, folder in _all(path).items() if step in steps}
    if not keep or len(found) <= keep:
        return
    kept = {*sorted(found)[-keep:], best_of(history, found)}
    for step in set(found) - kept:
        # Out of the way at once: a killed process leaves no half checkpoint.
        doomed = found[step].with_name(f"{INCOMPLETE}{found[step].name}")
        found[step].rename(doomed)
        shutil.rmtree(doomed)


def best_of(history: Iterable[Mapping[str, Any]], among: Iterable[int]) -> int | None:
    """The interactions of the evaluation with the highest return, the first one if there are
    several; None if there is no return.

    Args:
        history: Evaluations.
        among: The interactions that count.
    """
    among = set(among)
    returns: dict[int, float] = {}
    for row in history:
        # Of several runs their median.
        value = float(np.median(next((row[name] for name in _RETURNS if name in row), math.nan)))
        if row["interactions"] in among and not math.isnan(value):
            returns[int(row["interactions"])] = value
    return max(returns, key=lambda step: returns[step]) if returns else None


def is_checkpoint(path: Path) -> bool:
    """Whether a folder is a checkpoint of SHAC, complete or not."""
    return (path / _CONFIG_FNAME).exists()


def newest(path: str | os.PathLike) -> tuple[Path | None, dict[Path, str]]:
    """The newest checkpoint in the folder `path` that can be read, None if there is none, and the
    newer ones that cannot, each with the reason.
    """
    damaged = {}
    for _, folder in sorted(_all(path).items(), reverse=True):
        reason = damage(folder)
        if reason is None:
            return folder, damaged
        damaged[folder] = reason
    return None, damaged


def damage(folder: Path) -> str | None:
    """Why a checkpoint cannot be read, in a few words; None if it is what was written."""
    try:
        expected = read_record(folder / _MANIFEST)
        stored = _digests(folder)
    except FileNotFoundError:
        return f"it has no {_MANIFEST}"
    except (OSError, ValueError) as error:
        return f"its {_MANIFEST} cannot be read ({error})"
    different = sorted(
        name for name in {*expected, *stored} if expected.get(name) != stored.get(name)
    )
    if not different:
        return None
    state = "is not what was written" if different[0] in stored else "is missing"
    return f"its file {different[0]} {state}"


def latest(path: str | os.PathLike) -> Path:
    """The newest checkpoint in the folder `path` that can be read, or `path` itself if it is a
    checkpoint. Newer ones that are damaged are skipped with a warning.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If `path` is a checkpoint that is damaged, or all in it are.
    """
    path = Path(path).absolute()
    if (path / _CONFIG_FNAME).exists():
        if (reason := damage(path)) is not None:
            raise ValueError(f"The checkpoint `{path}` cannot be read: {reason}.")
        return path
    found, damaged = newest(path)
    said = "; ".join(f"{folder.name}: {reason}" for folder, reason in damaged.items())
    if found is None and damaged:
        raise ValueError(f"No checkpoint in `{path}` can be read: {said}.")
    if found is None:
        raise FileNotFoundError(
            f"There must be a SHAC checkpoint in `{path}`, such as "
            f"`{path}/000000010240`, but there is none."
        )
    if damaged:
        warnings.warn(
            f"Damaged checkpoints in `{path}` are skipped ({said}); {found.name} is taken.",
            stacklevel=2,
        )
    return found


def choose(path: str | os.PathLike, which: str | int) -> Path:
    """A checkpoint in the folder `path`, or `path` itself if it is one.

    Args:
        path: The folder of all checkpoints of a run, or a checkpoint.
        which: "last", "best" by the return of the evaluations, or the interactions.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there is no such one, it is damaged, or which is the best is not known.
    """
    if isinstance(which, str):
        one_of("which", which, ("last", "best"), " Or give the number of interactions.")
    if which == "last":
        return latest(path)
    found = _all(path)
    if not found:
        raise FileNotFoundError(f"There must be checkpoints in `{path}`, but there are none.")
    there = ", ".join(map(str, found))
    if which == "best":
        best = best_of(load_history(path), found)
        if best is None:
            raise ValueError(
                f"The checkpoints in `{path}` hold no evaluation of one of them, so that none is "
                f"known as the best; `which` must be 'last' or one of {there}."
            )
        which = best
    which = as_integer("which", which, 0)
    if which not in found:
        raise ValueError(f"`which` must be 'last', 'best' or one of {there}, but it is {which}.")
    if (reason := damage(found[which])) is not None:
        good = [str(step) for step, folder in found.items() if damage(folder) is None]
        instead = f"`which` can be {', '.join(good)}" if good else "nor can any other one"
        raise ValueError(
            f"The checkpoint of {which:,} interactions in `{path}` cannot be read: {reason}; "
            f"{instead}."
        )
    return found[which]


def load(path: str | os.PathLike, run: int | None = None) -> types.Params:
    """(normalizer_params, policy_params, value_params) of a checkpoint, or of the newest one in a
    folder of them.

    Args:
        path: A checkpoint, or the folder of all of a training.
        run: Which one of the runs of `train_many`, from 0 on; None for a checkpoint of `train`.

    Raises:
        ValueError: If `run` is not given where there are several, or is none of them.
    """
    folder = latest(path)
    params, runs = tuple(checkpoint.load(folder.as_posix())), load_runs(folder)
    if runs is None and run is None:
        return params
    count = len(runs or ())
    if run is None or not 0 <= run < count:
        there = f"`run` must be from 0 to {count - 1}" if count else "`run` must be left out"
        raise ValueError(
            f"`{folder}` holds {f'{count} runs side by side' if count else 'one training'}: "
            f"{there}, but it is {run}."
        )
    return jax.tree.map(lambda leaf: leaf[run], params)


def load_runs(path: str | os.PathLike) -> list[dict[str, Any]] | None:
    """What tells the runs of a checkpoint of `train_many` apart; None if it is one of `train`."""
    file = latest(path) / _RUNS
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def require_runs(path: str | os.PathLike, runs: Sequence[Mapping[str, Any]] | None) -> None:
    """Checks that a checkpoint is of these runs, or of a single training if `runs` is None.

    Raises:
        ValueError: If it is not.
    """
    stored = load_runs(path)
    wanted = None if runs is None else json.loads(json.dumps(list(runs)))
    if stored == wanted:
        return

    def words(runs: list[dict[str, Any]] | None) -> str:
        return "one run of `train`" if runs is None else f"the runs {runs} of `train_many`"

    raise ValueError(
        f"`{path}` must be a checkpoint of {words(wanted)}, but it is of {words(stored)}; give "
        "the seeds and the sweep that it was started with."
    )


def load_training_state(path: str | os.PathLike, like: Any) -> Any:
    """The training state of a checkpoint, or of the newest one in a folder of them.

    Args:
        path: A checkpoint, or the folder of all of a run.
        like: A training state, or its shapes and dtypes, of the same environment, networks and
            number of environments.

    Raises:
        ValueError: If the checkpoint was written for a different one.
    """
    folder = latest(path) / _TRAINING_STATE
    checkpointer = ocp.PyTreeCheckpointer()
    stored: Any = checkpointer.metadata(folder).item_metadata
    expected = ocp.utils.serialize_tree(like, keep_empty_nodes=True)
    different = sorted(_names(stored.tree) ^ _names(expected))
    if different:
        raise ValueError(
            f"`{folder}` must hold this training's state, but they differ in {different[:5]}; give "
            "the environment and options it was started with."
        )
    restore_args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), like)
    state = checkpointer.restore(
        folder, ocp.args.PyTreeRestore(item=like, restore_args=restore_args)
    )
    for found, wanted in zip(jax.tree.leaves(state), jax.tree.leaves(like), strict=True):
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ValueError(
                f"`{folder}` must hold this training's state, but it has an array "
                f"{found.dtype}{found.shape} where {wanted.dtype}{wanted.shape} is needed; "
                "give the environment and options it was started with."
            )
    return jax.tree.map(jax.numpy.asarray, state)


def load_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The evaluations up to a checkpoint, or up to the newest one in a folder of them: of each
    `interactions` and the metrics. Empty if the checkpoint is a policy alone.
    """
    file = latest(path) / _HISTORY
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def load_config(path: str | os.PathLike) -> config_dict.ConfigDict:
    """The arguments of the network factory that the checkpoint's networks were made with."""
    return checkpoint.load_config((latest(path) / _CONFIG_FNAME).as_posix())


def load_policy(
    path: str | os.PathLike,
    network_factory: Callable[..., shac_networks.SHACNetworks] = shac_networks.make_shac_networks,
    deterministic: bool = True,
) -> types.Policy:
    """The policy of a checkpoint, or of the newest one in a folder of them: `policy(obs, key) ->
    (action, extras)`.
    """
    config = load_config(path)
    networks: Any = checkpoint.get_network(config, network_factory)  # pyright: ignore[reportArgumentType]
    make_policy = shac_networks.make_inference_fn(networks, config)
    return make_policy(load(path), deterministic=deterministic)


def _all(path: str | os.PathLike) -> dict[int, Path]:
    """The checkpoints in a folder, complete or not, by their interactions, in their order."""
    folders = sorted(Path(path).absolute().glob("[0-9]" * 12))
    return {int(folder.name): folder for folder in folders if folder.is_dir()}


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a checkpoint but the manifest, by its path."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file != folder / _MANIFEST
    }


def _names(tree: Any) -> set[str]:
    """The paths of a tree's leaves."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(key, simple=True, separator="/") for key, _ in leaves}
