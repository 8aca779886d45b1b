"""The types of the public functions accept what users write: lists, numbers and NumPy arrays. What
the documentation shows is accepted, too.
"""

import doctest
import importlib
import json
import pathlib
import subprocess
import sys
import textwrap

import pytest
from test_documentation import EXCERPTS, python_of

import safe_wrappers as sw

ROOT = pathlib.Path(__file__).parents[1]
CALLS = """
import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw
from safe_wrappers.synthesis import synthesise


def step(x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
    return x + action[0] + disturbance


box = sw.Box([-1.0, -2.0], [1.0, 2.0])
box.contains([0.5, 2.5])
box.margin(np.zeros(2))
sw.Box.symmetric([1.0, 2])
triangle = sw.Polytope([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]], [0.0, 0.0, 1.0])
triangle.margin(jnp.array([0.25, 0.5]))
triangle.contains([0.25, 0.5])
triangle.support([1, 0])
sw.Zonotope([0.0, 0.0], [[1.0, 1.0], [0.0, 1.0]]).support(np.ones(2))

model = sw.Model(
    "mine",
    step,
    disturbance_size=2,
    action_box=sw.Box([-12.0], [12.0]),
    state_names=("gap", "speed"),
    units={"gap": "m"},
)
size: int = model.state_size
low: float = float(model.action_box.lower[0])
model(np.zeros(2), [6.0], [0.0, 0.0])
result = synthesise(model, box, sw.Box.symmetric([0.1, 0.1]), facets=8)
claim = sw.Claim(
    model,
    safe_state_set=result.safe_state_set,
    constraint_set=box,
    disturbance_set=sw.Box.symmetric(np.array([0.1, 0.1])),
)
system = sw.ModelSystem(claim, state=lambda x: x)
system.margin([0.4, 1.0])
system.safe_action_set(np.zeros(2)).anchor
guard = sw.BoundaryProjection()
sw.safe_action(system, guard, [0.4, 1.0], [0.9])
sw.safe_action(system, guard, np.zeros(2, np.float32), np.zeros(1))
output = sw.safe_action(system, guard, jnp.zeros(2), jnp.zeros(1))
if output.clipped:
    print(np.asarray(output.action), system.action_box.upper)
"""
WRONG = CALLS + "\nsw.Box('a', None)\nsw.safe_action(guard, system, 1, 2)\n"
# Each page is one program; the blocks of a page may define a name anew.
# `controller` is a module that a page exports.
HEADER = "# pyright: basic, reportRedeclaration=false, reportMissingImports=false\n"


def program_of_page(page):
    return HEADER + "\n".join(
        block for i, block in enumerate(python_of(page)) if (page.name, i) not in EXCERPTS
    )


def program_of_docstrings():
    """The examples of all docstrings, each in a function of its own, with the names that
    `test_documentation.py` gives them.
    """
    parser, functions = doctest.DocTestParser(), []
    names = [name for name in dir(sw) if not name.startswith("_")]
    for folder in ("safe_wrappers", "envs", "algos"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " not in path.read_text() or path.name.startswith("_playground"):
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            module = ".".join(parts if folder == "safe_wrappers" else ("safe_wrappers", *parts))
            for test in doctest.DocTestFinder(parser=parser).find(importlib.import_module(module)):
                owner = test.name.removeprefix(module).lstrip(".").partition(".")[0]
                lines = [
                    f"from {module} import {owner}" if owner and owner not in names else "",
                    f"def example_{len(functions)}():",
                    *(textwrap.indent(example.source, "    ") for example in test.examples),
                ]
                if test.examples:
                    functions.append("\n".join(lines))
    imports = (
        "import jax, jax.numpy as jnp, numpy as np, safe_wrappers as sw\n"
        f"from safe_wrappers import {', '.join(names)}\n"
    )
    return HEADER + imports + "\n".join(functions)


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """What pyright, which is slow to start and so runs once, says about each program."""
    pytest.importorskip("pyright")
    folder = tmp_path_factory.mktemp("types")
    programs = {"calls": CALLS, "wrong": WRONG, "docstrings": program_of_docstrings()}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if python_of(page):
            programs[page.stem] = program_of_page(page)
    for name, program in programs.items():
        # The prefix keeps `logging.md` from hiding a module of Python.
        (folder / f"shown_{name}.py").write_text(program)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    found = subprocess.run([*command, str(folder)], cwd=ROOT, capture_output=True, text=True)
    by_program = {name: [] for name in programs}
    for entry in json.loads(found.stdout)["generalDiagnostics"]:
        if entry["severity"] == "error":
            line = entry["range"]["start"]["line"] + 1
            name = pathlib.Path(entry["file"]).stem.removeprefix("shown_")
            by_program[name].append((line, entry["message"]))
    return by_program


def test_what_users_write_passes_the_type_checker(errors):
    assert errors["calls"] == []
    assert len(errors["wrong"]) >= 2


def test_the_examples_of_the_documentation_pass_the_type_checker(errors):
    shown = {name: found for name, found in errors.items() if name not in ("calls", "wrong")}
    assert len(shown) > 10
    assert {name: found for name, found in shown.items() if found} == {}
