"""Policies as files: saved in one process, loaded in another."""

import inspect
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from brax.envs.base import ObservationSize
from brax.training import types

from .._gate import as_integer, one_of
from ..algos.shac import SHACNetworks, SHACPolicy, checkpoint, make_shac_networks
from ..evaluation import read_rows
from ._jax_program import serialised

_PROGRAM, _DESCRIPTION = "policy.jax", "policy.json"
# A policy of Brax takes a random key, of which a deterministic one makes no use.
_KEY_SEED = 0


def save_policy(
    path: str | os.PathLike[str],
    policy: Callable[..., Any],
    *,
    observation_size: ObservationSize | None = None,
    overwrite: bool = False,
) -> Path:
    """Saves a policy as a folder, which appears under its name only when it is complete.

    A policy of SHAC, from `make_policy(params)` or `load_policy`, is saved with its networks and
    parameters, and loads as what it was. Any other function is saved as the program that
    `jax.export` makes of it, for CPUs and CUDA GPUs: it can be called, and no longer be looked
    into.

    Args:
        path: The folder to write.
        policy: observation (observation_size,) -> action (d,) in [-1, 1]^d, in JAX; or a policy of
            Brax, (observation, key) -> (action, extras), of which the action for one fixed key is
            saved: give it `deterministic=True`.
        observation_size: Number of observations; needed for a function that is no policy of SHAC.
        overwrite: Whether a policy that is there already is replaced.

    Returns:
        The folder.

    Raises:
        FileExistsError: If the path exists, and is no policy or `overwrite` is not given.
        TypeError: If `policy` is no function, or its observation size is not known.
    """
    path = Path(path).absolute()
    if not callable(policy):
        raise TypeError(f"`policy` must be a function, but it is a {type(policy).__name__}.")
    if path.exists() and not (overwrite and _is_policy(path)):
        hint = "give `overwrite=True`" if _is_policy(path) else "give another path"
        raise FileExistsError(f"{path} must not exist yet, but it does; {hint}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incomplete-", dir=path.parent) as scratch:
        if isinstance(policy, SHACPolicy) and policy.config is not None:
            complete = checkpoint.save_params(scratch, policy.params, policy.config)
        else:
            complete = _save_program(Path(scratch), policy, observation_size)
        if path.exists():
            path.rename(Path(scratch) / "replaced")
        complete.rename(path)
    return path


def load_policy(
    path: str | os.PathLike[str],
    *,
    which: str | int = "last",
    network_factory: Callable[..., SHACNetworks] = make_shac_networks,
    deterministic: bool = True,
) -> types.Policy:
    """The policy in a folder: `policy(observation, key) -> (action, extras)`, as Brax's are.

    Args:
        path: What `save_policy` wrote, the folder of a run of `safe-wrappers train`, a folder of
            checkpoints of `shac.train`, or one of them.
        which: Which checkpoint of a run: "last", "best" (the one whose evaluation episodes had the
            largest mean return), or its number of interactions.
        network_factory: What was given to `shac.train`, if it was not the default.
        deterministic: Whether the policy takes the mode of its distribution. A saved program is
            what it was.

    Raises:
        FileNotFoundError: If there is no such policy.
        ValueError: If there is no such checkpoint, or it is damaged.
    """
    path = Path(path).absolute()
    if (path / _DESCRIPTION).exists():
        return _load_program(path)
    found = find_checkpoint(path, which)
    return checkpoint.load_policy(found, network_factory, deterministic)


def find_checkpoint(path: Path, which: str | int) -> Path:
    """A checkpoint in the folder of a run, or in a folder of checkpoints.

    Args:
        path: The folder, or a checkpoint itself.
        which: "last", "best" or its number of interactions.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there is no such one, or which is the best is not known.
    """
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    if isinstance(which, str):
        one_of("which", which, ("last", "best"), " Or give the number of interactions.")
    if which == "last":
        return checkpoint.latest(folder)
    steps = {int(one.name): one for one in sorted(folder.glob("[0-9]" * 12)) if one.is_dir()}
    if not steps:
        raise FileNotFoundError(f"There must be checkpoints in `{folder}`, but there are none.")
    if which == "best":
        rows = read_rows(path / "metrics.csv")
        returns = {int(row["interactions"]): row["eval/return"] for row in rows}
        returns = {step: value for step, value in returns.items() if step in steps}
        if not returns:
            raise ValueError(
                f"Which checkpoint is the best is said by the file metrics.csv of `safe-wrappers "
                f"train`, which `{path}` does not have. Give 'last' or one of {sorted(steps)}."
            )
        which = max(returns, key=lambda step: returns[step])
    which = as_integer("which", which, 0)
    if which not in steps:
        raise ValueError(
            f"`which` must be 'last', 'best' or one of {sorted(steps)}, but it is {which}."
        )
    return checkpoint.latest(steps[which])


def as_function(policy: Callable[..., Any]) -> Callable[[jax.Array], jax.Array]:
    """A policy as a function observation -> action, whether it is one or a policy of Brax."""
    if isinstance(policy, SHACPolicy) or _takes_key(policy):
        key = jax.random.PRNGKey(_KEY_SEED)
        return lambda observation: policy(observation, key)[0]
    return policy


def _takes_key(policy: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(policy).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) >= 2


def _is_policy(path: Path) -> bool:
    return (path / _DESCRIPTION).exists() or checkpoint.is_checkpoint(path)


def _save_program(
    folder: Path, policy: Callable[..., Any], observation_size: ObservationSize | None
) -> Path:
    if observation_size is None:
        raise TypeError(
            "`observation_size` must be given with a policy that is no policy of SHAC, for example "
            "`observation_size=env.observation_size`."
        )
    size = as_integer("observation_size", observation_size, 1)
    complete = folder / "policy"
    complete.mkdir()
    (complete / _PROGRAM).write_bytes(serialised(as_function(policy), jnp.zeros(size)))
    description = {"format": 1, "observation_size": size}
    (complete / _DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    return complete


def _load_program(path: Path) -> types.Policy:
    try:
        program = jax.export.deserialize(bytearray((path / _PROGRAM).read_bytes()))
    except Exception as error:
        raise ValueError(f"The policy in `{path}` cannot be read: {error}.") from error

    def policy(observation: Any, key: Any = None) -> tuple[jax.Array, dict[str, Any]]:
        del key
        return program.call(jnp.asarray(observation, jnp.float32)), {}

    return policy
