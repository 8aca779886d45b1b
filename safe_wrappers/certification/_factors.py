"""The set of one block in virtual inputs: three kinds, of which the largest is taken."""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from .._gate import instance_of, one_of
from ..certificates import BlockForm
from ..models import Model
from ..sets import Box, Polytope
from ..synthesis import SynthesisError, synthesise
from ..synthesis._admissible_set import admissible_rows
from ..synthesis._gain_search import best_gain, limits_of
from ..synthesis._grown_set import grown_rows, shrunk_rows, size_of
from ..synthesis._joint_polygon import joint_polygon, outward

Factor = Literal["polygon", "gain", "vertices"]
SIGMA = 1e-4
# A set at whose vertices the block is kept is taken by itself only if it is larger than that of a
# gain by this factor and has so few facets, in so many dimensions. In more, facets explode.
_LARGER = 1.02
_FEW, _DIMENSIONS = 128, 3
# Where the set of a gain has more facets, the other is searched with so many.
_SEARCHED = 48
# Most facets of it where it is asked for.
_MANY = 600
# In a search: the share of its volume by which a further facet enlarges a set.
_GAIN = 3e-3
_MOST_STATES = 4


def as_factors(value: Any) -> None:
    """Checks the kinds of sets that are asked for.

    Raises:
        TypeError: If they are no texts.
        ValueError: If there is no such kind.
    """
    if value is None or isinstance(value, str):
        value = [value]
    instance_of("factors", value, list, tuple)
    for kind in value:
        if kind is not None:
            one_of("factors", kind, get_args(Factor))


class Limits(NamedTuple):
    """What a block of n states moves within, seen from its centre.

    Attributes:
        form: Its linear form.
        k: Its drift, shape (n,).
        E: What disturbs it, shape (n, j), |omega| <= 1.
        reach: How far y may go below and above 0, shapes (n,).
        inputs: How far v may go below and above v0, shapes (d,).
        margin: The margin that each facet is to have.
    """

    form: BlockForm
    k: np.ndarray
    E: np.ndarray
    reach: tuple[np.ndarray, np.ndarray]
    inputs: tuple[np.ndarray, np.ndarray]
    margin: float

    @property
    def symmetric(self) -> bool:
        """Whether the set may be its own mirror image."""
        pairs = (self.reach, self.inputs)
        return not np.any(self.k) and all(np.array_equal(*pair) for pair in pairs)


Set = tuple[BlockForm, np.ndarray]


def factor_of(
    limits: Limits, kind: Factor | None, facets: int | None, gain: np.ndarray | None
) -> Set | None:
    """The form with its gain, if one keeps the set, and the facets H of {y : H y <= 1}, float32;
    None if there is no set of this kind.

    Args:
        limits: Of the block.
        kind: The kind. None: a joint's polygon, else that of a gain or, if that is larger and has
            few facets, of vertices.
        facets: Most facets, of a polygon sloped facets on each side.
        gain: The gain, if it is known.
    """
    if gain is not None:
        return _by_gain(limits, gain)
    polygon = _polygon(limits, facets) if kind in (None, "polygon") else None
    if polygon is not None or kind == "polygon":
        return polygon
    kept = _by_gain(limits, None)
    if kind == "gain":
        return kept
    scale, d = np.minimum(*limits.reach), limits.form.B.shape[1]
    if d > 1 or not 1 < len(scale) <= (_DIMENSIONS if kind is None else _MOST_STATES):
        return kept if kind is None else None
    if kind == "vertices":
        return _by_vertices(limits, kept, facets, _MANY)
    searched = kept is not None and len(kept[1]) > _FEW
    found = _by_vertices(limits, kept, _SEARCHED if searched else None, _FEW)
    if kept is None or found is None:
        return kept or found
    sizes = [size_of(np.asarray(H, np.float64) * scale) for _, H in (found, kept)]
    return found if sizes[0] > _LARGER * sizes[1] else kept


def joint_of(form: BlockForm) -> tuple[float, float] | None:
    """dt and c of a position that is moved by a speed and this by an input, dt v, such that
    position + c speed moves as in semi-implicit Euler; None for another block.
    """
    if form.A.shape != (2, 2) or form.B.shape != (2, 1):
        return None
    dt = float(form.A[0, 1])
    near = np.allclose(form.A, [[1.0, dt], [0.0, 1.0]], atol=1e-9 * abs(dt))
    if not (near and dt > 0 and np.isclose(form.B[1, 0], dt, rtol=1e-6, atol=0)):
        return None
    lean = dt - float(form.B[0, 0]) / dt
    if abs(lean) <= 1e-6 * dt:
        return dt, 0.0
    return (dt, lean) if 0 < lean <= dt / 2 else None


def _polygon(limits: Limits, facets: int | None) -> Set | None:
    """The set of a joint in closed form."""
    joint = joint_of(limits.form)
    if joint is None:
        return None
    dt, lean = joint
    # As the closed form has it, both a push and a slip of the position beside it.
    moves = np.hstack([limits.E, limits.k[:, None]])
    push = float(np.abs(moves[1]).sum() / dt)
    slip = float(np.abs(moves[0] + (lean - dt) * moves[1]).sum())
    widest, fastest = np.minimum(*limits.reach)
    H = joint_polygon(
        float(widest),
        float(fastest),
        float(min(limits.inputs[0][0], limits.inputs[1][0])),
        push,
        dt,
        slip=slip,
        lean=lean,
        facets=facets or 5,
        margin=limits.margin,
    )
    return None if H is None else (limits.form._replace(K=None), H)


def _by_gain(limits: Limits, K: np.ndarray | None) -> Set | None:
    """The largest set that one gain keeps."""
    form, k, E, reach, inputs, margin = limits
    if K is None:
        K = best_gain(form.A, form.B, k, E, reach, inputs, margin=2 * margin)
    if K is None:
        return None
    K = np.asarray(K, np.float64)
    within = limits_of(K, reach, inputs)
    rows = admissible_rows(form.A + form.B @ K, k, E, within, margin=2 * margin)
    return None if rows is None else (form._replace(K=K.astype(np.float32)), outward(rows))


def _by_vertices(limits: Limits, kept: Set | None, facets: int | None, most: int) -> Set | None:
    """A set at each of whose vertices an input keeps the block: what the set of a gain grows to
    backwards, or what the limits shrink to where no gain keeps one; and with fewer facets than
    these have, what a search by the vertices finds.
    """
    form, k, E, reach, inputs, margin = limits
    facets = facets if facets is None or not limits.symmetric else facets - facets % 2
    block, margin = (form.A, form.B, k, E), 2 * margin
    if kept is not None:
        rows = np.asarray(kept[1], np.float64)
    else:
        rows = shrunk_rows(*block, reach, inputs, margin=margin, most=_MANY)
        if rows is None:
            return None
    H = grown_rows(*block, rows, reach, inputs, margin=margin, most=facets or most)
    if facets is None or len(H) <= facets:
        return form._replace(K=None), outward(H)
    larger = grown_rows(*block, rows, reach, inputs, margin=margin, most=_MANY)
    H = _searched(limits, facets, _thinned(larger, reach, facets, limits.symmetric))
    return None if H is None else (form._replace(K=None), H)


def _searched(limits: Limits, facets: int, start: np.ndarray) -> np.ndarray | None:
    """The facets that `synthesise` finds for the block, a model of its own, from a set that may
    be too large on. The vertices tell all of a linear model, so that nothing is asked for beyond
    the margin.
    """
    form, k, E, reach, inputs, margin = limits
    half, middle = (inputs[1] + inputs[0]) / 2, (inputs[1] - inputs[0]) / 2
    parts = form.A, form.B * half, E, k + form.B @ middle

    def step(y: jax.Array, action: jax.Array, omega: jax.Array) -> jax.Array:
        A, B, columns, drift = (jnp.asarray(part, y.dtype) for part in parts)
        return A @ y + B @ action + columns @ omega + drift

    n, d = form.B.shape
    try:
        found = synthesise(
            Model("block", step, n, d, E.shape[1]),
            Box(-reach[0], reach[1]),
            Box.symmetric(np.ones(E.shape[1])),
            facets=facets,
            disturbance_scale=1.0,
            margin=4 * margin,  # half of it is kept
            symmetric=limits.symmetric,
            warm_start=Polytope(start.astype(np.float32), np.ones(len(start), np.float32)),
            iterations=200,
            gain=_GAIN,
            provable=False,
            progress=False,
        )
    except SynthesisError:
        return None
    return outward(np.asarray(found.safe_state_set.H, np.float64))


def _thinned(
    rows: np.ndarray, reach: tuple[np.ndarray, np.ndarray], facets: int, symmetric: bool
) -> np.ndarray:
    """So many of the rows, as different from one another as possible, the limits among them."""
    scale = np.minimum(*reach)
    unit = np.eye(len(scale))
    sides = [unit] if symmetric else [unit * (scale / reach[1]), -unit * (scale / reach[0])]
    chosen, scaled = list(np.concatenate(sides)), rows * scale

    def distance(row: np.ndarray) -> np.ndarray:
        apart = np.linalg.norm(scaled - row, axis=1)
        return np.minimum(apart, np.linalg.norm(scaled + row, axis=1)) if symmetric else apart

    nearest = np.min([distance(row) for row in chosen], axis=0)
    while len(chosen) < (facets // 2 if symmetric else facets):
        chosen.append(scaled[int(np.argmax(nearest))])
        nearest = np.minimum(nearest, distance(chosen[-1]))
    half = np.array(chosen) / scale
    return np.concatenate([half, -half]) if symmetric else half
