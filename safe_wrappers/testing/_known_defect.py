"""A small program that a released compiler got wrong, computed again on this machine."""

import jax
import jax.numpy as jnp
import numpy as np

from ._check_report import require_all

_STATES, _FACETS = 4096, 12
_ERROR = 1e-4  # of numbers of about 10, in float32


def check_known_defect(instead: str) -> dict[str, float]:
    """Rows 1 - H c(x) as of a pendulum, which jaxlib 0.10.2 computes wrong on CPUs from state 2,730
    on, since states times facets exceed 32,768.

    Whether it does so to the rows of a certain system depends on what they are fused with. A
    compiler that fails here is trusted with no system.

    Args:
        instead: The remedy, in words.

    Returns:
        The largest error.

    Raises:
        ContractError: If an entry is wrong.
    """
    rng = np.random.default_rng(0)
    H = rng.normal(size=(_FACETS, 2)).astype(np.float32)
    x = rng.uniform(-2, 2, (_STATES, 2)).astype(np.float32)

    @jax.jit
    @jax.vmap
    def compiled(x: jax.Array) -> jax.Array:
        angle, speed = x[0], x[1]
        speed = speed + 0.05 * (14.7 * jnp.sin(angle))
        return 1 - jnp.sum(H * jnp.stack([angle + 0.05 * speed, speed]), axis=1)

    found = np.asarray(compiled(x), np.float64)
    angle, speed = x.astype(np.float64).T
    speed = speed + 0.05 * 14.7 * np.sin(angle)
    expected = 1 - np.stack([angle + 0.05 * speed, speed], axis=1) @ H.T.astype(np.float64)
    error = np.abs(found - expected).max(axis=1)
    require_all(
        error <= _ERROR,
        "A program that a compiler is known to have computed wrong must be right here",
        instead,
        state=x,
        error=error,
    )
    return {"largest error of a program known for it": float(error.max())}
