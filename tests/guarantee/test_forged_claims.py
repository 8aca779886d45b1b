"""Claims forged in memory: each is refused at construction, not proved, or true, as far as an
oracle in NumPy sees.
"""

import collections
import dataclasses
import functools

import numpy as np
import pytest
from guarantee.forging import record_forgery
from guarantee.oracle import falsehoods
from plants import PLANTS

from safe_wrappers import SafeWrappersError
from safe_wrappers.certificates import Block, Certificate, Proof, guarantee_of, prove
from safe_wrappers.certificates._result import PROVER, ProofRecord
from safe_wrappers.envs import load_certificate
from safe_wrappers.sets import Box, Polytope, Zonotope

MAX_CELLS = 2_000


@functools.cache
def shipped(system, name):
    return load_certificate(system, name).claim


def _scaled(claim, factor):
    H = np.asarray(claim.safe_state_set.H) * np.float32(factor)
    return {"safe_state_set": Polytope(H, np.ones(len(H), np.float32))}


def _rows(claim, rows):
    H = np.asarray(claim.safe_state_set.H)[rows]
    S = Polytope(H, np.ones(len(H), np.float32))
    return {"safe_state_set": S, "eps": claim.eps[rows], "gain": claim.gain[rows]}


class Boundless(Box):
    """A box that tells nobody its bounds."""

    def halfspaces(self):
        return np.zeros((0, self.dim)), np.zeros(0)


class Larger(Polytope):
    """A polytope whose half-spaces are not those that it stores."""

    def halfspaces(self):
        return 0.5 * np.asarray(self.H), np.asarray(self.h)


PENDULUM = {
    "eps 0": lambda c: {"eps": 0.0},
    "eps of one facet 0": lambda c: {"eps": np.where(np.arange(12) == 5, 0, c.eps)},
    "eps negative": lambda c: {"eps": -c.eps},
    "eps text": lambda c: {"eps": "1e-5"},
    "eps without gain": lambda c: {"eps": c.eps, "gain": None},
    "gain 0": lambda c: {"gain": 0.0},
    "gain a little less": lambda c: {"gain": 0.99 * c.gain},
    "gain NaN": lambda c: {"gain": np.nan},
    "sigma without room": lambda c: {"sigma": 1e-6},
    "sigma too large": lambda c: {"sigma": 0.2},
    "sigma infinite": lambda c: {"sigma": np.inf},
    "S x 1.01": lambda c: _scaled(c, 1 / 1.01),
    "S x 1.3": lambda c: _scaled(c, 1 / 1.3),
    "S x 100": lambda c: _scaled(c, 0.01),
    "S without two facets": lambda c: _rows(c, [0, 1, 2, 4, 6, 7, 8, 10]),
    "S a slab": lambda c: _rows(c, [0, 6]),
    "S that answers otherwise": lambda c: {
        "safe_state_set": Larger(c.safe_state_set.H, c.safe_state_set.h)
    },
    "S a zonotope": lambda c: {"safe_state_set": c.generators},
    "W x 5": lambda c: {"disturbance_set": Box.symmetric([0.5])},
    "W x 2000": lambda c: {"disturbance_set": Box.symmetric([200.0])},
    "W beside 0": lambda c: {"disturbance_set": Box([60.0], [60.0])},
    "W unbounded": lambda c: {"disturbance_set": Box.symmetric([np.inf])},
    "X small": lambda c: {"constraint_set": Box.symmetric([2.0, 12.0])},
    "X small, and silent": lambda c: {"constraint_set": Boundless([-2.0, -12.0], [2.0, 12.0])},
    "X a zonotope": lambda c: {"constraint_set": c.generators},
    "generators x 2": lambda c: {
        "generators": Zonotope(c.generators.center, 2 * np.asarray(c.generators.generators))
    },
    "generators elsewhere": lambda c: {
        "generators": Zonotope([1.5, 0.0], np.asarray(c.generators.generators) * 0.9)
    },
    "a block of one state": lambda c: {"blocks": (Block((0,), (0,)),)},
    "blocks that overlap": lambda c: {"blocks": (Block((0, 1), (0,)), Block((1,), ()))},
    "a block of booleans": lambda c: {"blocks": (Block((False, True), (0,)),)},
}
QUADROTOR = {
    "the blocks' actions swapped": lambda c: {
        "blocks": tuple(
            Block(one.states, other.actions)
            for one, other in zip(c.blocks, c.blocks[::-1], strict=True)
        )
    },
    "a block left out": lambda c: {"blocks": c.blocks[:1]},
    "a block twice": lambda c: {"blocks": (*c.blocks, c.blocks[0])},
    "the blocks split further": lambda c: {
        "blocks": (*c.blocks[:1], *(Block((i,), (1,) * (i == 0)) for i in c.blocks[1].states))
    },
    "a facet moved out by 5 %": lambda c: {
        "safe_state_set": Polytope(
            np.asarray(c.safe_state_set.H) * np.where(np.arange(20) == 0, 0.95, 1.0)[:, None],
            np.ones(20),
        )
    },
    "X of half the size": lambda c: {
        "constraint_set": Box(
            0.5 * np.asarray(c.constraint_set.lower), 0.5 * np.asarray(c.constraint_set.upper)
        )
    },
    "X a polytope": lambda c: {"constraint_set": Polytope(*c.constraint_set.halfspaces())},
    "W x 10": lambda c: {"disturbance_set": Box.symmetric([1.0, 1.0])},
}


def answer(claim, change, plant):
    try:
        forged = dataclasses.replace(claim, **change(claim))
        proof = prove(forged, max_cells=MAX_CELLS)
    except (SafeWrappersError, TypeError, ValueError) as error:
        record_forgery(False)
        return "refused", str(error)
    false = falsehoods(forged, plant)
    record_forgery(bool(proof.proved and false))
    assert not (proof.proved and false), (proof.reason, false)
    assert (guarantee_of(forged, None).status == "proved") == proof.proved
    return proof.status, ", ".join(false) or "nothing false was found"


@pytest.mark.parametrize(
    ("system", "name", "changes"),
    [("safe_pendulum", "walter2025", PENDULUM), ("safe_quadrotor", "wide", QUADROTOR)],
)
def test_a_forged_claim_is_refused_or_not_proved_or_true(system, name, changes):
    claim, plant = shipped(system, name), PLANTS[system]
    answers = {what: answer(claim, change, plant) for what, change in changes.items()}
    for what, (status, why) in answers.items():
        print(f"{what:28s} {status:15s} {why[:100]}")
    assert all(
        "must" in why or "`" in why for status, why in answers.values() if status == "refused"
    )
    counts = collections.Counter(status for status, _ in answers.values())
    print(f"{len(answers)} forged claims: {dict(counts)}")
    assert len(answers) >= (30 if system == "safe_pendulum" else 8)
    assert counts["refused"] >= 3
    assert counts["inconclusive"] + counts["counterexample"] >= 3


def test_a_subclass_cannot_answer_for_a_set():
    claim = shipped("safe_pendulum", "walter2025")
    for change in (PENDULUM["S that answers otherwise"], PENDULUM["X small, and silent"]):
        forged = dataclasses.replace(claim, **change(claim))
        for part in ("safe_state_set", "constraint_set"):
            assert type(getattr(forged, part)) in (Box, Polytope)
    assert forged.constraint_set.halfspaces()[1].tolist() == [2.0, 12.0, 2.0, 12.0]


def test_no_array_of_a_claim_can_be_made_writable():
    claim = shipped("safe_pendulum", "walter2025")
    arrays = [
        claim.eps,
        claim.gain,
        claim.safe_state_set.H,
        claim.safe_state_set.h,
        claim.constraint_set.lower,
        claim.disturbance_set.upper,
        claim.generators.generators,
        claim.safe_state_set.scaled(0.5).H,
    ]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            array.setflags(write=True)


def test_a_forged_proof_makes_a_record_that_is_not_called_proved():
    claim = dataclasses.replace(shipped("safe_pendulum", "walter2025"), sigma=0.2)
    record = ProofRecord(PROVER, claim.digest, claim.program, 12, 0.3)
    forged = Proof("proved", 12, 0, 0.3, 0.0, None, "S is invariant.", record)
    for proof in (forged, record):
        guarantee = guarantee_of(claim, Certificate(claim, "forged", proof=proof))
        assert guarantee.status == "certified"
        assert "'forged' records a proof" in guarantee.by
    assert not prove(claim, max_cells=MAX_CELLS).proved
