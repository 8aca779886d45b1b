"""Which two states a picture shows, and what they are called."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import SetDimensionError
from ..models import Model
from ._sets_of import Sets

Axis = int | str
Pair = tuple[int, int]

_MOST_PAIRS = 5


def state_labels(model: Model | None, n: int) -> tuple[str, ...]:
    """Names of the n states, with their units where the model has them."""
    names = tuple(getattr(model, "state_names", ()) or ())
    units = getattr(model, "units", None) or {}
    if len(names) == n:
        return tuple(f"{name} ({units[name]})" if units.get(name) else name for name in names)
    return tuple(f"state {i + 1}" for i in range(n))


def chosen_pairs(sets: Sets, axes: Sequence[Any] | None, n: int) -> list[Pair]:
    """The pairs of states to draw.

    Args:
        sets: The sets, the model and the states' names of the plant that is drawn.
        axes: One pair of states, by index or by name, or several pairs; None for those that belong
            together: see `coupled_pairs`.
        n: Number of states.

    Raises:
        SetDimensionError: If `axes` is something else, or the plant has one state only.
    """
    if n < 2:
        raise SetDimensionError("A picture in the plane needs two states, but the plant has one.")
    if axes is None:
        return coupled_pairs(sets, n)
    single = len(axes) == 2 and all(isinstance(axis, int | np.integer | str) for axis in axes)
    pairs = [axes] if single else list(axes)
    return [_pair(pair, sets.model, n) for pair in pairs]


def coupled_pairs(sets: Sets, n: int) -> list[Pair]:
    """Each state with the one that drives it most, such as a position with its velocity; and if
    there are several such pairs, the first states of the first two of them against each other, such
    as the two coordinates of a position.

    How much state j drives state i in a step is the derivative of x_i' by x_j at the middle of S,
    in the scale where both have the width of S.
    """
    if n == 2:
        return [(0, 1)]
    strength = _strengths(sets, n)
    free, pairs = set(range(n)), []
    for flat in np.argsort(-strength, axis=None, kind="stable"):
        i, j = divmod(int(flat), n)
        if i in free and j in free and i != j and strength[i, j] > 0:
            free -= {i, j}
            pairs.append((min(i, j), max(i, j)))
    left = sorted(free)
    while left:  # what nothing drives, two by two; the last one of an odd number with the first
        i = left.pop(0)
        j = left.pop(0) if left else next(k for k in range(n) if k != i)
        pairs.append((min(i, j), max(i, j)))
    pairs = sorted(pairs)[:_MOST_PAIRS]
    return [*pairs, (pairs[0][0], pairs[1][0])] if len(pairs) > 1 else pairs


def _strengths(sets: Sets, n: int) -> np.ndarray:
    model, safe = sets.model, sets.safe
    if model is None or safe is None or model.state_size != n:
        # Positions first, then their velocities, as in Brax's (q, qd).
        return np.eye(n, k=(n + 1) // 2)
    axes = np.eye(n)
    low, high = (np.array([sign * safe.support(sign * e) for e in axes]) for sign in (-1, 1))
    width = high - low

    def motion(x: jax.Array) -> jax.Array:
        return model.affine(x).c

    middle = jnp.asarray((low + high) / 2, jnp.float32)
    jacobian = np.abs(np.asarray(jax.jit(jax.jacobian(motion))(middle), np.float64))
    strength = jacobian * width / width[:, None] * (1 - np.eye(n))
    return np.where(np.isfinite(strength), strength, 0.0)


def _pair(pair: Any, model: Model | None, n: int) -> Pair:
    names = list(getattr(model, "state_names", ()) or ())
    found = []
    for axis in tuple(pair) if not isinstance(pair, str | int) else (pair,):
        if isinstance(axis, str) and axis in names:
            found.append(names.index(axis))
        elif isinstance(axis, int | np.integer) and 0 <= axis < n:
            found.append(int(axis))
    if len(found) != 2 or found[0] == found[1]:
        known = f" or two of the names {', '.join(names)}" if names else ""
        raise SetDimensionError(
            f"`axes` must be two different indices from 0 to {n - 1}{known}, or a list of such "
            f"pairs, but it has {pair!r}."
        )
    return found[0], found[1]
