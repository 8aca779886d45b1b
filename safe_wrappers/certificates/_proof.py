"""The proof that a safe state set is robust control invariant and lies in its constraints.

S is covered by simplices (`_coverage`), which a branch and bound (`_branch_and_bound`) proves one
by one. The cover is checked in rationals, and all other numbers are bounded by outward-rounded
intervals: "proved" is a statement about real numbers.
"""

import dataclasses
import time

import numpy as np

from ..models import Model, require_affine
from ._branch_and_bound import Search, without_action
from ._coverage import cover, pulled_inside, uncovered, vertex_outside
from ._file import Certificate
from ._inputs import best_inputs
from ._intervals import Interval
from ._product import Block, Claim, candidates, reduction
from ._result import ProofResult, inconclusive
from ._rows import RowBounds


def prove(
    certificate: Certificate, model: Model, *, max_cells: int = 1_000_000, max_depth: int = 200
) -> ProofResult:
    """Decides whether S lies in X and is robust control invariant with margin sigma, from nothing
    but the sets and the model.

    Args:
        certificate: The claim.
        model: The model that it is about.
        max_cells: Largest number of simplices, proved and open together, before giving up.
        max_depth: Largest number of bisections of one simplex before giving up.

    Raises:
        CertificateError: If the certificate is about another model.
        ModelError: If the model is not affine in action and disturbance, or uses an operation that
            the proof does not know.
    """
    start = time.perf_counter()
    certificate.check(model)
    require_affine(model)
    with np.errstate(all="ignore"):
        result = (_prove_product if certificate.blocks else _prove)(
            certificate, model, max_cells, max_depth
        )
    return dataclasses.replace(result, seconds=time.perf_counter() - start)


def _prove(claim: Claim | Certificate, model: Model, max_cells: int, max_depth: int) -> ProofResult:
    S = claim.safe_state_set
    candidate = cover(S)
    reason = uncovered(candidate, S)
    if reason is not None:
        return inconclusive(
            f"The cover of S by simplices could not be verified: {reason}. The "
            "set may have facets that nearly coincide."
        )
    index = vertex_outside(candidate, claim.constraint_set)
    # a vertex of the outer approximation, or the origin, the index after the last
    if index is not None:
        x = pulled_inside(
            candidate.points[index] if index < len(candidate.points) else np.zeros(S.dim), S
        )
        return _outside(claim, x) or inconclusive(
            f"S touches the boundary of X at {x} to within "
            "rounding: shrink S by a factor 1 - 1e-6 or "
            "widen X."
        )
    return Search(claim, model, candidate).run(max_cells, max_depth)


def _prove_product(
    certificate: Certificate, model: Model, max_cells: int, max_depth: int
) -> ProofResult:
    """The claims about the blocks (see `_product`)."""
    results = [
        _prove(*reduction(certificate, model, block), max_cells, max_depth)
        for block in certificate.blocks
    ]
    answers = [
        _refute(certificate, model, *pair)
        for pair in zip(certificate.blocks, results, strict=True)
        if not pair[1].proved
    ]
    if answers:
        return next((answer for answer in answers if answer.counterexample is not None), answers[0])
    cells, depth, margin = (
        sum(r.cells for r in results),
        max(r.depth for r in results),
        min(r.margin for r in results),
    )
    message = (
        f"Each of the {len(results)} blocks is invariant whatever the others do: S is invariant "
        f"with margin {margin:.3g} and lies in X."
    )
    return ProofResult("proved", cells, depth, margin, 0.0, None, message)


def _refute(
    certificate: Certificate, model: Model, block: Block, result: ProofResult
) -> ProofResult:
    """The answer once the claim about `block` failed: a joint state that refutes the joint claim,
    or nothing.
    """
    found = f"The claim about the states {list(block.states)} failed: {result.message}"
    if result.counterexample is None:
        return inconclusive(found, result.cells, result.depth)
    S = certificate.safe_state_set
    states = [
        pulled_inside(x, S) for x in candidates(S, certificate.blocks, block, result.counterexample)
    ]
    bounds = RowBounds(model, S, certificate.disturbance_set)
    A, b = bounds.rows(Interval.point(np.stack(states, axis=1)))
    weakest = states[int(np.argmin(best_inputs(A.middle, b.middle)[1]))]
    answer = _outside(certificate, states[0]) or without_action(
        certificate, bounds, weakest, result.cells, result.depth
    )
    return answer or inconclusive(
        f"{found} But some joint action is safe there, so this refutes the blocks, not the set.",
        result.cells,
        result.depth,
    )


def _outside(claim: Claim | Certificate, x: np.ndarray) -> ProofResult | None:
    """A counterexample if the state x of S lies outside X by more than rounding."""
    G, g = (np.asarray(value, np.float64) for value in claim.constraint_set.halfspaces())
    margin = float(np.min(g - G @ x))
    if margin < -1e-12 * np.max(np.abs(g)):
        return ProofResult(
            "counterexample",
            0,
            0,
            margin,
            0.0,
            x,
            f"S must lie in X, but the vertex {x} of S lies outside X by {-margin:.3g}.",
        )
    return None
