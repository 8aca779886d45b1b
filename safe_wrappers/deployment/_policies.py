"""Policies as files: saved in one process, loaded in another."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from brax.envs.base import ObservationSize
from brax.training import types

from .._files import new_folder, write_bytes
from .._gate import as_integer
from ..algos.shac import SHACNetworks, SHACPolicy, checkpoint, make_shac_networks
from ..evaluation import write_json
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
    if isinstance(policy, SHACPolicy) and policy.config is not None:
        checkpoint.save_params(path, policy.params, policy.config)
    else:
        _save_program(path, policy, observation_size)
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
            largest mean return, which is always kept), or its number of interactions.
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
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    found = checkpoint.choose(folder, which)
    return checkpoint.load_policy(found, network_factory, deterministic)


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
    path: Path, policy: Callable[..., Any], observation_size: ObservationSize | None
) -> None:
    if observation_size is None:
        raise TypeError(
            "`observation_size` must be given with a policy that is no policy of SHAC, for example "
            "`observation_size=env.observation_size`."
        )
    size = as_integer("observation_size", observation_size, 1)
    program = serialised(as_function(policy), jnp.zeros(size))
    with new_folder(path) as complete:
        write_bytes(complete / _PROGRAM, program)
        write_json(complete / _DESCRIPTION, {"format": 1, "observation_size": size})


def _load_program(path: Path) -> types.Policy:
    try:
        program = jax.export.deserialize(bytearray((path / _PROGRAM).read_bytes()))
    except Exception as error:
        raise ValueError(f"The policy in `{path}` cannot be read: {error}.") from error

    def policy(observation: Any, key: Any = None) -> tuple[jax.Array, dict[str, Any]]:
        del key
        return program.call(jnp.asarray(observation, jnp.float32)), {}

    return policy
