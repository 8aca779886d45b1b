"""What stands behind a claim: a proof in this process, a record, or neither."""

import dataclasses

import pytest

from safe_wrappers.certificates import (
    Certificate,
    Claim,
    Guarantee,
    Guaranteed,
    ProofRecord,
    guarantee_by_the_library,
    guarantee_of,
    prove,
    shipped,
)
from safe_wrappers.certificates._result import PROVER
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope


def claim_of(push, decay=0.5, kind=Claim):
    """x' = decay x + 0.5 a + w keeps |x| <= 1 for |w| <= push.

    Each test has a push of its own, since what one test proves is proved for the others.
    """
    return kind(
        Model("decay", lambda x, a, w: decay * x + 0.5 * a + w, 1, 1, 1),
        safe_state_set=Polytope(*Box.symmetric([1.0]).halfspaces()),
        constraint_set=Box.symmetric([1.5]),
        disturbance_set=Box.symmetric([push]),
    )


def test_a_claim_is_tested_until_it_is_proved():
    claim = claim_of(0.101)
    found = guarantee_of(claim, None)
    assert found.status == "tested"
    assert found.by == "`prove` has not proved this claim about the model 'decay'"
    assert prove(claim).proved
    found = guarantee_of(claim, None)
    assert found.status == "proved"
    assert found.by == "`prove` succeeded for the model 'decay' in this process"


def test_a_proof_counts_for_equal_claims_and_for_no_others():
    proved = claim_of(0.102)
    assert prove(proved).proved
    assert guarantee_of(claim_of(0.102), None).status == "proved"
    for other in (
        claim_of(0.103),
        claim_of(0.102, decay=0.5000001),
        dataclasses.replace(proved, sigma=2.1e-4),
        dataclasses.replace(proved, eps=0.0, gain=0.0),
        dataclasses.replace(proved, constraint_set=Box.symmetric([2.0])),
        dataclasses.replace(proved, safe_state_set=proved.safe_state_set.scaled(0.9)),
    ):
        assert guarantee_of(other, None).status == "tested"


def test_a_proof_that_failed_counts_for_nothing():
    claim = claim_of(0.104, decay=3.0)
    assert prove(claim).status == "counterexample"
    assert guarantee_of(claim, None).status == "tested"


@pytest.mark.parametrize(
    ("changes", "status", "by"),
    [
        ({}, "certified", "'mine' records a proof of this claim about the model 'decay' and this"),
        ({"prover": "1"}, "certified", "another version of the prover"),
        ({"prover": ""}, "certified", "another version of the prover"),
        ({"program": "sha256:0"}, "certified", "or of another function that is near"),
        (None, "tested", "'mine' about the model 'decay' holds no record of a proof"),
    ],
    ids=["its own", "older prover", "no prover", "another program", "none"],
)
def test_a_record_counts_for_its_prover_and_its_program(changes, status, by):
    claim = claim_of(0.105)
    record = ProofRecord(PROVER, claim.digest, claim.program, 2, 0.1)
    proof = None if changes is None else record._replace(**changes)
    found = guarantee_of(claim, Certificate(claim, "mine", proof=proof))
    assert found.status == status
    assert by in found.by


def test_the_record_of_a_file_that_comes_with_the_library_counts_as_a_proof():
    claim = claim_of(0.107)
    record = ProofRecord(PROVER, claim.digest, claim.program, 2, 0.1)
    certificate = shipped(Certificate(claim, "mine", proof=record))
    assert guarantee_of(claim, certificate).status == "proved"
    older = Certificate(claim, "mine", proof=record._replace(prover="1"))
    assert guarantee_of(claim, shipped(older)).status == "certified"
    unproved = claim_of(0.108)
    assert guarantee_of(unproved, shipped(Certificate(unproved, "mine"))).status == "tested"


def test_a_claim_that_is_not_the_librarys_own_class_is_tested():
    class Mine(Claim):
        @property
        def digest(self):
            return proved.digest

        @property
        def program(self):
            return proved.program

    proved = claim_of(0.106)
    assert prove(proved).proved
    assert guarantee_of(proved, None).status == "proved"
    assert guarantee_of(claim_of(5.0, kind=Mine), None).status == "tested"


class SaysSo(Guaranteed):
    """What is no part of the library and inherits its base class."""

    guarantee = Guarantee("proved", "I say so")  # pyright: ignore[reportAssignmentType]


class SaysSoByAnAttribute:
    guarantee = Guarantee("proved", "I say so")


class SaysSoByAString:
    guarantee = "proved: I say so"


@pytest.mark.parametrize("kind", [SaysSo, SaysSoByAnAttribute, SaysSoByAString, object])
def test_no_objects_own_word_is_believed(kind):
    found = guarantee_by_the_library(kind())
    assert found.status == "tested"
    assert kind.__name__ in found.by


def test_a_guarantee_reads_as_a_sentence():
    assert str(Guarantee("proved", "by x")) == "proved: by x"
    assert str(Guarantee("tested", "by y")) == "tested, not proved: by y"
    both = Guarantee("certified", "by z", ("one holds", "two holds"))
    assert str(both) == "certified: by z; assuming that one holds; that two holds"


def test_a_record_may_name_the_programs_of_several_versions_of_jax():
    record = ProofRecord(PROVER, "sha256:c", "sha256:a", 2, 0.1)
    both = record.with_program("sha256:b")
    assert both.program == "sha256:a sha256:b"
    assert both.is_of("sha256:a")
    assert both.is_of("sha256:b")
    assert not both.is_of("sha256:")
    assert both.with_program("sha256:a") is both
