"""What is promised: model, S, X, W, sigma and eps, in units and with the names of the states."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..certificates import Certificate, Claim
from ..envs import SafeSeeker
from ..models import Model
from ..plots import safe_set
from ..sets import Box, Polytope
from ._finding import Picture, Table, drawn, values


class Promise(NamedTuple):
    """What is promised of a system.

    Attributes:
        text: In plain words.
        tables: The numbers, in the units of the model.
        data: The same for programs.
        picture: The safe set, or None where it cannot be drawn.
    """

    text: str
    tables: tuple[Table, ...]
    data: dict[str, Any]
    picture: Picture | None


def promise_of(env: Any, claim: Claim | None, certificate: Certificate | None) -> Promise:
    """What is promised of an environment whose system has this claim, if it has one."""
    if claim is not None:
        return _of_claim(claim, certificate)
    if isinstance(env, SafeSeeker):
        return _of_seeker(env)
    return Promise(
        "There is no claim: nothing says in numbers which states are safe, which disturbances are "
        "allowed for, or why the safe actions of a state are safe.",
        (),
        {"claim": None},
        None,
    )


def _of_claim(claim: Claim, certificate: Certificate | None) -> Promise:
    model = claim.model
    text = (
        "For every state in the safe set S, whatever action is asked for and whichever disturbance "
        "in W acts, the safeguard executes an action after which the state is in S again. S lies "
        "in X, the states that are allowed."
    )
    named = f"the certificate {certificate.name!r}" if certificate is not None else "the claim"
    about = [
        ("model", model.name),
        ("facets of S", f"{len(claim.safe_state_set.H):,}"),
        (
            "sigma, the margin that the proof must leave at every facet",
            f"{claim.sigma:.3g} of the way from the centre of S to the facet",
        ),
        (
            "eps, what float32 rounding may use of it",
            f"{_span(claim.eps)} in the same scale",
        ),
        *(
            [("blocks of states, each proved by itself", f"{len(claim.blocks)}")]
            if claim.blocks
            else []
        ),
        *((f"parameter {name}", f"{value:g} (SI units)") for name, value in _sorted(model)),
    ]
    tables = (
        _states(claim),
        _inputs(model, claim.disturbance_set),
        values("Numbers of the promise", named, about),
    )
    data = {
        "claim": claim.numbers(),
        "model": model.name,
        "parameters": dict(_sorted(model)),
        "states": list(model.state_labels),
        "actions": list(model.action_labels),
        "certificate": None if certificate is None else certificate.name,
        "digest": claim.digest,
        "program": claim.program,
    }
    return Promise(text, tables, data, _picture(claim))


def _states(claim: Claim) -> Table:
    S, axes = claim.safe_state_set, np.eye(claim.model.state_size)
    reach = [(-S.support(-axis), S.support(axis)) for axis in axes]
    allowed = _allowed(claim.constraint_set, len(axes))
    rows = []
    for i, (low, high) in enumerate(reach):
        half = (high - low) / 2
        rows.append(
            (
                claim.model.state_labels[i],
                _range(low, high),
                allowed[i],
                f"{claim.center[i]:.4g}",
                f"{claim.sigma * half:.2g}",
                f"{claim.eps.max() * half:.2g}",
            )
        )
    columns = ("state", "S reaches", "X allows", "centre of S", "sigma here", "eps here")
    return Table("States, in their units", columns, tuple(rows), "the claim")


def _inputs(model: Model, W: Box) -> Table:
    box = model.action_box
    rows = [
        (label, "action", _range(float(low), float(high)))
        for label, low, high in zip(model.action_labels, box.lower, box.upper, strict=True)
    ]
    rows += [
        (f"disturbance {i + 1}", "disturbance, W", _range(float(low), float(high)))
        for i, (low, high) in enumerate(zip(W.lower, W.upper, strict=True))
    ]
    columns = ("input", "kind", "range")
    return Table("Actions and disturbances", columns, tuple(rows), "the model, and W")


def _of_seeker(env: SafeSeeker) -> Promise:
    W = env.disturbance_set
    text = (
        "A point never enters an obstacle and never leaves the walls, whatever action is asked for "
        "and whichever disturbance in W acts. Safe are all positions outside the obstacles and "
        "inside the walls, so that S and X are the same. There is no certificate: a lemma in the "
        "source file of the environment shows it for all layouts that a reset draws."
    )
    tables = (_inputs(env.model, W),)
    data = {
        "claim": None,
        "model": env.model.name,
        "parameters": dict(_sorted(env.model)),
        "disturbance_set": [np.asarray(bound, float).tolist() for bound in (W.lower, W.upper)],
    }
    return Promise(text, tables, data, None)


def _allowed(X: Box | Polytope, n: int) -> Sequence[str]:
    if isinstance(X, Box):
        return [_range(float(low), float(high)) for low, high in zip(X.lower, X.upper, strict=True)]
    return [f"{len(X.H)} half-spaces"] * n


def _range(low: float, high: float) -> str:
    if not np.isfinite([low, high]).any():
        return "no limit"
    return f"{low:.4g} to {high:.4g}"


def _span(numbers: np.ndarray) -> str:
    low, high = f"{numbers.min():.3g}", f"{numbers.max():.3g}"
    return low if low == high else f"{low} to {high}"


def _sorted(model: Model) -> list[tuple[str, float]]:
    return sorted((name, float(value)) for name, value in model.parameters.items())


def _picture(claim: Claim) -> Picture | None:
    if claim.model.state_size < 2:
        return None
    shown = "" if claim.model.state_size == 2 else ", projected onto pairs of states"
    caption = f"The safe set S (blue) and the limits X (dotted){shown}."
    return drawn(safe_set(claim), caption)
