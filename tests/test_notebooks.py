"""The notebooks of the documentation run, with fewer training steps, and have small outputs."""

import re

import matplotlib
import notebooks
import pytest
from params import quick

PATHS = sorted(notebooks.FOLDER.glob("*.ipynb"))
# The first of them, of many safeguards, takes the longest.
SHORT = PATHS[1:]
QUICK = ("20_000, 240", "256, 32")


@pytest.mark.parametrize("path", quick(SHORT, PATHS), ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    matplotlib.use("Agg")
    notebook = notebooks.read(path)
    for cell in notebook["cells"]:
        cell["source"] = [line.replace(*QUICK) for line in cell["source"]]
    notebooks.run(notebook)
    printed = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert any(output["output_type"] == "display_data" for output in printed)


def test_the_long_training_is_cut_short_and_nothing_else():
    source = "".join(path.read_text() for path in PATHS)
    assert source.count(QUICK[0]) == 1


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_small_outputs(path):
    assert path.stat().st_size < 60_000
    cells = [c for c in notebooks.read(path)["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_becomes_a_page_with_its_code_and_pictures(path):
    notebook = notebooks.read(path)
    text, images = notebooks.as_markdown(notebook, path.stem)
    assert all(code in text for code in notebooks.code_cells(notebook))
    assert re.findall(r"!\[.*?\]\((.*?)\)", text) == list(images)
    assert len(images) > 0
