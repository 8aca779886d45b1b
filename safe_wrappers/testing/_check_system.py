"""The contract of a system."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..models import Model
from ..safe_actions import SafeActionSet, System
from ..sets import Box, Polytope
from ._check_actions import check_anchors, check_next_states, check_unknown_states
from ._check_report import CheckReport, in_words, require, require_all
from ._plant import Plant

_PARTS = (
    "action_size",
    "neutral_action",
    "state",
    "safe_action_set",
    "margin",
    "violation",
    "sample_initial",
)
# In the scale where the centre of the safe set has margin 1: about a hundred roundings.
_ROUNDING = 1e-5


def check_system(
    system: System,
    *,
    model: Model | None = None,
    disturbance_set: Box | None = None,
    moving: Sequence[bool] | None = None,
    states: int = 512,
    seed: int = 0,
) -> CheckReport:
    """Checks what safeguards and wrappers rely on, on samples of the safe set and of its boundary:
    a test, not a proof.

    1. The parts of the `System` protocol are there, with the right shapes and dtypes, the same at
       every tracing, with and without jax.vmap.
    2. Initial states lie inside, one rounding in any direction included. The margin agrees with
       `safe_state_set`, if there is one, and nothing inside violates the constraints.
    3. At every state of the set, its boundary and vertices included, the anchor satisfies the rows
       with (4 d + 12) machine eps to spare.
    4. Whatever is requested, no vertex of W leads out of the set: the float32 actions and next
       states recounted in float64. By a margin that is concave, as that of a polytope is, and a
       model that is affine in w, this covers all of W.
    5. A state that is not finite gives the neutral action, flagged; derivatives of the rows are
       finite.

    Args:
        system: The system to check. Its `state` is not checked, since there is no environment: see
            `check_wrapped_env`.
        model: The plant that is really stepped. Default: `system.model`; without one, 4 is left
            out.
        disturbance_set: W of that plant. Default: `system.disturbance_set`.
        moving: Which components of the state change in an episode, shape (n,). The others, such as
            the places of obstacles, stay what `sample_initial` made them when samples are moved to
            the boundary. Default: all.
        states: Number of samples, half of which are moved to the boundary.
        seed: Random seed of all samples.

    Returns:
        The numbers that were found; margins in the scale where the centre of the safe set has 1.

    Raises:
        ContractError: An AssertionError, on the first of these that does not hold.

    Example:
        >>> report = check_system(envs.SafePendulum(safe_set="narrow").system)
        >>> bool(report.findings["least margin of a next state"] > 0)
        True
    """
    _check_parts(system)
    rng = np.random.default_rng(seed)
    start = _check_initial_states(system, states, seed)
    measure = _measure(system)
    x, corners = _states(system, measure, start, moving, rng)
    findings = {
        "states": len(x),
        "vertices among them": corners,
        **_check_set(system, measure, x, start, rng),
        **check_anchors(system, x),
    }
    check_unknown_states(system, start[0])

    model = model if model is not None else getattr(system, "model", None)
    disturbance_set = (
        disturbance_set if disturbance_set is not None else getattr(system, "disturbance_set", None)
    )
    if model is None or disturbance_set is None:
        return CheckReport(
            type(system).__name__,
            findings,
            ("the next states: there is no `model` and `disturbance_set`",),
        )
    return CheckReport(
        type(system).__name__,
        findings | check_next_states(system, Plant(model, disturbance_set, system.margin), x, rng),
    )


def _check_parts(system: Any) -> None:
    missing = [name for name in _PARTS if not hasattr(system, name)]
    require(
        not missing,
        f"A system must have {', '.join(f'`{name}`' for name in _PARTS)}",
        f"it has no {missing}",
        "See `safe_wrappers.System`.",
    )
    d = system.action_size
    require(
        isinstance(d, int) and d >= 1,
        "`action_size` must be a positive int",
        f"it is {d!r}",
        "Give the number of actuators.",
    )
    neutral = np.asarray(system.neutral_action)
    fits = neutral.shape == (d,) and np.all(np.abs(neutral) <= 1)
    require(
        fits,
        f"`neutral_action` must have shape ({d},) and lie in [-1, 1]",
        f"it is {in_words(neutral)}",
        "It is executed where the state is unknown.",
    )

    x = jax.eval_shape(system.sample_initial, jax.random.PRNGKey(0))
    floating = x.ndim == 1 and jnp.issubdtype(x.dtype, jnp.floating)
    require(
        floating,
        "`sample_initial(key)` must return one state, a vector of floating-point numbers",
        f"it returns {x}",
        "Batching is jax.vmap's job.",
    )
    rows = jax.eval_shape(system.safe_action_set, x)
    found = f"it returns {rows}"
    require(
        isinstance(rows, SafeActionSet),
        "`safe_action_set(x)` must return a `SafeActionSet`",
        found,
        "Use `SafeActionSet.from_rows(A, b)`.",
    )
    m = rows.b.shape[0] if rows.b.ndim == 1 else None
    shapes = {
        "safe_action_set(x).A": (rows.A, (m, d)),
        "safe_action_set(x).b": (rows.b, (m,)),
        "safe_action_set(x).anchor": (rows.anchor, (d,)),
    }
    shapes |= {
        "margin(x)": (jax.eval_shape(system.margin, x), ()),
        "violation(x)": (jax.eval_shape(system.violation, x), ()),
    }
    for name, (value, shape) in shapes.items():
        must = f"`{name}` must have shape {shape} and be floating-point" + (
            f", {x.dtype} like the state" if name != "violation(x)" else ""
        )
        kept = value.dtype == x.dtype or (
            name == "violation(x)" and jnp.issubdtype(value.dtype, jnp.floating)
        )
        require(
            value.shape == shape and kept,
            must,
            f"it has shape {value.shape} and is {value.dtype}",
            "Follow the dtype of x; batching is jax.vmap's job.",
        )


def _check_initial_states(system: System, count: int, seed: int) -> np.ndarray:
    """Initial states, shape (count, n); and all functions of the system traced twice, for one state
    and for all of them.
    """

    def everything(key):
        x = system.sample_initial(key)
        rows = system.safe_action_set(x)
        rows = {"safe_action_set(x).A": rows.A, "safe_action_set(x).b": rows.b}
        return {
            "sample_initial(key)": x,
            **rows,
            "margin(x)": system.margin(x),
            "violation(x)": system.violation(x),
        }

    keys = jax.random.split(jax.random.PRNGKey(seed), count)
    single, batched = jax.device_get(
        (jax.jit(everything)(keys[0]), jax.jit(jax.vmap(everything))(keys))
    )
    for name, value in single.items():
        other = batched[name][0]
        scale = 1 + np.abs(value).max(initial=0, where=np.isfinite(value))
        must = (
            f"`{name}` must be a function of its argument, traced once or again, batched by "
            "jax.vmap or not"
        )
        found = f"for one state it is {in_words(value)} and {in_words(other)}"
        require(
            np.allclose(value, other, rtol=1e-4, atol=1e-4 * scale),
            must,
            found,
            "Write it in jax.numpy, as a pure function of unbatched arrays.",
        )
    start = batched["sample_initial(key)"]
    require_all(
        np.isfinite(start).all(axis=1),
        "`sample_initial` must return finite states",
        "Look at its random numbers.",
        state=start,
    )
    return start


def _measure(system: System) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """x (N, n) -> margins (N,), computed in float64, and violations (N,), in the dtype of x."""
    margin, violation = jax.jit(jax.vmap(system.margin)), jax.jit(jax.vmap(system.violation))

    def measure(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        violated = np.asarray(violation(x))
        with jax.enable_x64():
            return np.asarray(margin(jnp.asarray(x, jnp.float64))), violated

    return measure


def _states(
    system: System,
    measure: Callable,
    start: np.ndarray,
    moving: Sequence[bool] | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """States of the set: half of the samples, the others moved along random directions to the
    boundary up to `_ROUNDING` / 10, and vertices.
    """
    half = len(start) // 2
    free = np.ones(start.shape[1], bool) if moving is None else np.asarray(moving, bool)
    spread = np.where(free, start.std(axis=0) + 1e-6 * np.abs(start).max(axis=0) + 1e-12, 0.0)
    direction = spread * rng.normal(size=(half, start.shape[1]))

    def at(distance):
        return (start[:half] + distance[:, None] * direction).astype(start.dtype)

    # Twice as far until outside, then bisection of the last interval. A direction without a
    # boundary leaves its sample where it is.
    inside, outside = np.zeros(half), np.full(half, np.inf)
    distance = np.full(half, 1e-2)
    for _ in range(60):
        left = ~(measure(at(distance))[0] >= _ROUNDING / 10)
        inside, outside = np.where(left, inside, distance), np.where(left, distance, outside)
        distance = np.where(np.isfinite(outside), (inside + outside) / 2, 2 * distance)
    boundary = at(np.where(np.isfinite(outside), inside, 0.0))

    S = getattr(system, "safe_state_set", None)
    if not isinstance(S, Polytope):
        return np.concatenate([start[half:], boundary]), 0
    vertices = rng.permutation(S.vertices())[: len(start)]
    middle = S.vertices().mean(axis=0)
    corners = (middle + (1 - 1e-5) * (vertices - middle)).astype(start.dtype)
    # Far from the origin float32 may put a corner outside.
    corners = corners[measure(corners)[0] >= 0]
    return np.concatenate([start[half:], boundary, corners]), len(corners)


def _check_set(
    system: System, measure: Callable, x: np.ndarray, start: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """The margins and the constraints of the states x, all of them inside, and of the initial
    states `start`.
    """
    nudged = np.nextafter(start, (start + rng.choice([-1, 1], start.shape)).astype(start.dtype))
    initial, rounded = measure(start)[0], measure(nudged)[0]
    must = (
        "Initial states must lie in the safe set, so far inside that the rounding of a component "
        "cannot leave it"
    )
    require_all(
        np.minimum(initial, rounded) >= 0,
        must,
        "Shrink what `sample_initial` draws from.",
        state=start,
        margin=initial,
        after_a_rounding=rounded,
    )

    margin, violation = measure(x)
    require_all(
        violation == 0,
        "The safe set must satisfy the constraints, `violation` 0 inside",
        "Shrink the safe set.",
        state=x,
        margin=margin,
    )
    require_all(
        margin <= 1 + _ROUNDING,
        "`margin` must be at most 1, its value at the centre",
        "Divide by the margin at the centre.",
        state=x,
        margin=margin,
    )
    unknown = np.where(np.eye(x.shape[1], dtype=bool), np.nan, start[:1]).astype(x.dtype)
    outside, violated = measure(unknown)
    require_all(
        ~(outside >= 0),
        "`margin` of a NaN state must not be >= 0",
        "Let NaN pass: jnp.minimum does, jnp.nanmin does not.",
        state=unknown,
        margin=outside,
    )
    require_all(
        violated == 1,
        "`violation` of a NaN state must be 1",
        "Write 1 - (margin >= 0), not (margin < 0).",
        state=unknown,
        violation=violated,
    )

    findings = {
        "least margin of an initial state": initial.min(),
        "least margin of a state": margin.min(),
    }
    if (S := getattr(system, "safe_state_set", None)) is not None and hasattr(S, "halfspaces"):
        center = np.asarray(getattr(system, "center", np.zeros(S.dim)))
        findings["largest error of the margin"] = _check_margin(
            S, center, np.concatenate([x, center + 1.5 * (x - center)]), measure
        )
    return findings


def _check_margin(S: Any, center: np.ndarray, x: np.ndarray, measure: Callable) -> float:
    """Against the half-spaces of the safe set, in the scale where its centre has 1."""
    H, h = (np.asarray(value, np.float64) for value in S.halfspaces())
    room = h - H @ center
    expected, found = ((room - (x - center) @ H.T) / room).min(axis=1), measure(x)[0]
    error = np.abs(found - expected) / (1 + np.abs(expected))
    must = (
        "`margin` must be the least slack of the half-spaces of `safe_state_set`, divided by that "
        "at its centre"
    )
    require_all(
        error <= _ROUNDING,
        must,
        "Use `safe_state_set.margin`.",
        state=x,
        expected=expected,
        margin=found,
    )
    return float(error.max())
