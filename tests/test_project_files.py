"""The files around the package agree with each other."""

import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_version_and_authors_are_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text()
    changelog = (ROOT / "CHANGELOG.md").read_text()
    (version,) = re.findall(r"^version: (.+)$", citation, re.MULTILINE)
    (released,) = re.findall(r"^date-released: (.+)$", citation, re.MULTILINE)
    newest, date = re.findall(r"^## ([\d.]+) - ([\d-]+)$", changelog, re.MULTILINE)[0]
    assert (version, released) == (newest, date) == (PROJECT["version"], date)
    assert [author["name"] for author in PROJECT["authors"]] == re.findall(
        r"^  - name: (.+)$", citation, re.MULTILINE
    )


def test_the_hooks_use_the_ruff_that_the_tests_use():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    (pinned,) = (p for p in PROJECT["optional-dependencies"]["test"] if p.startswith("ruff=="))
    assert set(re.findall(r"ruff==[\d.]+", hooks)) == {pinned}
    assert hooks.count(pinned) == 2


def test_the_hosted_check_is_the_one_check():
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    assert re.findall(r"- run: (.+)", workflow) == [".ci/run"]
    assert "\n\t.ci/run\n" in (ROOT / "Makefile").read_text()
