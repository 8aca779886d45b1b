"""An attack on a claim: float32 states of S, executed actions, all vertices of W, and the exits
counted in float64.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from guarantee.oracle import boundary_heavy
from plants import disturbance_vertices, facets, offsets

from safe_wrappers import BoundaryProjection
from safe_wrappers.safe_actions import ModelSystem, SafeActionSet

STATES = 2_000


class Attack(NamedTuple):
    """Of how many steps how many left S, how many were flagged, and by how much the worst left."""

    steps: int
    exits: int
    flagged: int
    worst: float


@jax.jit
@jax.vmap
def _executed(A, b, request):
    """Compiled once for each shape, whatever the model."""
    output = BoundaryProjection()(SafeActionSet.from_rows(A, b), request)
    return output.action, output.feasible & ~output.fallback


def attack(claim, seed=0, states=STATES):
    """What happens to the claim's own system under random and bang-bang requests."""
    rng = np.random.default_rng(seed)
    x = float32_states(claim, states, seed)
    d = claim.model.action_size
    request = rng.uniform(-1.3, 1.3, (len(x), d))
    request = np.where(rng.uniform(size=(len(x), 1)) < 0.7, np.sign(request), request)
    w = disturbance_vertices(claim).astype(np.float32)
    system = ModelSystem(claim, state=lambda state: state)
    with jax.default_matmul_precision("highest"):
        A, b = jax.jit(jax.vmap(lambda x: _rows(system.safe_action_set(x))))(x)
        action, ok = _executed(A, b, jnp.asarray(request, jnp.float32))
        one = jax.vmap(claim.model.step, (None, None, 0))
        after = np.asarray(jax.jit(jax.vmap(one, (0, 0, None)))(x, action, w), np.float64)
    action = np.asarray(action, np.float64)
    assert np.all(np.abs(action) <= 1)
    beyond = (after @ facets(claim).T - offsets(claim)).max(axis=2)
    beyond = np.where(np.isfinite(beyond), beyond, np.inf)
    flagged = int((~np.asarray(ok)).sum())
    return Attack(beyond.size, int((beyond > 0).sum()), flagged, float(beyond.max()))


def _rows(action_set):
    return action_set.A, action_set.b


def float32_states(claim, count, seed=0):
    """States that lie in S exactly, most of them on its boundary to within rounding, some twice if
    too many were rounded out of S: shape (count, n).
    """
    H = facets(claim)
    x = boundary_heavy(claim, 2 * count, seed).astype(np.float32)
    inside = (x.astype(np.float64) @ H.T <= offsets(claim)).all(axis=1)
    return np.resize(x[inside], (count, x.shape[1]))
