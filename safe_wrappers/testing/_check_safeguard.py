"""The contract of a safeguard."""

from collections.abc import Sequence

import jax
import numpy as np

from .._margins import tau
from ..safe_actions import SafeActionSet
from ..safeguards import BoundaryProjection, Replacement, Safeguard, SafeguardOutput
from ._action_sets import harsh_sets, product, random_sets
from ._check_report import CheckReport, in_words, require, require_all
from ._derivatives import Evaluator, check_gradient_rule

_BUILD = (
    "Build on `Safeguard` and give `project` alone: the call around it verifies every action and "
    "sets the flags."
)
# Half the distance between two requests about the interior point of a random set, whose rows are at
# least twice as far away.
_NUDGE = 0.01
# Of a difference between two safe requests, at least this much must reach the executed actions.
_INFLUENCE = 1e-3


def check_safeguard(
    safeguard: Safeguard,
    *,
    action_sizes: Sequence[int] = (1, 2, 4),
    sets: int = 1024,
    keeps_safe_requests: bool | None = None,
    seed: int = 0,
) -> CheckReport:
    """Checks what a safeguard promises, on random safe action sets and on harsh ones that break
    solvers: a test, not a proof.

    1. Whatever is requested (NaN, infinite and oversized actions included), the executed action
       lies in the action box and, counted in float64, satisfies every row, or is the anchor where
       that does not either. Sets with an interior are never called infeasible, and there no finite
       request makes it fall back to the anchor.
    2. The flags, the distance and the sanitised request are true.
    3. The request has a say: two safe requests do not lead to the same action. If promised, safe
       requests are returned bit for bit.
    4. Derivatives w.r.t. the action and the rows are finite everywhere. On random sets forward and
       reverse mode agree, if the gradient rule has a forward mode; with gradient="exact" they are
       those of central differences in float64, off kinks; with another rule the value is that of
       "exact", and the derivatives are what the rule says.
    5. It is a function: called again, compiled by jax.jit and batched by jax.vmap it gives the
       same.

    Args:
        safeguard: The safeguard to check.
        action_sizes: Numbers of actions d to try.
        sets: Number of safe action sets for each, half of them harsh.
        keeps_safe_requests: Whether it promises to return safe requests bit for bit. Default:
            whether it is a `BoundaryProjection` or a `Replacement`.
        seed: Random seed of all samples.

    Returns:
        The numbers that were found, for each d.

    Raises:
        ContractError: An AssertionError, on the first of these that does not hold.

    Example:
        >>> report = check_safeguard(Replacement(), action_sizes=(1,))
        >>> report.findings["d = 1: greatest violation of a row"] <= 0
        True
    """
    require(
        isinstance(safeguard, Safeguard),
        "`safeguard` must be built on `Safeguard`",
        f"it is {safeguard!r}",
        "Subclass it and give `project`.",
    )
    keeps = (
        isinstance(safeguard, BoundaryProjection | Replacement)
        if keeps_safe_requests is None
        else keeps_safe_requests
    )
    findings, unchecked = {}, []
    for d in action_sizes:
        found, missing = _check(safeguard, d, sets // 2, keeps, np.random.default_rng(seed + d))
        findings |= {f"d = {d}: {name}": value for name, value in found.items()}
        unchecked += [f"d = {d}: {reason}" for reason in missing]
    return CheckReport(type(safeguard).__name__, findings, tuple(unchecked))


def _check(
    safeguard: Safeguard, d: int, half: int, keeps: bool, rng: np.random.Generator
) -> tuple[dict[str, float], list[str]]:
    """All checks for d actions, on `half` random sets and as many harsh ones."""
    rows = 8 + 2 * d
    A, b, a, inner = random_sets(rng, half, d, rows)
    A, b, a = (
        np.concatenate(pair).astype(np.float32)
        for pair in zip((A, b, a), harsh_sets(rng, half, d, rows)[:3], strict=True)
    )
    anchor = np.asarray(jax.jit(jax.vmap(lambda A, b: SafeActionSet.from_rows(A, b).anchor))(A, b))
    evaluate = Evaluator(safeguard, A.shape, rng)

    greatest, fallbacks, kept, outputs = -np.inf, 0, [], []
    requests = _tame(a, rng), _unruly(a, rng)
    for request in requests:
        found = evaluate(A, b, anchor, request)
        violation, same = _check_output(A, b, anchor, request, found.output, half, keeps)
        evaluate.check(A, b, request, found, half)
        greatest, kept, outputs = max(greatest, violation), [*kept, same], [*outputs, found.output]
        fallbacks += int(
            np.sum(found.output.fallback & found.output.feasible & np.isfinite(request).all(axis=1))
        )
    _check_influence(evaluate, A[:half], b[:half], anchor[:half], inner, rng)
    _check_function(
        safeguard,
        A[0],
        b[0],
        anchor[0],
        requests[0][0],
        jax.tree.map(lambda value: value[0], outputs[0]),
    )

    findings = {
        "sets": 2 * half,
        "greatest violation of a row": greatest,
        "fallbacks where an action is safe": fallbacks,
        "share of safe requests kept bit for bit": np.concatenate(kept).mean(),
    }
    findings |= check_gradient_rule(safeguard, A[:half], b[:half], anchor[:half], a[:half], rng)
    return findings, [] if evaluate.has_forward_mode else [
        f'forward mode, which gradient="{safeguard.rule.name}" has not'
    ]


def _tame(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Requests in the box: inside, on its faces, in its corners, at 0 and near it."""
    kind = np.arange(len(a))[:, None] % 8
    tiny = a * 10.0 ** rng.uniform(-40, -5, (len(a), 1))
    return np.select(
        [kind == 1, kind == 2, kind == 3, kind == 4],
        [np.clip(3 * a, -1, 1), np.sign(a), 0 * a, tiny],
        a,
    ).astype(np.float32)


def _unruly(a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Requests that are infinite, NaN or oversized, by one rounding or by much, in one component or
    more.
    """
    values = np.array(
        [np.nan, np.inf, -np.inf, 1e30, -1e30, 3, np.nextafter(np.float32(1), np.float32(2))],
        np.float32,
    )
    where = rng.random(a.shape) < 0.5
    where[np.arange(len(a)), rng.integers(a.shape[1], size=len(a))] = True
    return np.where(where, values[np.arange(len(a)) % len(values), None], a).astype(np.float32)


def _check_output(
    A: np.ndarray,
    b: np.ndarray,
    anchor: np.ndarray,
    request: np.ndarray,
    output: SafeguardOutput,
    random: int,
    keeps: bool,
) -> tuple[float, np.ndarray]:
    """Checks a batch of outputs, the first `random` on sets with an interior.

    Returns:
        By how much the worst row is violated where the anchor is safe, and which of the clearly
        safe requests came back bit for bit.
    """

    def ask(holds, must, instead=_BUILD, **more):
        require_all(holds, must, instead, A=A, b=b, request=request, action=output.action, **more)

    clear = tau(A.shape[2], A.dtype)
    interior = np.arange(len(A)) < random
    action, anchor = np.asarray(output.action), np.clip(anchor, -1, 1)
    finite = np.all(np.isfinite(request), axis=-1, keepdims=True)[:, 0]
    known = np.where(finite[:, None], request, 0)
    boxed = finite & (np.abs(known) <= 1).all(axis=1)
    excess = (product(A.astype(np.float64), known) - b).max(axis=1)
    clearly_safe, unsafe = boxed & (excess <= -clear), ~boxed | (excess > 0)

    ask((np.abs(action) <= 1).all(axis=1), "The executed action must lie in the action box")
    ask(
        output.feasible | ~interior,
        "A safe action set with an interior must be called feasible",
        anchor=anchor,
    )
    violation, at_anchor = (
        (product(A.astype(np.float64), action) - b).max(axis=1),
        (action == anchor).all(axis=1),
    )
    must = "The executed action must satisfy every row, or be the anchor where that does not either"
    ask((violation <= 0) | (at_anchor & ~output.feasible), must, violation=violation, anchor=anchor)
    must = "On a set with an interior no finite request must need the fallback to the anchor"
    ask(
        ~(output.fallback & finite & interior),
        must,
        "Aim `project` at the rows tightened by tau, up to rounding.",
    )

    sanitised = np.where(finite[:, None], np.clip(request, -1, 1), anchor)
    ask(
        (output.requested == sanitised).all(axis=1),
        "`requested` must be the request clipped to the box, or the anchor if it is not finite",
    )
    flagged = np.where(output.intervened, ~clearly_safe, ~unsafe)
    ask(
        flagged,
        "`intervened` must be set exactly for requests outside the safe action set",
        intervened=output.intervened,
        excess=excess,
    )
    ask(
        output.changed == (_flushed(action) != _flushed(request)).any(axis=1),
        "`changed` must tell whether another action is executed",
        changed=output.changed,
    )
    distance = np.linalg.norm(action.astype(np.float64) - output.requested, axis=1)
    ask(
        np.abs(output.distance - distance) <= 1e-6 * (1 + distance),
        "`distance` must be |action - requested|",
        distance=output.distance,
    )
    fallback = np.where(finite, at_anchor | ~output.fallback, output.fallback)
    ask(
        fallback,
        "`fallback` must mean the anchor or a request that is not finite",
        fallback=output.fallback,
        anchor=anchor,
    )
    same = (action.view(np.uint32) == request.view(np.uint32)).all(axis=1)
    if keeps:
        ask(
            same | ~clearly_safe,
            "A safe request must be returned bit for bit, as was promised",
            "Select it: `jnp.where(accepted, request, ...)`.",
        )
    return float(violation[output.feasible].max()), same[clearly_safe]


def _flushed(value: np.ndarray) -> np.ndarray:
    """Subnormal numbers compare equal to 0 in compiled code."""
    return np.where(np.abs(value) < np.finfo(value.dtype).tiny, 0, value)


def _check_influence(
    evaluate: Evaluator,
    A: np.ndarray,
    b: np.ndarray,
    anchor: np.ndarray,
    inner: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Of two safe requests on each set, in one batch of the size that is compiled already."""
    direction = rng.normal(size=inner.shape)
    direction *= _NUDGE / np.linalg.norm(direction, axis=1, keepdims=True)
    requests = np.concatenate([inner + direction, inner - direction]).astype(np.float32)
    twice = [np.concatenate([part, part]) for part in (A, b, anchor)]
    first, second = np.split(evaluate(twice[0], twice[1], twice[2], requests).output.action, 2)
    gap = np.linalg.norm(first - second, axis=1)
    must = (
        f"Of a difference between two safe requests, at least {_INFLUENCE:g} must reach the "
        "executed actions, on nine sets of ten"
    )
    shown = {
        "A": A,
        "b": b,
        "request": requests[: len(A)],
        "other_request": requests[len(A) :],
        "action": first,
        "other_action": second,
    }
    follows = gap >= _INFLUENCE * 2 * _NUDGE
    instead = (
        "A map that ignores the request is safe and of no use: nothing can be learned behind it."
    )
    require_all(follows | (follows.mean() > 0.9), must, instead, **shown)


def _check_function(
    safeguard: Safeguard,
    A: np.ndarray,
    b: np.ndarray,
    anchor: np.ndarray,
    request: np.ndarray,
    batched: SafeguardOutput,
) -> None:
    """One call without compilation, twice, against the batch."""
    rows, offsets, member = map(jax.numpy.asarray, (A, b, anchor))
    action_set = SafeActionSet(rows, offsets, member)
    first, second = (
        jax.device_get(safeguard(action_set, jax.numpy.asarray(request))) for _ in range(2)
    )
    for name, one, again, compiled in zip(
        SafeguardOutput._fields, first, second, batched, strict=True
    ):
        must = f"`{name}` must be a function of the safe action set and the request"
        found = (
            f"two calls for A = {in_words(A)}, b = {in_words(b)} and the request "
            f"{in_words(request)} give {in_words(one)} and {in_words(again)}"
        )
        require(
            np.array_equal(one, again), must, found, "Draw nothing at random and keep no state."
        )
        must, found = (
            f"`{name}` must be the same with and without jax.jit and jax.vmap",
            f"it is {in_words(one)} without and {in_words(compiled)} with them",
        )
        require(
            np.allclose(one, compiled, rtol=1e-4, atol=1e-5),
            must,
            found,
            "Write `project` in jax.numpy, as a pure function of unbatched arrays.",
        )
