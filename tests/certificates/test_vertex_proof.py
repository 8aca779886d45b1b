"""Sets of three states that are proved at their vertices, and what must not be proved."""

import re

import numpy as np
import pytest
from lane_car import LIMITS, WINDS, car, grown
from virtual_plants import JOINT, arm_sets

import safe_wrappers as sw
from safe_wrappers.certificates import Claim, VirtualBlocks
from safe_wrappers.certificates._coupling import Coupling
from safe_wrappers.certificates._exact import rational, rationals
from safe_wrappers.certificates._polygon_proof import prove_polygon
from safe_wrappers.certificates._vertex_proof import prove_at_vertices


def claimed(**changed):
    """The claim about the car, or another one that differs from it."""
    claim = grown().claim
    (form,) = claim.virtual.forms
    H = np.asarray(claim.safe_state_set.H)
    parts = {"H": H, "X": LIMITS, "W": WINDS, "V": claim.virtual.inputs, "A": form.A, "B": form.B}
    parts |= {key: changed.pop(key) for key in list(changed) if key in parts}
    form = form._replace(A=parts["A"], B=parts["B"])
    changed.setdefault("sigma", claim.sigma)
    return Claim(
        car(),
        safe_state_set=sw.Polytope(parts["H"], np.ones(len(parts["H"]))),
        constraint_set=parts["X"],
        disturbance_set=parts["W"],
        center=claim.center,
        blocks=claim.blocks,
        virtual=VirtualBlocks(parts["V"], (form,)),
        **changed,
    )


def test_the_set_is_proved_with_a_reserve():
    claim = claimed()
    assert claim.virtual.forms[0].K is None
    proof = sw.prove(claim)
    assert proof.proved, proof.reason
    (part,) = [part for part in proof.parts if "whatever the others do" in part.name]
    assert 0 < part.reserve < 1e-3
    assert "in exact rationals" in part.found
    assert proof.margin >= claim.sigma


def mutants():
    """What is wrong with each claim, and a word of the answer."""
    H = np.asarray(grown().claim.safe_state_set.H)
    tight = np.abs(H).sum(axis=1).argmin()  # the facet that is farthest from the centre
    inner = [i for i, row in enumerate(H) if np.count_nonzero(row) > 1]
    (form,) = grown().claim.virtual.forms
    flat = form.A.copy()
    flat[0, 1] *= 0.98
    margins = "an input keeps the margins at the vertex"
    return {
        "weaker steering": ({"V": sw.Box.symmetric([0.98])}, margins),
        "stronger wind": ({"W": sw.Box.symmetric([0.31, 0.03])}, margins),
        "stronger bends": ({"W": sw.Box.symmetric([0.3, 0.031])}, margins),
        "larger set": ({"H": H * np.float32(0.99)}, "stays in X"),
        "larger in one direction": (
            {"H": np.where(np.arange(len(H))[:, None] == inner[0], H * np.float32(0.98), H)},
            margins,
        ),
        "without a facet": ({"H": np.delete(H, inner[len(inner) // 2], axis=0)}, margins),
        "without a limit": ({"H": np.delete(H, tight, axis=0)}, f"stays in X|{margins}"),
        "narrower limits": ({"X": sw.Box.symmetric([0.99, 0.15, 0.06])}, "state 0 stays in X"),
        "another slope": ({"A": flat}, margins),
        "stronger inputs than there are": ({"B": 1.05 * form.B}, margins),
        "larger margin": ({"sigma": 5e-4}, margins),
    }


@pytest.mark.parametrize("name", mutants())
def test_a_mutant_is_not_proved(name):
    changes, message = mutants()[name]
    proof = sw.prove(claimed(**changes))
    assert proof.status == "inconclusive"
    assert re.search(message, proof.reason), proof.reason


@pytest.mark.parametrize("push", [0.5, 1.5])
def test_in_the_plane_it_decides_as_the_proof_of_polygons_does(push):
    """That one finds the best input exactly, this one nearly."""
    columns = tuple(tuple(rational(push * JOINT.B[:, 0])) for _ in range(1))
    form = Coupling(
        tuple(map(tuple, rationals(JOINT.A))),
        tuple(map(tuple, rationals(JOINT.B))),
        tuple(rational(np.zeros(2))),
        columns,
        (),
        0,
    )
    H = arm_sets()[0]
    arguments = (
        rationals(H),
        rational(np.ones(len(H))),
        rational(np.full(len(H), 1e-4)),
        form,
        (rational([3.0]), rational([3.0])),
        (rational([2.0, 3.0]), rational([2.0, 3.0])),
    )
    exact, near = prove_polygon(*arguments), prove_at_vertices(*arguments)
    assert (exact.failed is None) == (near.failed is None) == (push < 1)
    if exact.failed is None:
        assert near.slack == pytest.approx(exact.slack, rel=1e-6, abs=1e-12)


def test_a_certificate_is_written_and_read_exactly(tmp_path):
    path = tmp_path / "lane.json"
    grown().save(path)
    read = sw.Certificate.load(path, car())
    assert read.claim.digest == grown().claim.digest
    assert read.claim.virtual.forms[0].K is None
    assert read.record == grown().record
