"""The wheel holds safe_wrappers alone, whole, and works away from the repository."""

import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


def test_the_listed_packages_are_those_on_disk():
    roots = {
        "safe_wrappers": ROOT / "safe_wrappers",
        "safe_wrappers.envs": ROOT / "envs",
        "safe_wrappers.algos": ROOT / "algos",
    }
    found = set()
    for name, folder in roots.items():
        for init in folder.rglob("__init__.py"):
            relative = init.parent.relative_to(folder).parts
            found.add(".".join([name, *relative]))
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_the_wheel_installs_one_top_level_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"safe_wrappers"}
    assert len(names) == len(set(names))
    assets = {path.name for path in (ROOT / "envs" / "assets").iterdir()}
    assert assets == {
        name.split("/")[-1] for name in names if name.startswith("safe_wrappers/envs/assets/")
    }
    assert "safe_wrappers/plots/viewer.html" in names
    assert "safe_wrappers/auditing/report.html" in names


def test_the_wheel_works_from_an_empty_directory(wheel, tmp_path):
    """The dependencies are those of this environment; safe_wrappers itself comes from the unpacked
    wheel.
    """
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    program = f"""
import sys
sys.path.insert(0, {str(site)!r})
sys.path = [entry for entry in sys.path if entry not in ("", {str(ROOT)!r})]
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in repr(finder)]
import safe_wrappers as sw
assert sw.__file__.startswith({str(site)!r}), sw.__file__
assert sw.envs.__file__.startswith({str(site)!r}) and sw.algos.__file__.startswith({str(site)!r})
sw.envs.get_environment("safe_pendulum")
for name in ("envs", "algos"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name + " was installed as a top-level package")
"""
    subprocess.run([sys.executable, "-c", program], cwd=empty, check=True, timeout=120)


@pytest.mark.parametrize("name", ["envs", "algos"])
def test_a_second_copy_of_the_classes_cannot_be_imported(name):
    result = subprocess.run(
        [sys.executable, "-c", f"import {name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert f"Import this package as `safe_wrappers.{name}`" in result.stderr


def test_importing_changes_no_jax_setting():
    program = """
import jax
before = dict(jax.config.values)
import safe_wrappers
changed = {key for key, value in jax.config.values.items() if before.get(key, value) != value}
assert not changed, changed
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
