"""The NumPy controller as two files: a module that is written for one system, and its arrays."""

import ast
import hashlib
import io
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._errors import ModelError
from ..safe_actions import ModelSystem, StepCheck, System
from ..safe_actions._candidates import candidates
from ..safeguards import (
    BoundaryProjection,
    GaugeMap,
    GeneratorMask,
    RayMask,
    Replacement,
    Safeguard,
)
from . import _numpy_controller, _numpy_rows
from ._array_source import array_source
from ._scalar_source import scalar_source
from ._task import Task

MODULE, ARRAYS = "controller.py", "controller.npz"
_FUTURE = "from __future__ import annotations"
_NUMPY = "import numpy as np"
_HEAD = '''"""A safe controller for {name} in NumPy alone, written by safe_wrappers {version}.

    from controller import load

    controller = load()
    output = controller{call}
    output.action  # {units}: the only action that may be executed
    output.inside  # if False, nothing is promised: use the emergency stop of the plant

{guarantee}

The numbers in `model_affine` are the float32 constants of the model that is proved, so that 0.1
reads 0.10000000149011612.
"""'''
_LOAD = '''def load(file: str | Path | None = None) -> Controller:
    """The controller, with its arrays from `file`; by default {arrays} beside this module.

    Raises:
        ValueError: If the arrays are not those of this module.
    """
    beside = Path(__file__).with_name("{arrays}")
    arrays = _read(beside if file is None else Path(file), _DIGEST)
    return Controller(arrays, Program(model_affine, {observe}, {policy}), "{safeguard}")
'''


def numpy_files(
    system: System,
    safeguard: Safeguard,
    policy: Callable[[jax.Array], jax.Array] | None,
    task: Task,
    version: str,
) -> dict[str, bytes]:
    """The files of a NumPy controller, by name.

    Args:
        system: The system.
        safeguard: The safeguard.
        policy: observation -> action in [-1, 1]^d, or None.
        task: The observation of the policy.
        version: Version of the library.

    Raises:
        ModelError: If the system, the safeguard, the model, the observation or the policy has no
            translation; the message says which, and what to do.
    """
    if not isinstance(system, ModelSystem):
        raise ModelError(
            "The NumPy controller is written for a `ModelSystem`, whose rows come from a model, "
            f"but the system is a `{type(system).__name__}`. Export the JAX program alone, with "
            "`numpy=False`."
        )
    if system.commands != "actions":
        raise ModelError(
            "The NumPy controller is written for the actions of the plant, but the system's are "
            "virtual inputs (commands='virtual'). Export the JAX program alone, with "
            "`numpy=False`, and `system.model.plant_action` beside it."
        )
    kind = _kind(safeguard, system)
    n = system.model.state_size
    parts = [
        scalar_source(
            "model_affine",
            lambda x: tuple(system.model.affine(x)),
            {"x": n},
            "The model x' = c + B a + E w at the state x: c, B and E, for a in [-1, 1]^d.",
        )
    ]
    arrays = _arrays(system)
    if policy is not None:
        parts.append(
            scalar_source(
                "observe",
                task.observe,
                {"x": n, "task": task.size},
                "What the policy sees of the state x; `task` holds all numbers of the task.",
            )
        )
        text, weights = array_source(
            "policy", policy, task.observation_size(n), "An observation -> an action in [-1, 1]^d."
        )
        parts.append(text)
        arrays |= weights | {f"task_{name}": value for name, value in task.values.items()}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    names = ("None", "None") if policy is None else ("observe", "policy")
    load = _LOAD.format(arrays=ARRAYS, observe=names[0], policy=names[1], safeguard=kind)
    digest = f'_DIGEST = "{hashlib.sha256(content.getvalue()).hexdigest()}"\n'
    head = _head(system, version, policy is not None)
    module = "\n\n".join([_runtime(head), *parts, digest + "\n\n" + load])
    return {MODULE: module.encode(), ARRAYS: content.getvalue()}


def load_controller(folder: Path) -> Any:
    """The controller in a folder, as its own `load` gives it; nothing is written there."""
    file = folder / MODULE
    names: dict[str, Any] = {"__name__": "exported_controller", "__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), names)
    return names["load"]()


def _kind(safeguard: Safeguard, system: ModelSystem) -> str:
    """How the module calls a safeguard."""
    names = {BoundaryProjection: "boundary_projection", Replacement: "replacement"}
    if type(safeguard) in names:
        return names[type(safeguard)]
    if system.action_size == 1:
        if type(safeguard) is RayMask:
            return f"ray_mask:{safeguard.mapping}:{safeguard.center}"
        masks = {GaugeMap: "gauge_map", GeneratorMask: "generator_mask"}
        if type(safeguard) in masks:
            return masks[type(safeguard)]
    raise ModelError(
        f"The NumPy controller has no `{type(safeguard).__name__}` for {system.action_size} "
        "actions. It has `BoundaryProjection` and `Replacement` for any number of actions, and "
        "`RayMask`, `GaugeMap` and `GeneratorMask` for one. Use one of them, or export the JAX "
        "program alone, with `numpy=False`."
    )


def _arrays(system: ModelSystem) -> dict[str, np.ndarray]:
    """The numbers of a system that the controller computes with."""
    check, units = StepCheck.of(system), system.model.action_units
    H, room = (np.asarray(value) for value in system.claim.centered_set.halfspaces())
    W, inner = system.disturbance_set, check.disturbance_set
    arrays = {
        "H": H,
        "room": room,
        "center": system.center,
        "eps": system.eps,
        "w_center": np.asarray(W.center),
        "w_radius": np.asarray(W.radius),
        "w_low": np.asarray(inner.lower),
        "w_high": np.asarray(inner.upper),
        "action_center": units.center,
        "action_half_width": units.half_width,
        "action_low": np.asarray(units.box.lower),
        "action_high": np.asarray(units.box.upper),
        "facets": check.facets,
        "allowance": check.allowance,
        "metric": check.metric,
    }
    if system.blocks:
        rows = np.zeros((system.action_size, len(H)), bool)
        for block in system.blocks:
            for action in block.actions:
                rows[action, block.facets(H)] = True
        arrays["block_rows"] = rows
    elif system.action_size > 1:
        arrays["candidates"] = candidates(system.action_size)
    return arrays


def _runtime(head: str) -> str:
    """What is the same for all systems: the two modules of this package as one."""
    imported: dict[str, set[str]] = {}
    plain, bodies = set(), []
    for module in (_numpy_rows, _numpy_controller):
        text = Path(str(module.__file__)).read_text()
        nodes = ast.parse(text).body
        found = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in found:
            if isinstance(node, ast.Import):
                plain.add(ast.unparse(node))
            elif not node.level and node.module not in (None, "__future__"):
                imported.setdefault(str(node.module), set()).update(n.name for n in node.names)
        lines = text.splitlines()
        bodies.append("\n".join(lines[int(found[-1].end_lineno or 0) :]).strip())
    partly = [
        f"from {name} import {', '.join(sorted(imported[name]))}" for name in sorted(imported)
    ]
    imports = "\n".join([*sorted(plain - {_NUMPY}), *partly, "", _NUMPY])
    return "\n\n".join([head, _FUTURE, imports, "\n\n\n".join(bodies)]) + "\n"


def _head(system: ModelSystem, version: str, has_policy: bool) -> str:
    box = system.model.action_box
    ranges = ", ".join(
        f"from {low:.6g} to {high:.6g}"
        for low, high in zip(np.asarray(box.lower), np.asarray(box.upper), strict=True)
    )
    return _HEAD.format(
        name=system.model.name,
        version=version,
        call="(x)  # x: the measured state" if has_policy else ".safe_action(x, request)",
        units=ranges,
        guarantee=textwrap.fill(f"The guarantee: {system.guarantee}.", 100),
    )
