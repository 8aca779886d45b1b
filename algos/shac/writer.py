"""Checkpoints of a training over several hosts, written by the first one alone."""

import os
import pickle
import subprocess
import sys
from typing import Any

import jax
import numpy as np
from ml_collections import config_dict

from . import checkpoint

_PROGRAM = f"""
import pickle, sys
from {checkpoint.__name__} import save
save(*pickle.load(sys.stdin.buffer))
"""


def save(path: str, step: int, params: Any, config: Any, state: Any, *more: Any) -> None:
    """`checkpoint.save`, which takes the same arguments, from any number of hosts.

    Orbax writes as soon as all processes of `jax.distributed` have come to the same line, and the
    others are training. So where there are others, a process of its own writes, which does not know
    of them.

    Raises:
        OSError: If that process fails; the message is its own.
    """
    if jax.process_count() == 1:
        checkpoint.save(path, step, params, config, state, *more)
        return
    params, state = jax.tree.map(np.asarray, (params, state))
    config = _by_name(config)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=pickle.dumps((path, step, params, config, state, *more)),
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(
            f"The checkpoint of {step:,} interactions in {path} was not written: "
            f"{said[-1] if said else f'the process that writes ended with {done.returncode}'}"
        )


def _by_name(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
    """The configuration with the name of its activation, as a file has it: JAX's functions cannot
    be handed to another process.
    """
    named = config.to_dict()
    factory = named["network_factory_kwargs"]
    if callable(factory.get("activation")):
        factory["activation"] = factory["activation"].__name__
    return config_dict.ConfigDict(named)
