"""Every public name has a place on the API pages, every entry there exists, and links lead
somewhere.
"""

import ast
import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = {
    "safe_wrappers": "safe_wrappers",
    "safe_wrappers.algos.shac": "algos/shac",
    "safe_wrappers.envs": "envs",
    **{
        f"safe_wrappers.{room}": f"safe_wrappers/{room}"
        for room in (
            "adapters",
            "auditing",
            "certificates",
            "certification",
            "conformance",
            "deployment",
            "evaluation",
            "experiments",
            "falsification",
            "models",
            "plots",
            "safe_actions",
            "safeguards",
            "sets",
            "simulators",
            "synthesis",
            "testing",
            "wrappers",
        )
    },
}
# Protocols by which wrappers recognise environments, and two types: of no use to a caller.
INTERNAL = {
    "BoundedEnv",
    "HasBraxEnv",
    "SafeguardedEnv",
    "StartableEnv",
    "SystemEnv",
    "Commands",
    "Draw",
}
ENTRIES = [
    line.removeprefix("::: ")
    for page in sorted((ROOT / "docs" / "api").glob("*.md"))
    for line in page.read_text().splitlines()
    if line.startswith("::: ")
]


def public_names(module):
    """The names that the module's `__init__` exports as `X as X`, modules left out."""
    tree = ast.parse((ROOT / FOLDERS[module] / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {
        alias.name
        for node in imports
        for alias in node.names
        if alias.asname == alias.name and node.module is not None
    }


def test_no_entry_stands_twice_and_each_one_exists():
    assert len(ENTRIES) == len(set(ENTRIES))
    for entry in ENTRIES:
        module, name = entry.rsplit(".", 1)
        assert name in public_names(module), entry


@pytest.mark.parametrize("module", FOLDERS)
def test_every_public_name_is_on_the_api_pages(module):
    names = public_names(module) - INTERNAL
    documented = {entry.rsplit(".", 1)[1] for entry in ENTRIES}
    assert names, module
    assert sorted(names - documented) == []


def test_every_class_and_function_there_has_a_docstring():
    for entry in ENTRIES:
        module, name = entry.rsplit(".", 1)
        if name != "PlaygroundSafeguardWrapper":  # needs its extra
            value = getattr(importlib.import_module(module), name)
            assert not callable(value) or value.__doc__, entry


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)[^)]*\)", text)
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert f"{page.relative_to(ROOT / 'docs')}\n" in navigation, page


def test_every_picture_is_shown_on_a_page():
    shown = "".join(page.read_text() for page in PAGES)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.name in shown, picture
