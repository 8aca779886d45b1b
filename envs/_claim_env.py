"""The plant of a claim as an environment."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ._certified_env import CertifiedEnv


class ClaimEnv(CertifiedEnv):
    """The plant of a claim or a certificate, with its state as observation and nothing to do: the
    reward is 0. For pictures, attacks and audits of a safe set that has no task.

    Options are those of `CertifiedEnv`.
    """

    def observe(self, x: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return x

    def reward(self, x: jax.Array, action: jax.Array, info: Mapping[str, Any]) -> jax.Array:
        return jnp.zeros((), x.dtype)

    @property
    def observation_size(self) -> int:
        return self.model.state_size
