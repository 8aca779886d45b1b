"""Brax's own trainers on versions of JAX that are newer than they are."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_NAME = "device_put_replicated"


def enable_brax_trainers() -> None:
    """Lets PPO, SAC and APG of Brax 0.14 run on JAX 0.10 and newer.

    They call `jax.device_put_replicated`, which JAX removed in 0.10, and end there with an
    AttributeError (https://github.com/google/brax/issues/671). This puts a function that does the
    same into the module `jax`, for the whole process; where there is one, nothing changes. Call it
    once, before a training. Another way is JAX 0.9, which
    `pip install "safe-wrappers[brax-trainers]"` brings. Nothing else in the library needs either.

    Example:
        >>> enable_brax_trainers()
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # where it is, it is deprecated
        found = hasattr(jax, _NAME)
    if not found:
        setattr(jax, _NAME, _device_put_replicated)


def _device_put_replicated(x: Any, devices: Sequence[Any]) -> Any:
    """A tree with each array once for every device, along a new first axis, as `jax.pmap` takes
    it.
    """
    mesh = Mesh(np.asarray(devices), ("devices",))
    sharding = NamedSharding(mesh, PartitionSpec("devices"))
    return jax.tree.map(lambda leaf: jax.device_put(jnp.stack([leaf] * len(devices)), sharding), x)
