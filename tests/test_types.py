"""The types of the public functions accept what users write: lists, numbers and NumPy arrays."""

import json
import subprocess
import sys
import textwrap

import pytest

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
guard = sw.BoundaryProjection()
sw.safe_action(system, guard, [0.4, 1.0], [0.9])
sw.safe_action(system, guard, np.zeros(2, np.float32), np.zeros(1))
output = sw.safe_action(system, guard, jnp.zeros(2), jnp.zeros(1))
if output.clipped:
    print(np.asarray(output.action), system.action_box.upper)
"""


def errors(tmp_path, text):
    path = tmp_path / "calls.py"
    path.write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    found = subprocess.run([*command, str(path)], capture_output=True, text=True)
    return [
        (entry["range"]["start"]["line"], entry["message"])
        for entry in json.loads(found.stdout)["generalDiagnostics"]
        if entry["severity"] == "error"
    ]


def test_what_users_write_passes_the_type_checker(tmp_path):
    pytest.importorskip("pyright")
    assert errors(tmp_path, CALLS) == []
    wrong = errors(tmp_path, CALLS + "\nsw.Box('a', None)\nsw.safe_action(guard, system, 1, 2)\n")
    assert len(wrong) >= 2
