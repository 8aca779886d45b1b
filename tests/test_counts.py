"""Counts of the suites are added up, and those of suites that did not run stay in the file."""

import importlib.metadata
import json

import counts
import pytest

from safe_wrappers.evaluation import machine


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(counts, "recorded", [])
    return lambda: counts.recorded


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_holds_one_line_a_suite_whose_numbers_add_up(recorded, tmp_path):
    path = tmp_path / "results" / "counts.jsonl"
    counts.record(caught=3, unsafe=1, note="Calls.", suite="b")
    counts.record(caught=2, unclear=1, note="Calls.", suite="b")
    counts.record(caught=5, suite="a")
    counts.write(path, recorded())
    first, second = read(path)
    assert (first["suite"], first["tried"], first["note"]) == ("a", 5, "")
    assert second == {
        "suite": "b",
        "tried": 7,
        "caught": 5,
        "unsafe": 1,
        "silently_wrong": 0,
        "unclear": 1,
        "note": "Calls.",
        "version": importlib.metadata.version("safe-wrappers"),
        "machine": machine(),
    }


def test_a_suite_that_runs_again_replaces_its_line_alone(recorded, tmp_path):
    path = tmp_path / "counts.jsonl"
    counts.record(caught=3, suite="a")
    counts.record(caught=4, note="Four.", suite="b")
    counts.write(path, recorded())
    recorded().clear()
    counts.record(caught=1, suite="a")
    counts.write(path, recorded())
    assert [(line["suite"], line["tried"], line["note"]) for line in read(path)] == [
        ("a", 1, ""),
        ("b", 4, "Four."),
    ]
