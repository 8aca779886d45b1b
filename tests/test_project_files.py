"""The files around the package agree with each other."""

import importlib.util
import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SPEC = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
licences = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(licences)


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


LOCKS = ["requirements.lock", "requirements-oldest.lock"]


def locked(file):
    """The versions that a lock file pins, by package, with the number of their digests."""
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / file).read_text()):
        name, version = re.match(r"([\w.-]+)==([\w.]+)", entry).groups()
        digests = len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry))
        found.setdefault(canonicalize_name(name), []).append((version, digests))
    return found


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_files_pin_all_that_the_check_installs_with_digests(file):
    pins = locked(file)
    extras = PROJECT["optional-dependencies"]
    docs = extras["docs"] if file == "requirements.lock" else []
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for text in [*PROJECT["dependencies"], *extras["test"], *docs, *build]:
        asked = Requirement(text)
        versions = [version for version, _ in pins[canonicalize_name(asked.name)]]
        assert all(asked.specifier.contains(version) for version in versions), (text, versions)
    assert all(digests > 0 for pinned in pins.values() for _, digests in pinned)


def test_the_oldest_lock_file_pins_the_oldest_jax():
    (needed,) = (text for text in PROJECT["dependencies"] if text.startswith("jax>="))
    assert [version for version, _ in locked(LOCKS[1])["jax"]] == re.findall(r">=([\d.]+)", needed)


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_files_name_no_place(file):
    text = (ROOT / file).read_text()
    assert "://" not in text
    assert "index" not in text


def test_the_hosted_check_installs_from_the_lock_files_alone():
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text()
    fetched = max(workflow.index(f"--requirement {file}\n") for file in LOCKS)
    assert workflow.count("--require-hashes") == workflow.count("pip download") == len(LOCKS)
    assert fetched < workflow.index("- run: .ci/run") < workflow.index('PIP_NO_INDEX: "1"')


def test_every_needed_package_has_a_licence_on_the_page():
    page = licences.PAGE.read_text(encoding="utf-8")
    for name, licence in licences.needed().items():
        assert licence != "unknown", name
        assert f"| {name} | " in page, f"Run make licences: {name} is missing."
    assert page.startswith(licences.INTRODUCTION)
