"""The identity of the program that a model runs."""

import hashlib
import re

import jax
import jax.numpy as jnp
import numpy as np

from ._model import Model


def program_digest(model: Model) -> str:
    """SHA-256 of the float32 jaxprs of `step` and `affine` with their constants."""
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    shapes = [jax.ShapeDtypeStruct((size,), jnp.float32) for size in (n, d, k)]
    digest = hashlib.sha256()
    for function, arguments in ((model.step, shapes), (model.affine, shapes[:1])):
        jaxpr = jax.make_jaxpr(function)(*arguments)
        digest.update(re.sub(r"0x[0-9a-f]+", "", str(jaxpr)).encode())
        for const in jaxpr.consts:
            digest.update(np.asarray(const).tobytes())
    return "sha256:" + digest.hexdigest()
