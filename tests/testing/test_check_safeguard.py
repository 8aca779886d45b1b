"""The public check of safeguards names what is wrong with each mutant; that it passes the real
ones: safeguards/test_every_safeguard.
"""

import mutants
import pytest

import safe_wrappers as sw
from safe_wrappers.testing import check_safeguard

ROW = "must satisfy every row"
MUTANTS = [
    (mutants.Nothing(), ROW),
    (mutants.InvertedCondition(), ROW),
    (mutants.RawActionOnFailure(), f"{ROW}|action box"),
    (mutants.RayMaskWithoutItsFactor(), "must lie in the action box"),
    (mutants.InvertedReplacement(), ROW),
    (mutants.GeneratorMaskWithoutItsCenter(), ROW),
    (mutants.UncheckedBox(), f"{ROW}|action box"),
    (mutants.AlwaysTheAnchor(), "must reach the executed actions"),
    (mutants.RoundsSafeRequests(), "must be returned bit for bit"),
    (mutants.NaNIsExecuted(), "must lie in the action box"),
    (mutants.WrongDerivative(), "must be that of central differences"),
    (mutants.RandomDirections(), "`changed` must tell|must be a function"),
]


QUICK = (mutants.InvertedCondition, mutants.AlwaysTheAnchor, mutants.RoundsSafeRequests)
CASES = [
    pytest.param(
        safeguard,
        message,
        id=type(safeguard).__name__,
        marks=() if isinstance(safeguard, QUICK) else pytest.mark.slow,
    )
    for safeguard, message in MUTANTS
]


@pytest.mark.parametrize(("safeguard", "message"), CASES)
def test_mutant_safeguards_fail(safeguard, message):
    with pytest.raises(sw.ContractError, match=message):
        check_safeguard(safeguard, action_sizes=(1,), sets=512)


def test_a_failure_says_what_was_found_and_what_to_do():
    with pytest.raises(AssertionError) as caught:
        check_safeguard(mutants.Nothing(), action_sizes=(1,), sets=512)
    message = str(caught.value)
    for part in (
        "A = [[",
        "b = [",
        "request = [",
        "action = [",
        "violation = ",
        "cases fail",
        "give `project` alone",
    ):
        assert part in message


@pytest.mark.slow
def test_a_promise_is_checked_only_if_it_is_made():
    assert (
        check_safeguard(sw.RayMask(), action_sizes=(1,)).findings[
            "d = 1: share of safe requests kept bit for bit"
        ]
        < 0.5
    )
    with pytest.raises(sw.ContractError, match="bit for bit, as was promised"):
        check_safeguard(sw.RayMask(), action_sizes=(1,), keeps_safe_requests=True)


@pytest.mark.slow
def test_what_has_no_forward_mode_is_said():
    report = check_safeguard(sw.BoundaryProjection(gradient="inward"), action_sizes=(1,))
    assert report.unchecked == ('d = 1: forward mode, which gradient="inward" has not',)
    assert 'not checked: d = 1: forward mode, which gradient="inward" has not' in str(report)


def test_something_else_is_refused():
    with pytest.raises(sw.ContractError, match="must be built on `Safeguard`"):
        check_safeguard(lambda action_set, action: action)  # pyright: ignore[reportArgumentType]
