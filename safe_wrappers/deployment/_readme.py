"""The README.md of an export."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..safe_actions import System, SystemOfModel, units_of
from ._task import Task

_NUMPY = """
## In NumPy alone

Copy `controller.py` and `controller.npz` to the machine that runs the loop; it needs Python 3.9 or
newer and NumPy.

```python
from controller import Watchdog, load

controller = load()
watchdog = Watchdog(controller)
while True:
    x = ...  # the measured state{states}
    observation = watchdog.observe(x)
    output = controller{call}
    if not (output.inside and observation.explained):
        ...  # the emergency stop of the plant: the guarantee does not cover this
    ...  # send output.action to the actuators{actions}
    watchdog.executed(output.action)
```
"""
_JAX = """
## As a JAX program

It needs `jax` and `flatbuffers`, on a CPU or a CUDA GPU.

```python
from pathlib import Path

import jax

program = jax.jit(jax.export.deserialize(bytearray(Path("{file}").read_bytes())).call)
output = program(x, {second})  # float32; a dictionary: output["action"], output["inside"], ...
```
"""


def readme(description: Mapping[str, Any], system: System, latency: str, task: Task) -> str:
    """The text.

    Args:
        description: The content of the manifest.
        system: The system.
        latency: The table of latencies.
        task: The observation of the policy.
    """
    files, guarantee = description["files"], description["guarantee"]
    policy = "controller.jax" in files
    name = description["system"] or type(system).__name__
    states = _named(system.model.state_labels) if isinstance(system, SystemOfModel) else ""
    actions = _named(system.model.action_labels) if isinstance(system, SystemOfModel) else ""
    box = units_of(system).box
    ranges = ", ".join(
        f"{low:g} to {high:g}"
        for low, high in zip(np.asarray(box.lower), np.asarray(box.upper), strict=True)
    )
    parts = [
        f"# A safe controller for {name}\n\n",
        f"Written by safe_wrappers {description['versions']['safe_wrappers']} with the safeguard "
        f"`{description['safeguard']}`{'' if policy else '; it has no policy of its own'}. "
        f"Actions are from {ranges}.\n",
    ]
    if "controller.py" in files:
        parts.append(
            _NUMPY.format(
                states=states,
                actions=actions,
                call="(x)" if policy else ".safe_action(x, request)",
            )
        )
        agreement = description["agreement"]
        parts.append(
            f"\nAt {agreement['states']} random states its actions differed from the library's by "
            f"at most {agreement['difference']:.1e} of half the action box.\n"
        )
    second = (
        "{" + ", ".join(f'"{key}": {value.tolist()}' for key, value in task.values.items()) + "}"
    )
    parts.append(
        _JAX.format(
            file="controller.jax" if policy else "safe_action.jax",
            second=second if policy else "request",
        )
    )
    if task.values and policy:
        parts.append(
            f"\nThe observation needs {', '.join(f'`{key}`' for key in task.values)} beside the "
            "state. In NumPy they are `controller.task[...]`; in JAX the second argument.\n"
        )
    parts.append("\n## What is guaranteed\n\n")
    parts.append(f"{guarantee['status']}: {guarantee['by']}.\n")
    if guarantee["assumptions"]:
        parts.append("It assumes that\n\n")
        parts += [f"- {assumption};\n" for assumption in guarantee["assumptions"]]
        parts.append("- the loop runs with the sampling time of the model, without delay.\n")
    if latency.count("\n") > 1:
        parts.append(
            f"\n## Latency\n\nMeasured where it was exported, at one state.\n\n{latency}\n"
        )
    return "".join(parts)


def _named(labels: tuple[str, ...]) -> str:
    return f": {', '.join(labels)}"
