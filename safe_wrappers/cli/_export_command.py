"""`safe-wrappers export`."""

import sys
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .._compilation_cache import use_compilation_cache
from .._errors import SafeWrappersError
from ..algos.shac import checkpoint
from ..deployment import export_controller, latency_table
from ..envs import ModelEnv
from ..safeguards import NAMES, Safeguard, make_safeguard
from ..wrappers import SafeguardWrapper
from ._options import Export
from ._run_folder import RunFolder
from ._subject import program, subject_of
from ._usage import UsageError, require_known


def export(options: Export) -> int:
    """Exports the policy of a run and its safeguard. Returns 0."""
    folder = RunFolder(options.dir)
    run = folder.options()
    found = folder.checkpoint(options.checkpoint)
    subject = subject_of(run)
    safeguard = _safeguard(options, subject.guarded)
    env = subject.env
    if not isinstance(env, ModelEnv):
        raise UsageError(
            f"the observation of {type(env).__name__} is no function of the model's state; use "
            "`safe_wrappers.export_controller` with an `observe` of your own."
        )
    task = _task(options.task, env)
    if not folder.is_of(program(subject)):
        print(
            f"safe-wrappers: {run.system} has changed since the training; the system is exported "
            "as it is now.",
            file=sys.stderr,
        )
    use_compilation_cache()
    try:
        exported = export_controller(
            options.output,
            env.system,
            safeguard,
            policy=checkpoint.load_policy(found),
            observe=env.observe,
            task=task,
            numpy=options.numpy,
            calls=options.calls,
        )
    except FileExistsError as error:
        raise UsageError(f"--output: {error}") from error
    except OSError as error:
        raise UsageError(f"{options.output} cannot be written: {error.strerror}.") from error
    except SafeWrappersError as error:
        raise UsageError(str(error).replace("`numpy=False`", "--no-numpy")) from error
    print(f"{run.system}: checkpoint {found.name} behind {type(safeguard).__name__}")
    if exported.agreement is not None:
        print(
            f"  NumPy    acts as the library does at {exported.agreement.states} states, up to "
            f"{exported.agreement.difference:.1e} of half the action box"
        )
    if exported.latencies:
        print(latency_table(exported.latencies))
    print(f"  files    {exported.folder}/: README.md, {', '.join(exported.files)}")
    return 0


def _safeguard(options: Export, guarded: object) -> Safeguard:
    if options.safeguard is not None:
        require_known("safeguard", options.safeguard, NAMES)
        return make_safeguard(options.safeguard)
    if not isinstance(guarded, SafeguardWrapper):
        raise UsageError(
            f"{options.dir} is a run without a safeguard; give one with --safeguard, for example "
            "--safeguard boundary_projection."
        )
    return guarded.safeguard


def _task(given: Sequence[str], env: ModelEnv) -> Mapping[str, np.ndarray]:
    """What the observation needs beside the state.

    Raises:
        UsageError: If something is missing, has another shape, or is not needed.
    """
    x = jnp.zeros(env.model.state_size)
    needed = jax.eval_shape(env.task_info, x, jax.random.PRNGKey(0))
    values = {}
    for text in given:
        name, _, numbers = text.partition("=")
        require_known("task", name, list(needed))
        try:
            values[name] = np.array([float(number) for number in numbers.split(",")], np.float32)
        except ValueError:
            raise UsageError(
                f"--task must be NAME=NUMBERS, for example {name}=1,2, but it is {text!r}."
            ) from None
        size = int(np.prod(needed[name].shape))
        if values[name].size != size or not np.isfinite(values[name]).all():
            raise UsageError(f"--task {name} must be {size} finite numbers, but it is {numbers!r}.")
        values[name] = values[name].reshape(needed[name].shape)
    missing = [name for name in needed if name not in values]
    if missing:
        wanted = " ".join(
            f"{name}={','.join(['0'] * int(np.prod(needed[name].shape)))}" for name in needed
        )
        raise UsageError(
            f"the observation needs {', '.join(missing)} beside the state, which every episode "
            f"draws anew; give what it starts with, for example --task {wanted}."
        )
    return values
