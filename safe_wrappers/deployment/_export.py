"""The export of a controller: a folder that runs without the training, or without JAX at all."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._files import new_folder, write_bytes, write_text
from .._gate import instance_of
from ..certificates import Guarantee
from ..evaluation import versions, write_json
from ..safe_actions import System, SystemOfModel, units_of
from ..safeguards import Safeguard
from ._agreement import Agreement, compare
from ._jax_program import PLATFORMS, controlled, protected, serialised
from ._latency import Latency, latency, latency_table
from ._numpy_files import MODULE, load_controller, numpy_files
from ._policies import as_function
from ._readme import readme
from ._task import Task

CONTROLLER, SAFE_ACTION = "controller.jax", "safe_action.jax"
_MANIFEST = "export.json"
_FORMAT = 1


class Exported(NamedTuple):
    """What was exported.

    Attributes:
        folder: The folder that was written.
        files: The names of its files.
        latencies: Time of a call at one state, by the name of what is called; empty if it was not
            measured.
        agreement: The comparison of the NumPy controller with the library, or None without one.
    """

    folder: Path
    files: tuple[str, ...]
    latencies: Mapping[str, Latency]
    agreement: Agreement | None


def export_controller(
    folder: str | os.PathLike[str],
    system: System,
    safeguard: Safeguard,
    *,
    policy: Callable[..., Any] | None = None,
    observe: Callable[[jax.Array, Mapping[str, Any]], jax.Array] | None = None,
    task: Mapping[str, Any] | None = None,
    numpy: bool = True,
    calls: int = 1000,
) -> Exported:
    """Writes a folder that turns measured states into safe actions, without the training and
    without an environment.

    The folder holds

    - `controller.py` and `controller.npz`: the controller in NumPy alone, for Python 3.9 or newer.
      Before they are written, their actions are compared with the library's;
    - `safe_action.jax`: the program (state, request) -> action and flags, and with a policy
      `controller.jax`: (state, task) -> the same, for CPUs and CUDA GPUs, which
      `jax.export.deserialize` reads;
    - `README.md`, with the lines that load them, what is guaranteed, and the measured latency;
      `export.json`, the same for programs.

    Args:
        folder: The folder to write. An earlier export there is replaced; anything else is kept, and
            is an error.
        system: The system.
        safeguard: The safeguard.
        policy: observation -> action in [-1, 1]^d, in JAX, as the environments of the library take
            it, or a policy of Brax. None: the requests come from elsewhere.
        observe: (x, info) -> observation, for example `env.observe`. Default: x itself.
        task: The numbers that `info` holds, by name, for example {"goal": [6.0, 6.0]}. These
            numbers can be changed where the controller runs.
        numpy: Whether the controller in NumPy is written, too.
        calls: Number of calls whose time is measured; 0 for none.

    Raises:
        FileExistsError: If the folder holds something else.
        TypeError: If `system` is no system or `safeguard` no safeguard.
        ModelError: If something has no translation to NumPy, or the translation does not act as
            the library does.
    """
    folder = Path(folder).absolute()
    instance_of("system", system, System)
    instance_of("safeguard", safeguard, Safeguard)
    _require_free(folder)
    function = None if policy is None else as_function(policy)
    given = Task(observe, task or {})
    files = _programs(system, safeguard, function, given)
    agreement = None
    with new_folder(folder) as complete:
        if numpy:
            files |= numpy_files(system, safeguard, function, given, versions()["safe_wrappers"])
        for name, content in files.items():
            write_bytes(complete / name, content)
        if numpy:
            agreement = compare(load_controller(complete), system, safeguard, function, given)
        measured = _latencies(complete, system, safeguard, function, given, calls)
        guarantee = getattr(system, "guarantee", Guarantee("tested", "the system says nothing"))
        description = {
            "format": _FORMAT,
            "system": system.model.name if isinstance(system, SystemOfModel) else None,
            "safeguard": repr(safeguard),
            "guarantee": guarantee._asdict(),
            "task": {name: value.tolist() for name, value in given.values.items()},
            "platforms": list(PLATFORMS),
            "versions": versions(),
            "agreement": None if agreement is None else agreement._asdict(),
            "latency_us": {name: one._asdict() for name, one in measured.items()},
            "files": sorted(files),
        }
        write_json(complete / _MANIFEST, description)
        write_text(
            complete / "README.md", readme(description, system, latency_table(measured), given)
        )
    return Exported(folder, tuple(sorted(files)), measured, agreement)


def _require_free(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        if not (folder / _MANIFEST).is_file():
            raise FileExistsError(
                f"{folder} must not exist yet, be empty or hold an export, but it holds something "
                "else; give another folder."
            )


def _programs(
    system: System, safeguard: Safeguard, policy: Callable[..., Any] | None, task: Task
) -> dict[str, bytes]:
    x, request = _example(system)
    programs = {SAFE_ACTION: serialised(protected(system, safeguard), x, request)}
    if policy is not None:
        program = controlled(system, safeguard, policy, task)
        programs[CONTROLLER] = serialised(program, x, task.values)
    return programs


def _example(system: System) -> tuple[jax.Array, jax.Array]:
    """A state of the safe set, and a request at the end of the action box."""
    x = system.sample_initial(jax.random.PRNGKey(0)).astype(jnp.float32)
    return x, units_of(system).natural(jnp.ones(system.action_size, jnp.float32))


def _latencies(
    folder: Path,
    system: System,
    safeguard: Safeguard,
    policy: Callable[..., Any] | None,
    task: Task,
    calls: int,
) -> dict[str, Latency]:
    if not calls:
        return {}
    x, request = _example(system)
    state, asked = np.asarray(x), np.asarray(request)
    jitted: Any = jax.jit(protected(system, safeguard))
    arguments: tuple[Any, ...] = (state, asked)
    if policy is not None:
        jitted = jax.jit(controlled(system, safeguard, policy, task))
        arguments = (state, task.values)
    name = CONTROLLER if policy is not None else SAFE_ACTION
    loaded = jax.export.deserialize(bytearray((folder / name).read_bytes()))
    device = jax.devices()[0].device_kind
    measured = {
        f"JAX, jitted ({device})": latency(lambda: jitted(*arguments), calls),
        f"JAX, exported ({device})": latency(
            functools.partial(jax.jit(loaded.call), *arguments), calls
        ),
    }
    if (folder / MODULE).exists():
        controller = load_controller(folder)
        call = (
            controller
            if policy is not None
            else functools.partial(
                lambda x, request: controller.safe_action(x, request), request=asked
            )
        )
        measured["NumPy"] = latency(lambda: call(state), calls)
    return measured
