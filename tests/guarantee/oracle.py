"""Whether a claim is true, by sampling in NumPy: it trusts no part of the prover.

It finds what is false, and cannot show that anything is true. Plants are float64 functions of
states (..., n), actions (..., d) and disturbances (k,), as in `plants`.
"""

import itertools

import jax
import numpy as np
from plants import action_rows, disturbance_vertices, facets, offsets

from safe_wrappers.certificates import RESET_SHRINK
from safe_wrappers.safe_actions import ModelSystem

_STATES = 400
# Far above the rounding of the oracle, far below what counts.
_TOLERANCE = 1e-9


def boundary_heavy(claim, count, seed=0):
    """States of S, most of them on its boundary and many near a vertex, shape (count, n)."""
    center = claim.center.astype(np.float64)
    vertices = claim.safe_state_set.vertices() - center
    H = facets(claim) / (offsets(claim) - facets(claim) @ center)[:, None]
    rng = np.random.default_rng(seed)
    sharpness = rng.choice([0.05, 0.3, 1.0], count)[:, None]
    weights = rng.gamma(sharpness, size=(count, len(vertices))) + 1e-300
    x = weights / weights.sum(axis=1, keepdims=True) @ vertices
    scale = np.where(rng.uniform(size=count) < 0.8, 1.0, rng.uniform(size=count) ** 0.3)
    x = np.concatenate([vertices, x / (x @ H.T).max(axis=1, keepdims=True) * scale[:, None]])
    return center + (x / np.maximum((x @ H.T).max(axis=1, keepdims=True), 1.0))[:count]


def largest_margins(A, b):
    """max over a in [-1, 1]^d of min_i (b_i - A_i a), for d <= 1 and rows (states, m, d): shape
    (states,).
    """
    lower, upper = -np.ones(len(b)), np.ones(len(b))
    slope = A[..., 0] if A.shape[2] else np.zeros_like(b)

    def margin(a):
        return (b - slope * a[:, None]).min(axis=1)

    for _ in range(100):
        left, right = lower + (upper - lower) / 3, upper - (upper - lower) / 3
        rising = margin(left) < margin(right)
        lower, upper = np.where(rising, left, lower), np.where(rising, upper, right)
    return np.maximum(margin(lower), margin(upper))


def falsehoods(claim, plant):
    """Which parts of the claim sampling finds to be false: names of its fields."""
    parts = {
        "safe_state_set": _runs_out(claim, plant),
        "constraint_set": _violates(claim),
        "generators": _sticks_out(claim),
        "eps": _rounds_more(claim, plant),
    }
    return [name for name, false in parts.items() if false]


def _runs_out(claim, plant):
    if claim.blocks:
        return any(_block_runs_out(claim, plant, block) for block in claim.blocks)
    x = boundary_heavy(claim, _STATES)
    best = largest_margins(*action_rows(claim, plant, x))
    return bool((best < claim.sigma - _TOLERANCE).any())


def _block_runs_out(claim, plant, block):
    """Whether the block has no action that keeps its facets, whatever the other actions are."""
    H = facets(claim)
    rows = block.facets(H)
    x = boundary_heavy(claim, _STATES)
    A, b = action_rows(claim, plant, x)
    own = list(block.actions)
    others = np.abs(np.delete(A[:, rows], own, axis=2)).sum(axis=2)
    best = largest_margins(A[:, rows][..., own], b[:, rows] - others)
    return bool((best < claim.sigma - _TOLERANCE).any())


def _violates(claim):
    G, g = (np.asarray(part, np.float64) for part in claim.constraint_set.halfspaces())
    return bool((claim.safe_state_set.vertices() @ G.T > g + _TOLERANCE * np.abs(g)).any())


def _sticks_out(claim):
    if claim.generators is None:
        return False
    center = np.asarray(claim.generators.center, np.float64)
    G = np.asarray(claim.generators.generators, np.float64)
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=min(G.shape[1], 10))))
    apex = claim.center.astype(np.float64)
    x = apex + (1 - RESET_SHRINK) * (center - apex + signs @ G.T[: signs.shape[1]])
    return bool((x @ facets(claim).T > offsets(claim)).any())


def _rounds_more(claim, plant):
    """Whether float32 rows and steps are off by more than eps, or rows longer than gain."""
    H = facets(claim)
    rng = np.random.default_rng(1)
    x = boundary_heavy(claim, _STATES).astype(np.float32)
    a = rng.choice([-1.0, 1.0, 0.3], (_STATES, claim.model.action_size)).astype(np.float32)
    corners = disturbance_vertices(claim)
    w = corners[rng.integers(len(corners), size=_STATES)].astype(np.float32)
    system = ModelSystem(claim, state=lambda state: state)
    # Operation by operation: compiling takes longer than all else for a few hundred states.
    found = jax.vmap(system.safe_action_set)(x)
    after = np.asarray(jax.vmap(claim.model.step)(x, a, w), np.float64)
    x, a, w = (part.astype(np.float64) for part in (x, a, w))
    A, b = action_rows(claim, plant, x)
    allowed = b - claim.eps.astype(np.float64)
    exact = np.stack([plant(*triple) for triple in zip(x, a, w, strict=True)])
    error = (
        np.abs(np.asarray(found.b, np.float64) - allowed)
        + np.abs(np.asarray(found.A, np.float64) - A).sum(axis=2)
        + np.abs((after - exact) @ H.T)
    )
    return bool((error > claim.eps).any() or (np.linalg.norm(A, axis=2) > claim.gain).any())
