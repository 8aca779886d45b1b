"""Checkpoints of SHAC: Brax's format for the policy, and beside it the whole training state, to go
on from.

A folder `000000010240/` (interactions) holds what Brax's agents store there, so that `load_policy`
works alike, a folder `training_state/`, and `manifest.json` with the SHA-256 of every other file.
It appears under its name only when it is complete, and is read only if it is what was written.
"""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from brax.training import checkpoint, types
from ml_collections import config_dict
from orbax import checkpoint as ocp

from . import networks as shac_networks

_CONFIG_FNAME = "shac_network_config.json"
_TRAINING_STATE = "training_state"
_MANIFEST = "manifest.json"
_INCOMPLETE = ".incomplete-"


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
) -> Path:
    """Writes the checkpoint `path`/`step` (12 digits) and returns its folder; replaces one that is
    already there.

    Args:
        path: Folder of all checkpoints of a run.
        step: Environment interactions so far.
        params: (normalizer_params, policy_params, value_params).
        config: From `network_config`.
        training_state: A pytree of arrays.
    """
    path = Path(path).absolute()
    path.mkdir(parents=True, exist_ok=True)
    # Complete in a hidden folder first: the rename is atomic, so a killed process leaves no half
    # checkpoint behind.
    with tempfile.TemporaryDirectory(prefix=_INCOMPLETE, dir=path) as scratch:
        checkpoint.save(scratch, step, params, config, _CONFIG_FNAME)
        complete, final = Path(scratch) / f"{step:012d}", path / f"{step:012d}"
        ocp.PyTreeCheckpointer().save(
            complete / _TRAINING_STATE, jax.tree.map(np.asarray, training_state)
        )
        # Last, so that a file which a full disk or a power cut has shortened is noticed.
        (complete / _MANIFEST).write_text(json.dumps(_digests(complete), indent=1) + "\n")
        if final.exists():
            final.rename(Path(scratch) / "replaced")
        complete.rename(final)
    return final


def save_params(folder: str | Path, params: types.Params, config: config_dict.ConfigDict) -> Path:
    """Writes a checkpoint without a training state into a folder, of which it is the only content,
    and returns its folder: it loads as a policy, and no training goes on from it.

    Args:
        folder: An empty folder.
        params: (normalizer_params, policy_params, value_params).
        config: From `network_config`.
    """
    checkpoint.save(str(folder), 0, params, config, _CONFIG_FNAME)
    complete = Path(folder) / f"{0:012d}"
    (complete / _MANIFEST).write_text(json.dumps(_digests(complete), indent=1) + "\n")
    return complete


def is_checkpoint(path: Path) -> bool:
    """Whether a folder is a checkpoint of SHAC, complete or not."""
    return (path / _CONFIG_FNAME).exists()


def newest(path: str | os.PathLike) -> tuple[Path | None, dict[Path, str]]:
    """The newest checkpoint in the folder `path` that can be read, None if there is none, and the
    newer ones that cannot, each with the reason.
    """
    damaged = {}
    for folder in sorted(Path(path).absolute().glob("[0-9]" * 12), reverse=True):
        reason = damage(folder)
        if reason is None:
            return folder, damaged
        damaged[folder] = reason
    return None, damaged


def damage(folder: Path) -> str | None:
    """Why a checkpoint cannot be read, in a few words; None if it is what was written."""
    try:
        expected = json.loads((folder / _MANIFEST).read_text())
        stored = _digests(folder)
    except FileNotFoundError:
        return f"it has no {_MANIFEST}"
    except (OSError, ValueError) as error:
        return f"its {_MANIFEST} cannot be read ({error})"
    if not isinstance(expected, dict):
        return f"its {_MANIFEST} is none"
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


def remove_leftovers(path: str | os.PathLike) -> None:
    """Deletes what trainings that were killed while they wrote a checkpoint left in the folder
    `path`. Only for who knows that no other training writes there.
    """
    for folder in Path(path).glob(f"{_INCOMPLETE}*"):
        shutil.rmtree(folder, ignore_errors=True)


def load(path: str | os.PathLike) -> types.Params:
    """(normalizer_params, policy_params, value_params) of a checkpoint, or of the newest one in a
    folder of them.
    """
    return tuple(checkpoint.load(latest(path).as_posix()))


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
