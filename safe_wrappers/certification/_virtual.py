"""Safe sets of plants with many states, block by block in virtual inputs."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import CertificateError, SetDimensionError
from .._one_line import count
from .._status_line import StatusLine
from ..certificates import (
    Block,
    BlockForm,
    Certificate,
    Claim,
    Proof,
    VirtualBlocks,
    are_the_actions,
    prove,
)
from ..certificates._coupling import Coupling, Range, coupling
from ..certificates._virtual_rounding import SPARE, input_allowance
from ..models import InVirtualInputs, Model, useful_inputs
from ..sets import Box, Polytope
from ..synthesis import SynthesisError, equilibrium
from ..synthesis._joint_polygon import polygon_area
from ._authorities import largest_inputs, need
from ._blocks import product
from ._factors import SIGMA, Factor, Limits, factor_of, joint_of
from ._failure import not_proved
from ._split import linear_form, split

# By which factors what rounding needs is enlarged, one after the other, until the proof succeeds.
_CAREFUL = (1.0, 1.5, 2.5)
_INSIDE = 1 - 2e-6
_SAMPLES = 100_000
_NOTHING: dict[Factor | None, str] = {
    None: "No gain",
    "gain": "No gain",
    "polygon": "No polygon",
    "vertices": "No set at whose vertices an input keeps it",
}


class Known(NamedTuple):
    """What is known of a block beforehand.

    Args:
        gain: What keeps it, shape (d_b, n_b). None: it is sought.
        kept: Its form and its facets H of {y : H y <= 1}, if it is to be as it was.
    """

    gain: np.ndarray | None = None
    kept: tuple[BlockForm, np.ndarray] | None = None


class Wanted(NamedTuple):
    """What set of a block is asked for.

    Args:
        kind: Its kind. None: the largest.
        facets: Most facets, None for as many as pay.
    """

    kind: Factor | None = None
    facets: int | None = None


class _Plant(NamedTuple):
    """What a set is sought for."""

    model: Model
    stepped: Model
    X: Box
    V: Box
    W: Box
    center: np.ndarray
    v0: np.ndarray

    @property
    def range(self) -> Range:
        """X x V x W."""
        return Range.of(self.X, self.V, self.W)


def certify_in_virtual_inputs(
    model: Model,
    X: Box,
    W: Box,
    *,
    center: np.ndarray | None,
    inputs: Box | None,
    blocks: Sequence[Block] | None,
    facets: int | None,
    factors: Factor | Sequence[Factor | None] | None = None,
    name: str | None,
    line: StatusLine,
    known: Sequence[Known] | None = None,
) -> Certificate:
    """The certificate of a product set, proved in this process; see `certify` for the arguments.
    `known` has one entry for each of `blocks`, by default nothing.

    Raises:
        SetDimensionError: If X is not bounded or the centre not inside.
        SynthesisError: If no set was found, with the reason.
        NotProved: If the set that was found could not be proved.
    """
    began = time.perf_counter()
    if not np.isfinite([np.asarray(X.lower), np.asarray(X.upper)]).all():
        raise SetDimensionError(
            f"`constraints` must bound every state of `{model.name}` for a set in virtual inputs, "
            f"but they are from {X.lower} to {X.upper}."
        )
    plant = _plant(model, X, W, center, inputs, line)
    parts = tuple(
        split(plant.stepped, X, plant.V, plant.center, model.state_labels)
        if blocks is None
        else blocks
    )
    wanted = [Wanted(kind, facets) for kind in _kinds(factors, parts)]
    line.show(f"{model.name}: the linear forms of {len(parts)} blocks")
    beforehand = [Known()] * len(parts) if known is None else known
    forms = [_form(plant, block, given) for block, given in zip(parts, beforehand, strict=True)]
    exact = [
        coupling(plant.stepped, block, form, plant.center.astype(np.float32), plant.range)
        for block, form in zip(parts, forms, strict=True)
    ]
    for block, form, found in zip(parts, forms, exact, strict=True):
        _require_authority(plant, block, form, found)
    allowance = input_allowance(model, plant.V, X)
    claim, proof, settled = None, None, forms
    for careful in _CAREFUL:
        sets = []
        for index, (block, form, found) in enumerate(zip(parts, settled, exact, strict=True)):
            line.show(f"{model.name}: the set of block {index + 1} of {len(parts)}")
            sets.append(
                beforehand[index].kept
                or _set_of(plant, block, form, found, allowance * careful, careful, wanted[index])
            )
        settled = [form for form, _ in sets]
        claim = _claim(plant, parts, settled, [H for _, H in sets])
        line.show(f"{model.name}: proving the product of {len(parts)} blocks")
        proof = prove(claim)
        if proof.proved:
            break
    assert claim is not None
    assert proof is not None
    if not proof.proved:
        raise not_proved(claim, proof, len(_CAREFUL))
    facts = _metadata(plant, claim, proof)
    shares = " x ".join(f"{part:.3g}" for part in facts["shares"])
    line.leave(
        f"{model.name}: {facts['facets']} facets in {len(parts)} blocks, "
        f"{facts['share_of_constraints']:.1%} of the constraints ({shares}); proved with "
        f"{count(proof.cells, 'cell')}, {time.perf_counter() - began:.0f} s"
    )
    return Certificate(claim, name or model.name, proof=proof, metadata=facts)


def _kinds(
    factors: Factor | Sequence[Factor | None] | None, blocks: Sequence[Block]
) -> list[Factor | None]:
    """The kind of set that is asked for of each block.

    Raises:
        SetDimensionError: If there is not one for each block.
    """
    if factors is None or isinstance(factors, str):
        return [factors] * len(blocks)
    if len(factors) != len(blocks):
        states = [list(block.states) for block in blocks]
        raise SetDimensionError(
            f"`factors` must have one kind for each of the {len(blocks)} blocks, of the states "
            f"{states}, but it has {len(factors)}. Or give one kind for all."
        )
    return list(factors)


def _form(plant: _Plant, block: Block, known: Known) -> BlockForm:
    """The linear form of a block, with its gain if that is known."""
    if known.kept is not None:
        return known.kept[0]
    form = linear_form(plant.stepped, block, plant.center, plant.v0, plant.range)
    return form._replace(K=known.gain)


def _plant(
    model: Model,
    X: Box,
    W: Box,
    center: np.ndarray | None,
    inputs: Box | None,
    line: StatusLine,
) -> _Plant:
    """With V and what holds the plant at the centre."""
    stepped = InVirtualInputs(model).stepped
    middle = (np.asarray(X.lower, np.float64) + X.upper) / 2
    at = middle if center is None else np.asarray(center, np.float64)
    v0, moves = _held(stepped, W, at)
    if center is None and moves > 1e-3:
        at = equilibrium(model, X, W)
        v0, _ = _held(stepped, W, at)
    at = at.astype(np.float32).astype(np.float64)
    if inputs is not None:
        V = inputs
    elif model.virtual is None:
        one = np.ones(model.action_size)
        V = Box(-one, one)
    else:
        line.show(f"{model.name}: what the actuators bring about")
        half = _largest(model, stepped, X, at, v0)
        V = Box(v0 - half, v0 + half)
    lower, upper = (np.asarray(end, np.float32) for end in (V.lower, V.upper))
    return _Plant(model, stepped, X, Box(lower, upper), W, at, v0)


def _held(stepped: Model, W: Box, center: np.ndarray) -> tuple[np.ndarray, float]:
    """The input that holds the centre best, and by how much of 1 a state moves then."""
    with jax.enable_x64():
        x = jnp.asarray(center, jnp.float64)
        form = stepped.affine(x)
        drift = np.asarray(form.c + form.E @ ((np.asarray(W.lower) + W.upper) / 2) - x)
        B = np.asarray(form.B)
    v0 = np.linalg.lstsq(B, -drift, rcond=None)[0]
    v0 = np.where(np.abs(v0) < 1e-9, 0.0, v0).astype(np.float32).astype(np.float64)
    return v0, float(np.max(np.abs(drift + B @ v0)))


def _largest(
    model: Model, stepped: Model, X: Box, center: np.ndarray, v0: np.ndarray
) -> np.ndarray:
    caps = useful_inputs(stepped, center, (np.asarray(X.upper, np.float64) - X.lower) / 2)
    if not np.isfinite(caps).all():
        raise SynthesisError(
            f"Every virtual input of `{model.name}` must move a state, but one moves none at the "
            "centre."
        )
    caps = np.maximum(caps - np.abs(v0), 1e-6 * caps)
    needed = need(model, X, caps)
    found = largest_inputs(needed, caps)
    if found is not None:  # cells that matter for these inputs
        found = largest_inputs(need(model, X, found), caps)
    if found is None:
        largest = needed.offset.max(axis=0)
        names = [
            f"{label} {value:.3g}"
            for label, value in zip(model.action_labels, largest, strict=True)
        ]
        raise SynthesisError(
            f"The actuators of `{model.name}` must hold it everywhere in the constraints, at full "
            f"speed of all states at once, but that alone takes {', '.join(names)} of their limits "
            "(bounds by intervals). Lower the speed limits first, they count the most; or give "
            "stronger actuators."
        )
    return found


def _require_authority(plant: _Plant, block: Block, form: BlockForm, found: Coupling) -> None:
    """Refuses a block whose inputs are weaker than what disturbs it."""
    if len(block.states) > 2:
        return
    half = (np.asarray(plant.V.upper, np.float64) - plant.V.lower)[list(block.actions)] / 2
    reach = np.abs(form.B) @ half
    push = np.array([sum(abs(float(e[i])) for e in found.columns) for i in range(len(reach))])
    weak = np.flatnonzero(push >= reach)
    if len(weak):
        label = plant.model.state_labels[block.states[int(weak[-1])]]
        raise SynthesisError(
            f"In a step the actuators move {label} by up to {reach[weak[-1]]:.3g}, all of them at "
            f"their worst, and disturbances and the other blocks by up to {push[weak[-1]]:.3g}: no "
            "set can be kept. Use stronger actuators, lower speed limits, or a smaller disturbance "
            "set."
        )


def _set_of(
    plant: _Plant,
    block: Block,
    form: BlockForm,
    found: Coupling,
    allowance: np.ndarray,
    careful: float,
    wanted: Wanted,
) -> tuple[BlockForm, np.ndarray]:
    """The form with its gain, and the facets H of {y : H y <= 1}, float32."""
    states, own = list(block.states), list(block.actions)
    below = plant.center[states] - np.asarray(plant.X.lower, np.float64)[states]
    above = np.asarray(plant.X.upper, np.float64)[states] - plant.center[states]
    v0 = form.v0.astype(np.float64)
    inputs = (
        v0 - np.asarray(plant.V.lower, np.float64)[own],
        np.asarray(plant.V.upper, np.float64)[own] - v0,
    )
    # A little inside V, so that rounded facets still say that v lies in it; and as far as the proof
    # keeps the inputs of a block that has several.
    several = len(own) > 1 and not are_the_actions(plant.model, plant.V)
    inside = _INSIDE * (1 - SPARE if several else 1)
    k = np.array([float(v) for v in found.k])
    k = np.where(np.abs(k) < 1e-12, 0.0, k)
    E = (
        np.array([[float(v) for v in column] for column in found.columns])
        .reshape(-1, len(states))
        .T
    )
    E = np.hstack([E, form.B * allowance[own][None]])
    within = (inside * inputs[0], inside * inputs[1])
    limits = Limits(form, k, E, (below, above), within, SIGMA * careful)
    kept = factor_of(limits, wanted.kind, wanted.facets, form.K)
    if kept is not None:
        return kept
    labels = ", ".join(plant.model.state_labels[i] for i in states)
    if wanted.kind == "polygon" and joint_of(form) is None:
        raise SynthesisError(
            f"The block of {labels} has no polygon in closed form: that is for a position and a "
            "speed whose change is a virtual input. Write factors='vertices', or 'gain'."
        )
    rest = ", ".join(f"{v:.3g}" for v in np.abs(E).sum(axis=1))
    raise SynthesisError(
        f"{_NOTHING[wanted.kind]} keeps the block of {labels} in the constraints: in a step "
        "disturbances, what is not linear and the other blocks may move these states by up to "
        f"{rest}. Tighten the constraints of the states that enter nonlinearly, use stronger "
        "actuators, or a smaller disturbance set."
    )


def _claim(
    plant: _Plant, blocks: tuple[Block, ...], forms: list[BlockForm], sets: list[np.ndarray]
) -> Claim:
    factors = [
        Polytope(H, 1.0 + H.astype(np.float64) @ plant.center[list(block.states)])
        for block, H in zip(blocks, sets, strict=True)
    ]
    try:
        return Claim(
            plant.model,
            safe_state_set=product(list(blocks), factors, plant.model.state_size),
            constraint_set=plant.X,
            disturbance_set=plant.W,
            center=plant.center,
            sigma=SIGMA,
            blocks=blocks,
            virtual=VirtualBlocks(plant.V, tuple(forms)),
        )
    except CertificateError as error:
        raise SynthesisError(f"A set was found, but it cannot be claimed: {error}") from error


def _metadata(plant: _Plant, claim: Claim, proof: Proof) -> Mapping[str, Any]:
    """What is known of the set, for people; JSON."""
    shares = [share_of_box(claim, block) for block in claim.blocks]
    widths = np.asarray(plant.X.upper, np.float64) - plant.X.lower
    return {
        "method": "blocks over virtual inputs (safe_wrappers.certify)",
        "facets": len(claim.safe_state_set.H),
        "blocks": [list(block.states) for block in claim.blocks],
        "volume": float(np.prod(shares) * np.prod(widths)),
        "share_of_constraints": round(float(np.prod(shares)), 4),
        "shares": [round(share, 4) for share in shares],
        "virtual_inputs": {
            "lower": [round(float(v), 6) for v in plant.V.lower],
            "upper": [round(float(v), 6) for v in plant.V.upper],
        },
        "cells": proof.cells,
    }


def share_of_box(claim: Claim, block: Block) -> float:
    """What share of the block's limits its factor of S is: exact in the plane, else by 100,000
    points, to about 0.002.
    """
    X, states = claim.constraint_set, list(block.states)
    factor = block.factor(claim.centered_set)
    H = np.asarray(factor.H, np.float64) / np.asarray(factor.h, np.float64)[:, None]
    z = claim.center[states].astype(np.float64)
    lower, upper = (np.asarray(end, np.float64)[states] - z for end in (X.lower, X.upper))  # pyright: ignore[reportAttributeAccessIssue]
    if len(states) == 2:
        return polygon_area(H) / float(np.prod(upper - lower))
    points = np.random.default_rng(0).uniform(lower, upper, (_SAMPLES, len(states)))
    return float(np.mean(np.all(points @ H.T <= 1.0, axis=1)))
