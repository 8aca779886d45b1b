"""What an audit says of a training."""

import pytest

from safe_wrappers import auditing

from .conftest import SMALL, narrow

NUMBERS = {
    "interactions": 1000,
    "resets": 8,
    "violations": 0,
    "interventions": 250,
    "fallbacks": 1,
    "smallest_margin": 3e-5,
    "final_return": -20.0,
    "best_return": -19.0,
    "best_interactions": 800,
    "lqr_return": -18.0,
    "no_regulator": None,
    "hints": ["The policy leans on the safeguard."],
}


def findings(**changes):
    record = auditing.RunRecord("run", **{"summary": NUMBERS, "source": "summary.json", **changes})
    report = auditing.audit(narrow(), run=record, **SMALL)
    return report, {found.key: found for found in report.findings}


@pytest.mark.usefixtures("trials")
class TestTraining:
    def test_its_numbers_and_hints_are_shown_with_their_source(self):
        report, found = findings(checkpoint="1,000 interactions")
        assert report.holds
        page = auditing.as_html(report)
        for text in ("25.0%", "summary.json", "The policy leans on the safeguard.", "11.1% worse"):
            assert text in page, text
        assert found["training"].data["checkpoint"] == "1,000 interactions"

    def test_one_that_left_the_set_fails_the_audit(self):
        report, found = findings(summary={**NUMBERS, "violations": 2})
        assert found["training"].status == "failed"
        assert not report.holds

    def test_one_without_a_safeguard_fails_it_though_nothing_happened(self):
        report, found = findings(safeguarded=False)
        assert found["training"].status == "failed"
        assert "No safeguard acted" in found["training"].answer
        assert not report.holds

    def test_one_of_another_program_fails_it(self):
        report, found = findings(same_program=False)
        assert found["program"].status == "failed"
        assert not report.holds

    def test_one_without_an_evaluation_is_not_judged(self):
        report, found = findings(summary={}, finished=False)
        assert found["training"].status == "not judged"
        assert report.holds

    def test_an_unfinished_one_is_called_so(self):
        _, found = findings(finished=False, source="metrics.csv")
        assert "not finished" in found["training"].answer
