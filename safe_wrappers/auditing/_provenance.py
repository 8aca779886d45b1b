"""With what an audit was made, and of what exactly."""

import importlib.metadata
import os
import platform
from collections.abc import Mapping

import jax

from ..certificates import Claim
from ..evaluation import versions

_ALSO = ("jaxlib", "numpy", "scipy", "mujoco")


def provenance_of(claim: Claim | None, digests: Mapping[str, str]) -> dict[str, str]:
    """Versions, platform and digests by name."""
    packages = {name: importlib.metadata.version(name) for name in _ALSO}
    found = {f"version of {name}": text for name, text in (versions() | packages).items()}
    found["platform"] = f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores"
    found["JAX computes on"] = jax.default_backend()
    if claim is not None:
        found["claim, all of its numbers"] = claim.digest
        found["program of the model"] = claim.program
    return found | dict(digests)
