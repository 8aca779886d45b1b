"""The rooms of the library: who may import whom, as docs/reading_the_code.md draws them."""

import ast
import inspect
from pathlib import Path

import pytest

import safe_wrappers as sw

ROOT = Path(__file__).parents[1]

# From the ground floor up. A room may import those on lower floors, and those before it on its own.
FLOORS = (
    ("sets", "models", "solvers"),
    ("certificates", "synthesis", "certification", "simulators"),
    ("safe_actions",),
    ("safeguards",),
    ("wrappers", "adapters", "conformance", "testing"),
    ("envs", "algos"),
    ("falsification",),
    ("evaluation", "plots", "deployment"),
    ("auditing", "experiments"),
    ("cli",),
)
ORDER = [room for floor in FLOORS for room in floor]
GROUND = "the ground floor"

# Private modules that are imported across rooms, with the reason.
SHARED = {
    "certificates._authority": "the search for blocks encloses as their proof does",
    "certificates._branches": "the search for blocks encloses as their proof does",
    "certificates._cells": "the search for blocks halves cells as their proof does",
    "certificates._coupling": "the search for blocks encloses as their proof does",
    "certificates._enclosure": "the search for blocks encloses as their proof does",
    "certificates._intervals": "the check of compiled programs computes rows without JAX",
    "certificates._linear_parts": "the search for blocks encloses as their proof does",
    "certificates._rows": "the check of compiled programs computes rows without JAX",
    "certificates._taylor": "the search for blocks encloses as their proof does",
    "certificates._virtual_rounding": "the search for blocks leaves what rounding needs",
    "conformance._subject": "the command checks the compiled program of the same system",
    "falsification._subject": "studies judge the steps of episodes as attacks do",
    "models._arithmetic": "certificates interpret programs with other arithmetics",
    "models._interpreter": "certificates interpret programs with other arithmetics",
    "models._linear_algebra": "certificates interpret programs with other arithmetics",
    "models._moves": "an exported policy takes elements as a program does",
    "models._step": "certificates interpret programs with other arithmetics",
    "models._trace": "certificates interpret programs with other arithmetics",
    "safe_actions._candidates": "an exported controller has the same second anchor",
    "safe_actions._action_set": "safeguards use the closed form of one action",
    "safeguards._centers": "pictures show the centre of a ray mask",
    "safeguards._rows": "pictures show the centre of a ray mask",
    "sets._draw": "pictures outline sets",
    "synthesis._admissible_set": "blocks are put together where they are proved",
    "synthesis._gain_search": "blocks are put together where they are proved",
    "synthesis._grown_set": "blocks are put together where they are proved",
    "synthesis._joint_polygon": "blocks are put together where they are proved",
}


def files():
    for folder, package in (
        (ROOT / "safe_wrappers", ()),
        (ROOT / "envs", ("envs",)),
        (ROOT / "algos", ("algos",)),
    ):
        for path in sorted(folder.rglob("*.py")):
            parts = (*package, *path.relative_to(folder).with_suffix("").parts)
            if package or parts[0] not in ("envs", "algos"):  # which are links to the folders
                yield path, parts


def imports():
    """(importing module, imported module), as tuples of names below `safe_wrappers`."""
    for path, parts in files():
        package = parts[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = tuple((node.module or "").split(".")) if node.module else ()
                if node.level:
                    base = package[: len(package) - node.level + 1]
                elif names[:1] == ("safe_wrappers",):
                    base, names = (), names[1:]
                else:
                    continue
                for alias in node.names:
                    yield parts, (*base, *names, alias.name)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    names = tuple(alias.name.split("."))
                    if names[0] == "safe_wrappers":
                        yield parts, names[1:]


def room(module):
    return module[0] if module and module[0] in ORDER else GROUND


EDGES = sorted(
    {
        (room(source), room(target), ".".join(source), ".".join(target))
        for source, target in imports()
        if source != ("__init__",)
    }
)


def test_every_folder_is_a_room():
    folders = {path.name for path in (ROOT / "safe_wrappers").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(ORDER)


def test_the_imports_are_found():
    assert ("safeguards", "safe_actions") in {edge[:2] for edge in EDGES}
    assert ("envs", "safe_actions") in {edge[:2] for edge in EDGES}
    assert ("algos", "safeguards") in {edge[:2] for edge in EDGES}


def test_no_import_goes_upwards_and_so_none_in_a_circle():
    upwards = [
        f"{source} imports {target}"
        for low, high, source, target in EDGES
        if low != high
        and (low == GROUND or (high != GROUND and ORDER.index(low) < ORDER.index(high)))
    ]
    assert not upwards


def test_private_modules_stay_in_their_rooms_but_for_those_with_a_reason():
    crossing = {
        ".".join(target.split(".")[:2])
        for low, high, _, target in EDGES
        if low != high
        and high != GROUND
        and target.split(".")[1:]
        and target.split(".")[1].startswith("_")
    }
    assert crossing <= set(SHARED), crossing - set(SHARED)
    assert set(SHARED) <= crossing, set(SHARED) - crossing


def test_the_command_line_is_small():
    lines = {
        path.name: len(path.read_text().splitlines())
        for path in (ROOT / "safe_wrappers" / "cli").glob("*.py")
    }
    assert sum(lines.values()) < 2850, lines


@pytest.mark.parametrize("folder", ["safe_wrappers", "envs", "algos"])
def test_no_file_is_long(folder):
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 440
    }
    assert not long


def test_the_package_shows_public_names_only():
    shown = {name: getattr(sw, name) for name in dir(sw) if not name.startswith("_")}
    rooms = {name for name, value in shown.items() if inspect.ismodule(value)}
    assert rooms <= set(ORDER)
    foreign = {
        name
        for name in set(shown) - rooms
        if not shown[name].__module__.startswith("safe_wrappers.")
    }
    assert not foreign
