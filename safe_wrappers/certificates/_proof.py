"""The proof of a claim: everything in it is derived anew, and nothing is taken on trust.

A claim is proved when

1. the model is affine in action and disturbance, as its own program says, and the rows that the
   safeguard uses are the derivative of the function that is enclosed (`models`, `_derivative`);
2. the allowances eps and gain are at least the bounds of the program's rounding (`_rounding`);
3. initial states as they are sampled in float32, from S or its generators, lie in S
   (`_initial_states`);
4. S lies in X; and
5. S is robust control invariant with margin sigma: S is covered by simplices (`_coverage`), which
   a branch and bound (`_branch_and_bound`) proves one by one, and the cover lies where the rounding
   was bounded. A set in virtual inputs is proved block by block instead (`_virtual_proof`).

The cover is checked in rationals, and all other numbers are bounded by outward-rounded intervals:
"proved" is a statement about real numbers.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from ..models import Model, program_digest, require_affine
from ..sets import Box
from ._block import Block
from ._branch_and_bound import Search, without_action
from ._claim import Claim
from ._coverage import cover, pulled_inside, room_left, uncovered, vertex_outside
from ._derivative import require_one_derivative
from ._goal import Goal
from ._initial_states import starts
from ._inputs import best_inputs
from ._product import candidates, reduction
from ._proof_parts import Ledger
from ._result import PROVER, Proof, ProofRecord, inconclusive
from ._rows import RowBounds
from ._virtual_derivative import require_virtual_derivatives
from ._virtual_proof import prove_virtual

# The claims that were proved in this process, by the digests of their numbers and programs.
_PROVED: dict[tuple[str, str], ProofRecord] = {}


def prove(claim: Claim, *, max_cells: int = 1_000_000, max_depth: int = 200) -> Proof:
    """Decides whether a claim is true, from nothing but its sets and its model.

    Args:
        claim: The claim; all of its fields are derived anew.
        max_cells: Largest number of simplices, proved and open together, before giving up.
        max_depth: Largest number of bisections of one simplex before giving up.

    Returns:
        The proof. If it succeeded, every system and environment that is built on an equal claim in
        this process says "proved", and `Certificate(claim, name, proof=proof)` records it.

    Raises:
        ModelError: If the model is not affine in action and disturbance, or uses an operation that
            the proof does not know.
    """
    start, ledger = time.perf_counter(), Ledger()
    require_affine(claim.model)
    ledger.passed("The program of the model is affine in action and disturbance")
    if claim.virtual is None:
        require_one_derivative(claim.model, claim.safe_state_set, claim.center)
    else:
        require_virtual_derivatives(claim)
    ledger.passed("The rows that run are the derivative of the function that is enclosed")
    with np.errstate(all="ignore"):
        result = _refused(claim, ledger) or _decided(claim, max_cells, max_depth, ledger)
    record = None
    if result.proved:
        # The digest of what was just proved, not the one that the claim remembers.
        program = program_digest(claim.model)
        record = ProofRecord(PROVER, claim.digest, program, result.cells, result.margin)
        _PROVED[claim.digest, program] = record
    seconds = time.perf_counter() - start
    return dataclasses.replace(result, seconds=seconds, record=record, parts=tuple(ledger.parts))


def proved_here(claim: Claim) -> ProofRecord | None:
    """The record of a successful proof of this claim in this process, if there was one."""
    return _PROVED.get((claim.digest, claim.program))


def _refused(claim: Claim, ledger: Ledger) -> Proof | None:
    """The answer if an allowance is too small or an initial state may lie outside, else None."""
    eps, gain = claim.rounding()
    for name, found, needed, meaning in (
        ("eps", claim.eps, eps, "float32 may lose"),
        ("gain", claim.gain, gain, "the length of H_i B may be"),
    ):
        # A comparison with NaN is False.
        short = np.flatnonzero(~(found.astype(np.float64) >= needed))
        if len(short):
            i = int(short[0])
            return inconclusive(
                f"`{name}` of facet {i} is {found[i]:.3g}, but {meaning} up to {needed[i]:.3g}: "
                "make the claim without giving `eps` and `gain`, and they are computed."
            )
    spare = [claim.eps.astype(np.float64) - eps, claim.gain.astype(np.float64) - gain]
    ledger.passed(
        "Float32 rounds no more than eps allows for, and H_i B is no longer than gain",
        float(spare[0].min(initial=np.inf)),
        f"eps needs at most {eps.max(initial=0.0):.3g} and has at least {claim.eps.min():.3g}",
    )
    found = starts(claim)
    if found.reason is not None:
        return inconclusive(found.reason)
    ledger.passed("Initial states as they are sampled lie in S", found.reserve)
    return None


def _decided(claim: Claim, max_cells: int, max_depth: int, ledger: Ledger) -> Proof:
    if claim.virtual is not None:
        return prove_virtual(claim, ledger)
    if claim.blocks:
        return _prove_product(claim, max_cells, max_depth, ledger)
    bounded = _bounded(claim, range(claim.model.state_size))
    return _prove(_joint(claim), claim.model, bounded, max_cells, max_depth, ledger)


def _joint(claim: Claim) -> Goal:
    """The goal of the whole claim."""
    return Goal(
        claim.safe_state_set,
        claim.constraint_set,
        claim.disturbance_set,
        claim.sigma,
        claim.center.astype(np.float64),
    )


def _bounded(claim: Claim, states: Sequence[int], free: int = 0) -> Box:
    """Where the rounding was bounded, in some of the states and in so many more that are free.

    `rounding_bound` takes the bounding box of the vertices as computed, which are near, not right,
    padded by twice as much as here. They are those of the set with the room rounded down, by at
    most 2^-23.
    """
    center = claim.center[list(states)].astype(np.float64)
    vertices = claim.centered_set.vertices()[:, list(states)]
    reach = 5e-7 * np.abs(vertices).max(axis=0)
    unknown = np.full(free, np.inf)
    return Box(
        np.concatenate([center + (vertices.min(axis=0) - reach), -unknown]),
        np.concatenate([center + (vertices.max(axis=0) + reach), unknown]),
    )


def _prove(
    goal: Goal,
    model: Model,
    bounded: Box,
    max_cells: int,
    max_depth: int,
    ledger: Ledger,
    about: str = "S",
) -> Proof:
    S, center = goal.safe_state_set, goal.center
    candidate = cover(S, center)
    reason = uncovered(candidate, S, center)
    if reason is not None:
        return inconclusive(
            f"The cover of S by simplices could not be verified: {reason}. The "
            "set may have facets that nearly coincide."
        )
    ledger.passed(f"Simplices cover {about}", None, f"{len(candidate.simplices):,} simplices")
    # `vertex_outside` names a vertex of the outer approximation or, after the last, the centre.
    corners = np.vstack([candidate.points, np.zeros(S.dim)])
    index = vertex_outside(candidate, goal.constraint_set, center)
    if index is not None:
        x = pulled_inside(corners[index], S, center)
        return _outside(goal, x) or inconclusive(
            f"S touches the boundary of X at {x} to within "
            "rounding: shrink S by a factor 1 - 1e-6 about "
            "its centre, or widen X."
        )
    ledger.passed(f"{_capital(about)} lies in X", room_left(candidate, goal.constraint_set, center))
    index = vertex_outside(candidate, bounded, center)
    if index is not None:
        return inconclusive(
            f"The rounding of the model was not bounded at {center + corners[index]}, beyond the "
            "vertices of S as computed. The set may have facets that nearly coincide."
        )
    result = Search(goal, model, candidate).run(max_cells, max_depth)
    if result.proved:
        ledger.passed(
            f"{_capital(about)} is invariant for every disturbance in W, with margin sigma",
            result.margin - goal.sigma,
            f"margin {result.margin:.3g} where sigma is {goal.sigma:.3g}; "
            f"{result.cells:,} cells, depth {result.depth}",
        )
    return result


def _prove_product(claim: Claim, max_cells: int, max_depth: int, ledger: Ledger) -> Proof:
    """The goals of the blocks (see `_product`)."""
    results = []
    for block in claim.blocks:
        goal, model = reduction(claim, block)
        bounded = _bounded(claim, block.states, model.state_size - len(block.states))
        about = f"the block of {_in_words(claim.model, block.states)}"
        results.append(_prove(goal, model, bounded, max_cells, max_depth, ledger, about))
    answers = [
        _refute(claim, block, result)
        for block, result in zip(claim.blocks, results, strict=True)
        if not result.proved
    ]
    if answers:
        return next((answer for answer in answers if answer.counterexample is not None), answers[0])
    cells = sum(r.cells for r in results)
    depth = max(r.depth for r in results)
    margin = min(r.margin for r in results)
    reason = (
        f"Each of the {len(results)} blocks is invariant whatever the others do: S is invariant "
        f"with margin {margin:.3g} and lies in X."
    )
    return Proof("proved", cells, depth, margin, 0.0, None, reason)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _in_words(model: Model, states: Sequence[int]) -> str:
    return ", ".join(model.state_labels[i] for i in states)


def _refute(claim: Claim, block: Block, result: Proof) -> Proof:
    """The answer once the goal of `block` failed: a joint state that refutes the claim, or
    nothing.
    """
    found = f"The claim about the states {list(block.states)} failed: {result.reason}"
    if result.counterexample is None:
        return inconclusive(found, result.cells, result.depth)
    S = claim.safe_state_set
    goal = _joint(claim)
    states = [
        pulled_inside(x - goal.center, S, goal.center)
        for x in candidates(S, claim.blocks, block, result.counterexample)
    ]
    bounds = RowBounds(claim.model, S, claim.disturbance_set, goal.center)
    A, b = bounds.rows(bounds.from_center(np.stack(states, axis=1)))
    weakest = states[int(np.argmin(best_inputs(A.middle, b.middle)[1]))]
    answer = _outside(goal, states[0]) or without_action(
        goal, bounds, weakest, result.cells, result.depth
    )
    return answer or inconclusive(
        f"{found} But some joint action is safe there, so this refutes the blocks, not the set.",
        result.cells,
        result.depth,
    )


def _outside(goal: Goal, x: np.ndarray) -> Proof | None:
    """A counterexample if the state x of S lies outside X by more than rounding."""
    G, g = (np.asarray(value, np.float64) for value in goal.constraint_set.halfspaces())
    margin = float(np.min(g - G @ x))
    if margin < -1e-12 * np.max(np.abs(g)):
        return Proof(
            "counterexample",
            0,
            0,
            margin,
            0.0,
            x,
            f"S must lie in X, but the vertex {x} of S lies outside X by {-margin:.3g}.",
        )
    return None
