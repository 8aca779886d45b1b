"""States at which a picture of a safeguard shows something."""

import jax
import jax.numpy as jnp
import numpy as np
from brax.envs import Env

from ..safeguards import BoundaryProjection
from ..wrappers import SafeguardWrapper

_EPISODES = 256
_STEPS = 40


def chosen_states(env: Env, unsafe_shares: tuple[float, ...]) -> np.ndarray:
    """One safe state for each share of the requests that is to be unsafe there, as nearly as some
    episodes have one; shape (s, n).

    The episodes are always the same, safeguarded, and each keeps asking for one corner of the
    action box, which leads it to the boundary. Among states alike the one with the largest margin
    is taken: for the share 0 one in the middle of the safe set.

    Args:
        env: An environment with a `system`, or any in a `SafeguardWrapper`.
        unsafe_shares: From 0 to 1.
    """
    system, d = env.system, env.action_size  # pyright: ignore[reportAttributeAccessIssue]
    requests = jnp.stack(jnp.meshgrid(*[jnp.linspace(-1, 1, 15)] * d), axis=-1).reshape(-1, d)
    guarded = (
        env if isinstance(env, SafeguardWrapper) else SafeguardWrapper(env, BoundaryProjection())
    )

    def survey(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        A, b = system.safe_action_set(x).unit_rows()
        unsafe = jax.vmap(lambda request: jnp.any(jnp.sum(A * request, axis=1) > b))(requests)
        return x, jnp.mean(unsafe), system.margin(x)

    @jax.jit
    @jax.vmap
    def episode(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        request = jax.random.rademacher(key, (d,), jnp.float32)
        return jax.lax.scan(
            lambda state, _: (guarded.step(state, request), survey(system.state(state))),
            guarded.reset(key),
            length=_STEPS,
        )[1]

    found = episode(jax.random.split(jax.random.PRNGKey(0), _EPISODES))
    x, unsafe, margin = (np.asarray(value).reshape(-1, *value.shape[2:]) for value in found)
    return np.stack(
        [x[np.argmin(np.abs(unsafe - share) - 0.05 * margin)] for share in unsafe_shares]
    )
