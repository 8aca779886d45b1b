import pytest

import safe_wrappers as sw
from safe_wrappers.certification import _anneal

PROBLEM = {
    "constraints": sw.Box([1.0, -2.0], [9.0, 3.0]),
    "disturbances": sw.Box.symmetric([0.3, 0.3]),
    "facets": 8,
    "progress": False,
}


def lose_too_much(monkeypatch, times):
    """The first claims are refused, as those of sets with a facet where float32 loses too much."""
    claim_of, refused = _anneal.claim_of, []

    def refuse(*arguments):
        if len(refused) < times:
            refused.append(arguments)
            raise sw.CertificateError("`sigma` is too small for the rounding.")
        return claim_of(*arguments)

    monkeypatch.setattr(_anneal, "claim_of", refuse)
    return refused


def joint():
    """Two states that depend on each other, so that there is one block."""

    def step(x, a, w):
        return x + 0.1 * (a + 0.01 * x[::-1]) + 0.01 * w

    return sw.Model("joint", step, 2, 2, 2)


def test_a_set_that_cannot_be_claimed_does_not_end_the_search(monkeypatch):
    refused = lose_too_much(monkeypatch, 1)
    certificate = sw.certify(joint(), **PROBLEM)
    assert len(refused) == 1
    assert sw.prove(certificate.claim).proved


def test_sets_that_cannot_be_claimed_are_an_error_that_says_so(monkeypatch):
    refused = lose_too_much(monkeypatch, 100)
    with pytest.raises(sw.CertificateError, match="too small for the rounding"):
        sw.certify(joint(), **PROBLEM, seeds=1, rounds=1, disturbance_scales=[1.0])
    assert len(refused) > 1  # of every stage one
