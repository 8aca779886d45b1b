"""What an attack tries in one round: how the requests and the disturbances of each trajectory are
made.
"""

import numpy as np

from ._judge import Judge
from ._window import AIMED, GIVEN, WORST, Plan

REQUESTS = (
    "random requests",
    "bang-bang requests",
    "held requests",
    "requests that are no actions",
    "requests towards the boundary",
    "requests towards one side",
)
DISTURBANCES = (
    "the worst disturbance of each step",
    "disturbances towards the same side",
    "random extreme disturbances",
    "a held extreme disturbance",
)
_NO_ACTIONS = np.array(
    [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e6, -1e6, np.nextafter(np.float32(1), 2), -1.0, 0.0],
    np.float32,
)
_OVERSIZED = 1.3


def drawn(
    judge: Judge, steps: int, count: int, rng: np.random.Generator, *, bare: bool
) -> tuple[Plan, list[str]]:
    """A plan for trajectories of `steps` steps, and what it does in words, trajectory by
    trajectory.

    Args:
        judge: What is to be left.
        steps: T.
        count: N.
        rng: Draws it.
        bare: Whether there is no safeguard, so that only actions are requested.
    """
    d, k = judge.model.action_size, judge.model.disturbance_size
    kinds = rng.integers(len(REQUESTS), size=count)
    if bare:
        kinds = np.where(kinds == 3, 1, kinds)
    against = rng.integers(len(DISTURBANCES), size=count)
    requests = _of_kind(kinds, (steps, count, d), rng)
    vertex = rng.integers(0, 2, (steps, count, k))
    vertex = np.where((against == 3)[:, None], vertex[:1], vertex)
    disturbances = np.where(vertex == 1, judge.upper, judge.lower)
    sides = judge.directions[rng.integers(len(judge.directions), size=count)]
    # Only who asks towards one side needs a fixed one; others push where the boundary is nearest.
    direction = np.where((kinds == 5)[:, None], sides, 0.0)
    plan = Plan(
        requests.astype(np.float32),
        disturbances.astype(np.float32),
        np.where(kinds >= 4, AIMED, GIVEN).astype(np.int32),
        np.choose(against, [WORST, AIMED, GIVEN, GIVEN]).astype(np.int32),
        direction.astype(np.float32),
    )
    return plan, [f"{REQUESTS[i]}, {DISTURBANCES[j]}" for i, j in zip(kinds, against, strict=True)]


def bang_bang(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Vertices of the action box, shape (T, N, d), each kept for a random while: of some
    trajectories for one step, of others for fifty on average.
    """
    switch = rng.random(shape) < rng.uniform(0.02, 1, (1, shape[1], 1))
    first = rng.choice([-1.0, 1.0], shape[1:])
    return np.where(np.cumsum(switch, axis=0) % 2, 1.0, -1.0) * first


def _of_kind(
    kinds: np.ndarray, shape: tuple[int, int, int], rng: np.random.Generator
) -> np.ndarray:
    random = rng.uniform(-_OVERSIZED, _OVERSIZED, shape)
    held = np.broadcast_to(rng.uniform(-1, 1, shape[1:]), shape)
    odd = np.where(rng.random(shape) < 0.3, rng.choice(_NO_ACTIONS, shape), random)
    chosen = np.stack([random, bang_bang(shape, rng), held, odd])
    return np.take_along_axis(chosen, np.minimum(kinds, 3)[None, None, :, None], axis=0)[0]
