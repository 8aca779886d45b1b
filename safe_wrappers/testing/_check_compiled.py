"""Does what the compiler made of the library compute what it should, on this machine?"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs

from .._gate import as_integer, instance_of
from ..certificates import Claim
from ..certificates._intervals import Interval
from ..certificates._rows import RowBounds
from ..models import Commanded
from ..safe_actions import ModelSystem, System
from ..safeguards import BoundaryProjection, Safeguard, safe_unit_action
from ..wrappers import SafeguardWrapper
from ._check_report import CheckReport, require_all
from ._known_defect import check_known_defect

# Facets x batch from which an XLA compiler was seen to compute wrong rows (jaxlib 0.10.2 on CPUs,
# above 32,768), with room to spare.
_ENTRIES = 2**17
_SMALLEST = 4096
_FEW = 16  # states of the small batches: another program, whose results must be the same
_NEAR = 1e-6  # how far from the boundary half of the states are, in the scale of the margin
_SAME = 1e-4  # by how much actions of two correct programs may differ, in [-1, 1]
_INSTEAD = (
    "The compiler or the hardware computes something else than the program says, so that nothing "
    "is guaranteed here: use another version of jax and jaxlib, another device or another batch "
    "size, and report it."
)


class _Batch(NamedTuple):
    """States, requests, and what the compiled programs make of them.

    Attributes:
        x: States of S, shape (N, n), float32.
        request: Requested actions, shape (N, d).
        A: Compiled rows of the safe action sets, shape (N, m, d).
        b: Their bounds, shape (N, m).
        action: Executed actions, shape (N, d).
        feasible: Whether a safe action was found, shape (N,).
    """

    x: np.ndarray
    request: np.ndarray
    A: np.ndarray
    b: np.ndarray
    action: np.ndarray
    feasible: np.ndarray


def check_compiled(
    subject: Any,
    batch_size: int | None = None,
    *,
    safeguard: Safeguard | None = None,
    seed: int = 0,
) -> CheckReport:
    """Compares what is compiled on this machine, by this version of JAX and for this batch size,
    with NumPy in float64: the guarantee assumes that compiler and hardware compute float32 as
    specified, and at least one released compiler did not (jaxlib 0.10.2 on CPUs, where the number
    of facets times the batch size exceeds 32,768).

    1. A small program that jaxlib 0.10.2 computes wrong.
    2. Rows of the safe action sets: the same as those of the model's program in NumPy, in interval
       arithmetic, up to the claim's rounding allowance.
    3. Executed actions: in the action box, and for every disturbance in W the next state is in S,
       by NumPy; a safe action is found at every state, if the safe set is proved.
    4. Steps of the environment, if one is given that steps the model itself: the states that are
       reached lie in S, and are the model's up to the rounding allowance, by NumPy.
    5. The same rows without `jit`, operation by operation, which are many other programs.
    6. The same actions in batches of 16, which are another program.

    For systems that are not a `ModelSystem` only 1, 5 and 6 are checked. For sets in virtual
    inputs, whose rows are not those of the facets, all but 2 are.

    Args:
        subject: A `SafeguardWrapper`, a bundled environment, another one with a `system`, or a
            system.
        batch_size: How many states are computed at once: use what your training uses. Default:
            as many as make facets times batch at least 131,072, and at least 4,096.
        safeguard: What is tried where `subject` has none. Default: boundary projection.
        seed: Random seed of states and requests.

    Returns:
        The numbers that were found.

    Raises:
        ContractError: An AssertionError, on the first of these that does not hold.

    Example:
        >>> report = check_compiled(envs.SafePendulum(safe_set="narrow"))
        >>> bool(report.findings["largest error of a row, of its allowance"] < 1)
        True
    """
    system, env, guard = _parts(subject, safeguard)
    facets = jax.eval_shape(
        system.safe_action_set, jax.eval_shape(system.sample_initial, jax.random.PRNGKey(0))
    ).b.shape[0]
    size = max(_SMALLEST, -(-_ENTRIES // max(facets, 1))) if batch_size is None else batch_size
    size = as_integer("batch_size", size, 1)
    findings: dict[str, float] = {"states": size, "facets x states": facets * size}
    findings |= check_known_defect(_INSTEAD)
    batch = _compiled(system, guard, size, seed)
    unchecked = []
    if not isinstance(system, ModelSystem):
        unchecked.append(f"rows and next states: `{type(system).__name__}` has no claim")
    else:
        claim = system.claim
        bounds = RowBounds(
            claim.model, claim.safe_state_set, claim.disturbance_set, np.asarray(claim.center)
        )
        if claim.virtual is None:
            findings |= _check_rows(claim, bounds, batch)
        else:
            unchecked.append("rows in NumPy: in virtual inputs they are not those of the facets")
        proved = system.guarantee.status != "tested"
        if not proved:
            unchecked.append("that a safe action is found at every state: the set is not proved")
        findings |= _check_actions(system, bounds, batch, proved)
        if env is None or env.backend != "closed_form":
            unchecked.append("steps: no environment that steps the model itself was given")
        else:
            findings |= _check_steps(system, bounds, env, batch, seed)
    findings |= _check_eager_rows(system, batch)
    findings |= _check_small_batches(system, guard, batch)
    return CheckReport(f"The compiled program of {type(system).__name__}", findings, (*unchecked,))


def _parts(subject: Any, safeguard: Safeguard | None) -> tuple[System, envs.Env | None, Safeguard]:
    """The system, the safeguarded environment if there is one, and the safeguard."""
    if safeguard is not None:
        instance_of("safeguard", safeguard, Safeguard)
    if isinstance(subject, SafeguardWrapper):
        return subject.system, subject, subject.safeguard
    guard = safeguard or BoundaryProjection()
    if isinstance(subject, envs.Env) and hasattr(subject, "system"):
        return subject.system, SafeguardWrapper(subject, guard), guard  # pyright: ignore[reportAttributeAccessIssue]
    if not hasattr(subject, "safe_action_set"):
        raise TypeError(
            f"`subject` is a `{type(subject).__name__}`, but it must be a `SafeguardWrapper`, an "
            "environment with a `system`, or a system."
        )
    return subject, None, guard  # pyright: ignore[reportReturnType]


def _compiled(system: System, guard: Safeguard, size: int, seed: int) -> _Batch:
    keys = jax.random.split(jax.random.PRNGKey(seed), size)
    x = np.asarray(jax.jit(jax.vmap(system.sample_initial))(keys))
    if isinstance(system, ModelSystem):
        x = _near_the_boundary(system.claim, x)
    rng = np.random.default_rng(seed)
    request = rng.uniform(-1, 1, (size, system.action_size))
    request = np.where(rng.uniform(size=(size, 1)) < 0.5, np.sign(request), request)
    request = request.astype(np.float32)
    rows = jax.jit(jax.vmap(system.safe_action_set))(x)
    output = _protect(system, guard)(x, request)
    return _Batch(
        x,
        request,
        np.asarray(rows.A, np.float64),
        np.asarray(rows.b, np.float64),
        np.asarray(output.action),
        np.asarray(output.feasible),
    )


def _protect(system: System, guard: Safeguard) -> Any:
    return jax.jit(jax.vmap(lambda x, request: safe_unit_action(system, guard, x, request)))


def _near_the_boundary(claim: Claim, x: np.ndarray) -> np.ndarray:
    """The states, half of them moved outwards to just inside the boundary of S; those that float32
    rounds out of S stay where they were.
    """
    center, F = np.asarray(claim.center, np.float64), np.asarray(claim.safe_state_set.H, np.float64)
    h = np.asarray(claim.safe_state_set.h, np.float64)
    from_center = x.astype(np.float64) - center
    used = (from_center @ F.T / (h - F @ center)).max(axis=1, keepdims=True)
    moved = (center + from_center / used * (1 - _NEAR)).astype(np.float32)
    inside = (moved.astype(np.float64) @ F.T <= h).all(axis=1)
    return np.where((inside & (np.arange(len(x)) % 2 == 0))[:, None], moved, x)


def _check_rows(claim: Claim, bounds: RowBounds, batch: _Batch) -> dict[str, float]:
    A, b = bounds.rows(bounds.from_center(batch.x.T.astype(np.float64)))
    eps = np.asarray(claim.eps, np.float64)[:, None]
    # What a row may be off by at any action of the box.
    error = np.abs(np.moveaxis(batch.A, 0, -1) - A.middle).sum(axis=1)
    error = error + np.abs(batch.b.T + eps - b.middle)
    known = 0.5 * (A.hi - A.lo).sum(axis=1) + 0.5 * (b.hi - b.lo)
    share = ((error - known) / eps).max(axis=0)
    require_all(
        share <= 1,
        "The compiled rows of a safe action set must be those of the model's program, up to the "
        "rounding allowance",
        _INSTEAD,
        state=batch.x,
        error_in_allowances=share,
    )
    return {"largest error of a row, of its allowance": float(share.max())}


def _of_actuators(system: ModelSystem, x: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The plant's actions in [-1, 1]^d that are executed, (N, d), float64."""
    model = system.model
    if isinstance(model, Commanded):
        action = np.asarray(jax.jit(jax.vmap(model.executed))(x, action))
    return action.astype(np.float64)


def _check_actions(
    system: ModelSystem, bounds: RowBounds, batch: _Batch, proved: bool
) -> dict[str, float]:
    action = _of_actuators(system, batch.x, batch.action)
    require_all(
        np.isfinite(action).all(axis=1) & (np.abs(batch.action) <= 1).all(axis=1),
        "An executed action must be finite and in the action box",
        _INSTEAD,
        state=batch.x,
        action=batch.action,
    )
    require_all(
        batch.feasible | (not proved),
        "A safe action must be found at every state of the safe set",
        _INSTEAD,
        state=batch.x,
        request=batch.request,
    )
    y = bounds.from_center(batch.x.T.astype(np.float64))
    value = bounds.project(bounds.enclosure.value(y, Interval.point(action.T)))
    margin = (bounds.room.lo[:, None] - (value.hi + bounds.disturbed(y))).min(axis=0)
    require_all(
        (margin >= 0) | ~batch.feasible,
        "The next state must lie in the safe set for every disturbance in W",
        _INSTEAD,
        state=batch.x,
        request=batch.request,
        action=batch.action,
        margin=margin,
    )
    return {"least margin of a next state": float(margin.min(where=batch.feasible, initial=np.inf))}


def _check_steps(
    system: ModelSystem, bounds: RowBounds, env: Any, batch: _Batch, seed: int
) -> dict[str, float]:
    claim = system.claim
    keys = jax.random.split(jax.random.PRNGKey(seed), len(batch.x))

    @jax.jit
    @jax.vmap
    def step(x: jax.Array, key: jax.Array, request: jax.Array) -> tuple[jax.Array, Any]:
        after = env.step(env.reset_to(x, key), request)
        return env.system.state(after), after.info

    reached, info = step(batch.x, keys, batch.request)
    action = _of_actuators(system, batch.x, np.asarray(info["safeguard"]["action"]))
    reached = np.asarray(reached)
    y = bounds.from_center(batch.x.T.astype(np.float64))
    lower, upper = (
        np.asarray(end, np.float64)
        for end in (claim.disturbance_set.lower, claim.disturbance_set.upper)
    )
    push = bounds.project(bounds.enclosure.disturbance_matrix(y))
    away = (np.asarray(info["disturbance"], np.float64) - 0.5 * (lower + upper)).T
    value = bounds.project(bounds.enclosure.value(y, Interval.point(action.T)))
    expected = value.middle + (push.middle * away).sum(axis=1)
    found = bounds.F @ (reached.astype(np.float64) - np.asarray(claim.center, np.float64)).T
    known = 0.5 * (value.hi - value.lo) + (0.5 * (push.hi - push.lo) * np.abs(away)).sum(axis=1)
    eps = np.asarray(claim.eps, np.float64)[:, None]
    share = ((np.abs(found - expected) - known) / eps).max(axis=0)
    margin = (bounds.room.lo[:, None] - found).min(axis=0)
    shown = {
        "state": batch.x,
        "action": action,
        "disturbance": np.asarray(info["disturbance"]),
        "next_state": reached,
    }
    require_all(
        share <= 1,
        "A step of the environment must be the model's, up to the rounding allowance",
        _INSTEAD,
        **shown,
        error_in_allowances=share,
    )
    require_all(
        margin >= 0,
        "The state that a step of the environment reaches must lie in the safe set",
        _INSTEAD,
        **shown,
        margin=margin,
    )
    return {
        "largest error of a step, of its allowance": float(share.max()),
        "least margin of a step": float(margin.min()),
    }


def _check_eager_rows(system: System, batch: _Batch) -> dict[str, float]:
    rows = jax.vmap(system.safe_action_set)(jnp.asarray(batch.x))
    A, b = np.asarray(rows.A, np.float64), np.asarray(rows.b, np.float64)
    # By how much b - A a differs for some a in the action box, of its size.
    error = np.abs(A - batch.A).sum(axis=2) + np.abs(b - batch.b)
    gap = (error / (1 + np.abs(A).sum(axis=2) + np.abs(b))).max(axis=1, initial=0)
    require_all(
        gap <= _SAME,
        f"Compiled rows must be those of the same operations one by one, up to {_SAME:g}",
        _INSTEAD,
        state=batch.x,
        difference=gap,
    )
    return {"largest difference from rows without jit": float(gap.max())}


def _check_small_batches(system: System, guard: Safeguard, batch: _Batch) -> dict[str, float]:
    protect = _protect(system, guard)
    # From the end and the start, since a wrong row was seen from some position on.
    size = len(batch.x)
    count = min(size, 8 * _FEW)
    picked = np.unique(np.concatenate([np.arange(count // 2), size - 1 - np.arange(count // 2)]))
    picked = np.resize(picked, -(-len(picked) // _FEW) * _FEW).reshape(-1, _FEW)
    few = np.concatenate([protect(batch.x[part], batch.request[part]).action for part in picked])
    gap = np.abs(few - batch.action[picked.ravel()]).max(axis=1)
    require_all(
        gap <= _SAME,
        f"Batches of {_FEW} must give the actions of the whole batch, up to {_SAME:g}",
        _INSTEAD,
        state=batch.x[picked.ravel()],
        action=batch.action[picked.ravel()],
        action_in_a_small_batch=few,
    )
    return {f"largest difference from batches of {_FEW}": float(gap.max())}
