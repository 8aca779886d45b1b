"""The proof of a set in virtual inputs: block by block, whatever the other blocks do.

Let x' = g(x, v, w) and let the action of (x, v) be a(x, v) = P(x) v + p(x), so that the plant's
own step takes this action to g(x, v, w), as an identity (P(x) is regular: it is solved with a known
accuracy, see `_virtual_rounding`). Blocks share out the states and the virtual inputs; S is a
product of S_b, V of V_b. Then S is robust control invariant with the claim's margins if

1. every v in V is brought about: a(x, v) lies in [-1, 1]^d for all x in X, v in V (`_authority`);
2. for each block, for all x in X, v in V and w in W, x'_b - center_b = A y + B (v_b - v0) + k +
   E omega with omega in a cube (`_coupling`): all that others do is in E;
3. for all y in S_b some v_b in V_b keeps the margin of each facet whatever omega is, in exact
   rationals: by a gain and multipliers (`_farkas`), or at the vertices (`_polygon_proof`,
   `_vertex_proof`); and
4. S_b lies in X_b, exactly.

The numbers A, B, K and V of the claim are proposals. Every bound is derived here, from the program
that runs.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from .._errors import CertificateError
from ..models import InVirtualInputs
from ._authority import authority
from ._claim import Claim
from ._coupling import Coupling, Range, coupling
from ._exact import Row, rational, rationals
from ._farkas import Answer, prove_sides, sides_of_gain
from ._polygon_proof import prove_polygon
from ._proof_parts import Ledger
from ._result import Proof, inconclusive
from ._room import exact_room
from ._vertex_proof import prove_at_vertices
from ._virtual_blocks import are_the_actions
from ._virtual_rounding import SPARE


def prove_virtual(claim: Claim, ledger: Ledger) -> Proof:
    """Decides the four parts. What fails is not refuted: nothing is said of other inputs."""
    virtual, model = claim.virtual, claim.model
    assert virtual is not None
    X, V = claim.constraint_set, virtual.inputs
    found = authority(model, X, V)  # pyright: ignore[reportArgumentType]
    if not found.enough:
        j = int(np.argmax(np.nan_to_num(found.largest, nan=np.inf)))
        return inconclusive(
            f"Action {j} may have to be {found.largest[j]:.4g} of its limit to bring about every "
            f"virtual input in V, near the state {found.state}: take a smaller V or X, or stronger "
            "actuators.",
            found.cells,
        )
    share = ", ".join(f"{value:.1%}" for value in found.largest)
    ledger.passed(
        "Every virtual input in V is brought about by an action",
        float(1.0 - found.largest.max()),
        f"the actions reach {share} of their limits; {_cells(found.cells)}",
    )
    cells, least = found.cells, np.inf
    range_ = Range.of(X, V, claim.disturbance_set)  # pyright: ignore[reportArgumentType]
    stepped = InVirtualInputs(model).stepped
    for index, block in enumerate(claim.blocks):
        states = ", ".join(model.state_labels[i] for i in block.states)
        try:
            form = coupling(stepped, block, virtual.forms[index], claim.center, range_)
        except CertificateError as error:
            return inconclusive(str(error), cells)
        cells += form.cells
        if not all(np.isfinite([rest.low, rest.high]).all() for rest in form.rests):
            return inconclusive(
                f"Nothing is known of what moves {states} beside its linear form: some number may "
                "not be finite over X.",
                cells,
            )
        ledger.passed(f"The motion of {states} is linear up to bounded terms", None, _rests(form))
        answer = _kept(claim, index, form)
        if answer.failed is not None:
            return inconclusive(
                f"The block of {states} could not be proved: not that {answer.failed}"
                + (f", which lacks {-answer.slack:.3g}." if answer.slack < 0 else "."),
                cells,
            )
        ledger.passed(
            f"The block of {states} is kept in S, and in X, whatever the others do",
            answer.slack,
            f"{answer.inequalities:,} inequalities in exact rationals",
        )
        least = min(least, answer.slack)
    margin = float(claim.margins.min()) + least
    reason = (
        f"Each of the {len(claim.blocks)} blocks is kept by its virtual inputs whatever the others "
        f"do, and the actions bring these about: S is invariant with margin {margin:.3g} and lies "
        "in X."
    )
    return Proof("proved", cells, 0, margin, 0.0, None, reason)


def _kept(claim: Claim, index: int, form: Coupling) -> Answer:
    """Parts 3 and 4 of a block."""
    virtual, block = claim.virtual, claim.blocks[index]
    assert virtual is not None
    of_block = virtual.forms[index]
    H = np.asarray(claim.safe_state_set.H)
    facets = block.facets(H)
    F = rationals(H[facets][:, list(block.states)])
    every = exact_room(*claim.safe_state_set.halfspaces(), claim.center)
    room = [every[i] for i in facets]
    margins = rational(claim.margins[facets])
    V, X, v0 = virtual.inputs, claim.constraint_set, rational(of_block.v0)
    limits = _around(V.lower, V.upper, block.actions, v0)
    bounds = _around(X.lower, X.upper, block.states, rational(claim.center[list(block.states)]))  # pyright: ignore[reportAttributeAccessIssue]
    if min((*limits[0], *limits[1]), default=Fraction(0)) < 0:
        return Answer(float("nan"), "v0 lies in V", 0)
    if of_block.K is None:
        prove = prove_polygon if len(block.states) <= 2 else prove_at_vertices
        return prove(F, room, margins, form, limits, bounds)
    K = rationals(of_block.K)
    if len(block.actions) > 1 and not are_the_actions(claim.model, V):
        within = 1 - Fraction(SPARE)
        below, above = ([within * limit for limit in side] for side in limits)
        limits = below, above
    return prove_sides(F, room, sides_of_gain(F, room, margins, form, K, limits, bounds))


def _around(lower: Any, upper: Any, indices: tuple[int, ...], middle: Row) -> tuple[Row, Row]:
    """How far one may go below and above the middle."""
    low, high = (rational(np.asarray(end)[list(indices)]) for end in (lower, upper))
    return (
        [m - a for a, m in zip(low, middle, strict=True)],
        [b - m for b, m in zip(high, middle, strict=True)],
    )


def _rests(form: Coupling) -> str:
    """What is not in the linear form, in words."""
    if not form.rests:
        return "exactly, but for disturbances and what others do linearly"
    found = ", ".join(
        f"{(rest.high - rest.low) / 2:.4g} (points find {rest.found:.4g})" for rest in form.rests
    )
    return f"up to {found}; {_cells(form.cells)}"


def _cells(count: int) -> str:
    return f"{count:,} cell" + ("" if count == 1 else "s")
