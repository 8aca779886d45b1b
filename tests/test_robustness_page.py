"""The table of results on docs/robustness.md is the one that the files of results make."""

import importlib.util
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("robustness", ROOT / "benchmarks" / "robustness.py")
robustness = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(robustness)

SOAK = {
    "system": "plant",
    "safeguard": "guard",
    "steps": 1_000_000,
    "exits": 0,
    "unsafe_actions": 0,
    "margin": 1e-5,
    "bound": 3e-6,
    "version": "9.9",
    "machine": "a desk",
}
COUNT = {
    "suite": "hostile/x",
    "tried": 7,
    "caught": 5,
    "unsafe": 0,
    "silently_wrong": 2,
    "unclear": 0,
    "note": "values",
}


def test_the_page_shows_what_the_files_say():
    page = robustness.PAGE.read_text(encoding="utf-8")
    assert robustness.replaced(page, robustness.RESULTS) == page, (
        "Run python benchmarks/robustness.py."
    )


def test_what_is_missing_is_said(tmp_path):
    table = robustness.block(tmp_path)
    for kind in robustness.KINDS:
        (line,) = (line for line in table.splitlines() if f"`{kind.pattern}`" in line)
        assert "**not recorded**" in line
        assert kind.command in line


def test_each_number_comes_from_its_file(tmp_path):
    (tmp_path / "soak_plant.json").write_text(json.dumps(SOAK))
    before = robustness.block(tmp_path)
    for text in ("1,000,000 steps", "0 exits", "3e-06", "version 9.9, a desk", "soak_plant.json"):
        assert text in before, text
    (tmp_path / "soak_plant.json").write_text(json.dumps({**SOAK, "exits": 3}))
    assert "3 exits" in robustness.block(tmp_path)


def test_bad_results_are_shown_as_well(tmp_path):
    (tmp_path / "counts.jsonl").write_text(f"{json.dumps(COUNT)}\n\n{json.dumps(COUNT)}\n")
    assert robustness.block(tmp_path).count("5 caught, 2 silently wrong") == 2
    (tmp_path / "counts.jsonl").write_text(json.dumps({**COUNT, "tried": 8}))
    with pytest.raises(ValueError, match="do not add up"):
        robustness.block(tmp_path)


def test_files_of_each_kind_are_read(tmp_path):
    counts = {"sites": 9, "sampled": 5, "killed": 4, "survived": 0, "equivalent": 1}
    mutation = {**counts, "score": 1.0, "score_before": 0.75, "seed": 0, "files": {"a.py": counts}}
    attack = {**SOAK, "broken": True, "found_after": 2.5, "strategy": "force", "seconds": 3.0}
    kills = {
        "kills": 3,
        "stages": {"training": 2, "importing": 1},
        "chains": [{}, {}],
        "chains_that_differ": 1,
        "versions": {"safe_wrappers": "9.8"},
    }
    flips = {"certificates": {"refused": 3, "silent: a": 1, "silent: b": 1}, "versions": {}}
    for name, content in {
        "attack_plant.json": attack,
        "mutation.json": mutation,
        "kills.json": kills,
        "bit_flips.json": flips,
    }.items():
        (tmp_path / name).write_text(json.dumps(content))
    table = robustness.block(tmp_path)
    for text in (
        "**broken** after 2.5 s by force",
        "5 of 9 | 4 killed, 0 survived, 1 equivalent: 100.0%",
        "75.0% before",
        "3 kills of 2 runs (1 importing, 2 training) | 1 of 2 runs differ",
        "version 9.8, machine not recorded",
        "| single bits flipped: certificates | 5 | 3 refused, 1 silent (a), 1 silent (b) |",
    ):
        assert text in table, text


@pytest.mark.parametrize("page", ["no table", f"{robustness.END} {robustness.BEGIN}"])
def test_a_page_without_the_markers_is_refused(page, tmp_path):
    with pytest.raises(ValueError, match="once, in this order"):
        robustness.replaced(page, tmp_path)
