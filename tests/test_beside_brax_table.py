"""The table of SHAC beside Brax's learners on docs/benchmarks.md is the one that its file makes."""

import csv
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location(
    "beside_brax_table", ROOT / "benchmarks" / "beside_brax_table.py"
)
table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(table)

RUN = {
    "task": "reacher",
    "learner": "shac",
    "interactions": "10240",
    "training_seconds": "30.4",
    "compilation_seconds": "51.2",
    "untrained_return": "-50",
    "best_return": "-7.5",
    "machine": "a desk",
}


def test_the_page_shows_what_the_file_says():
    page = table.PAGE.read_text(encoding="utf-8")
    with table.FILE.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert table.replaced(page, lines) == page, "Run python benchmarks/beside_brax_table.py."


def test_the_seeds_of_a_learner_are_one_line_with_their_spread():
    runs = [{**RUN, "return": value} for value in ("-9", "-30", "-8")]
    shown = table.block([*runs, {**RUN, "learner": "ppo", "return": "-20"}])
    assert (
        "| `reacher` | SHAC, defaults | 3 | -50.0 | -9.0 (-30.0 to -8.0) | -7.5 | 10,240 "
        "| 30 | 51 | a desk |"
    ) in shown.splitlines()
    assert "| `reacher` | PPO | 1 | -50.0 | -20.0 (-20.0 to -20.0) |" in shown


@pytest.mark.parametrize("page", ["no table", f"{table.END} {table.BEGIN}"])
def test_a_page_without_the_markers_is_refused(page):
    with pytest.raises(ValueError, match="once, in this order"):
        table.replaced(page, [])
