"""What the documentation shows runs as it is shown: the docstrings' examples, and the Python of the
README and of docs/.
"""

import ast
import contextlib
import doctest
import functools
import importlib
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib import pyplot

import safe_wrappers as sw

ROOT = pathlib.Path(__file__).parents[1]


def python_of(page):
    """The Python blocks of a Markdown file."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


NAMES = {
    "jax": jax,
    "jnp": jnp,
    "np": np,
    "sw": sw,
    **{name: getattr(sw, name) for name in dir(sw) if not name.startswith("_")},
}


MODULES = sorted(
    ".".join(
        (
            "safe_wrappers" if folder == "safe_wrappers" else f"safe_wrappers.{folder}",
            *path.relative_to(ROOT / folder).with_suffix("").parts,
        )
    )
    for folder in ("safe_wrappers", "envs", "algos")
    for path in (ROOT / folder).rglob("*.py")
    if ">>> " in path.read_text() and not path.name.startswith("_playground_")  # need their extra
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_docstrings_run(module):
    printed, tried = [], 0
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(
        importlib.import_module(module), module, extraglobs=NAMES
    ):
        failed, count = runner.run(test, out=printed.append, clear_globs=False)
        tried += count
        assert failed == 0, "".join(printed)
    assert tried > 0


def test_the_python_of_the_readme_runs(capsys, monkeypatch, tmp_path):
    """As it stands, one block after the other, but with fewer steps of training."""
    monkeypatch.chdir(tmp_path)
    code = "".join(python_of(ROOT / "README.md"))
    shorter, count = re.subn(r"num_timesteps=20_000", "num_timesteps=256", code)
    assert count == 1
    names = {}
    exec(compile(shorter, "README.md", "exec"), names)
    assert pyplot.imread("safe.png").std() > 0.05
    pyplot.close("all")
    assert np.all(np.asarray([names["env"].system.margin(x) for x in names["states"][::20]]) >= 0)
    exits, guarantee, output = capsys.readouterr().out.splitlines()
    assert float(exits) == 0
    assert guarantee.startswith("proved: ")
    assert output.endswith(" True")


def test_the_readme_is_short():
    words = (ROOT / "README.md").read_text().replace("|", " ").split()
    assert len(words) <= 900


def test_the_links_and_pictures_of_the_readme_exist():
    links = re.findall(r"\]\(([^):]+)\)", (ROOT / "README.md").read_text())
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


PAGES = {
    page.name: blocks
    for page in sorted((ROOT / "docs").glob("*.md"))
    if (blocks := python_of(page))
}
# Pages and blocks of them that cannot be run: an extra is missing, or the reader's own agent and
# certificate, or several hosts.
EXCERPTS = {("agents.md", 2), ("playground.md", 0), ("playground.md", 1), ("scaling.md", 1)}
SLOW_PAGES = {
    "attack.md",
    "certificates.md",
    "conformance.md",
    "logging.md",
    "robots.md",
    "scaling.md",
    "supported_environments.md",
    "your_environment.md",
}


@pytest.mark.parametrize("page", PAGES)
def test_the_names_in_docs_exist(page):
    """Of the package, in every block, whether it is run or not."""
    found = 0
    for code in PAGES[page]:
        for node in ast.walk(ast.parse(code, page)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("safe_wrappers"):
                names = [(importlib.import_module(node.module), alias.name) for alias in node.names]
            elif isinstance(node, ast.Attribute) and re.fullmatch(r"sw(\.\w+)+", ast.unparse(node)):
                names = [(sw, ast.unparse(node).removeprefix("sw."))]
            else:
                continue
            for owner, name in names:
                # of a known name whose extra is not installed
                with contextlib.suppress(ImportError):
                    functools.reduce(getattr, name.split("."), owner)
                found += 1
    assert found > 0


def test_the_files_that_the_guide_through_the_code_names_are_there():
    text = (ROOT / "docs" / "reading_the_code.md").read_text()
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)*/_?[a-z_]*(?:\.py)?|_[a-z_]+\.py)`", text)
    rooms = [ROOT, ROOT / "safe_wrappers", ROOT / "safe_wrappers" / "safeguards"]
    missing = [name for name in named if not any((room / name).exists() for room in rooms)]
    assert not missing
    assert len(named) > 40


@pytest.mark.filterwarnings("ignore:Brax System, piplines and environments are not actively")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page in SLOW_PAGES else ())
        for page in PAGES
        if (page, 0) not in EXCERPTS
    ],
)
def test_the_python_of_docs_runs(page, tmp_path, monkeypatch):
    """One block after the other, with what the earlier ones left, as a reader would."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for i, code in enumerate(PAGES[page]):
        if (page, i) not in EXCERPTS:
            exec(compile(code, page, "exec"), names)
    assert all(i < len(PAGES[page]) for page, i in EXCERPTS)
