"""Checkpoints of SHAC: Brax's format for the policy, and beside it the whole training state, to go
on from.

A folder `000000010240/` (interactions) holds what Brax's agents store there, so that `load_policy`
works alike, and a folder `training_state/`. It appears under its name only when it is complete.
"""

import os
import tempfile
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
    with tempfile.TemporaryDirectory(prefix=".incomplete-", dir=path) as scratch:
        checkpoint.save(scratch, step, params, config, _CONFIG_FNAME)
        complete, final = Path(scratch) / f"{step:012d}", path / f"{step:012d}"
        ocp.PyTreeCheckpointer().save(
            complete / _TRAINING_STATE, jax.tree.map(np.asarray, training_state)
        )
        if final.exists():
            final.rename(Path(scratch) / "replaced")
        complete.rename(final)
    return final


def latest(path: str | os.PathLike) -> Path:
    """The newest complete checkpoint in the folder `path`, or `path` itself if it is a checkpoint.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = Path(path).absolute()
    if (path / _CONFIG_FNAME).exists():
        return path
    found = sorted(
        folder for folder in path.glob("[0-9]" * 12) if (folder / _CONFIG_FNAME).exists()
    )
    if not found:
        raise FileNotFoundError(
            f"There must be a SHAC checkpoint in `{path}`, such as "
            f"`{path}/000000010240`, but there is none."
        )
    return found[-1]


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
    networks: Any = checkpoint.get_network(load_config(path), network_factory)  # pyright: ignore[reportArgumentType]
    return shac_networks.make_inference_fn(networks)(load(path), deterministic=deterministic)


def _names(tree: Any) -> set[str]:
    """The paths of a tree's leaves."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(key, simple=True, separator="/") for key, _ in leaves}
