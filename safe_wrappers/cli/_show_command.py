"""`safe-wrappers show`."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import envs
from .._compilation_cache import use_compilation_cache
from ..safeguards import NAMES, make_safeguard
from ..wrappers import SafeguardWrapper
from ._options import Show
from ._subject import target_environment
from ._targets import is_file
from ._usage import UsageError, require_known, require_new_file, usage_errors

_OPTIONS = ("mapping", "center", "gradient")
# Of the requests, how many are to be unsafe at the states that are shown, by the number of actions.
_UNSAFE_SHARES = {1: (0.0, 0.35, 0.75), 2: (0.35, 0.75)}


def show(options: Show) -> int:
    """Draws what a safeguard does, and writes the picture. Returns 0."""
    from ..plots import box_figure, chosen_states, interval_figure, save_figure

    require_known("safeguard", options.safeguard, NAMES)
    given = {name: value for name in _OPTIONS if (value := getattr(options, name)) is not None}
    with usage_errors(_OPTIONS):
        safeguard = make_safeguard(options.safeguard, **given)
    env: Any = target_environment(options)
    system = env.system
    if system.action_size not in _UNSAFE_SHARES:
        raise UsageError(
            f"pictures are drawn for one or two actions, but {options.target} has "
            f"{system.action_size}."
        )
    output = _output(options, given)
    use_compilation_cache()
    if options.state is None:
        with usage_errors():
            states = chosen_states(env, _UNSAFE_SHARES[system.action_size])
    else:
        states = _given_state(env, options.state)
    safe_set = "" if options.safe_set is None else f" ({Path(options.safe_set).stem})"
    parts = [options.safeguard, *(f"{name} {value}" for name, value in given.items())]
    title = f"{_name(options)}{safe_set}, {', '.join(parts)}"
    draw = interval_figure if system.action_size == 1 else box_figure
    try:
        save_figure(draw(system, safeguard, states, title=title), output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.") from error
    print(f"Wrote {output}.")
    return 0


def _given_state(env: envs.ModelEnv | SafeguardWrapper, state: tuple[float, ...]) -> np.ndarray:
    """The state, shape (1, n).

    Raises:
        UsageError: If it does not have the system's size, is not safe, or is none that the
            guarantee covers.
    """
    (size,) = jax.eval_shape(env.system.sample_initial, jax.random.PRNGKey(0)).shape
    if len(state) != size:
        raise UsageError(f"--state must have {size} numbers, but it has {len(state)}.")
    x = np.asarray(state, np.float32)
    if not (margin := float(env.system.margin(jnp.asarray(x)))) >= 0:
        raise UsageError(
            "--state must lie in the safe set, where the margin is at least 0, but "
            f"its margin is {margin:.3g}."
        )
    if not env.admissible(jnp.asarray(x)):
        kind = type(env).__name__
        raise UsageError(
            f"--state must be one that the guarantee of {kind} covers; this one is "
            f"safe, but not covered: see {kind}.admissible."
        )
    return x[None]


def _output(options: Show, given: dict[str, Any]) -> Path:
    """The file to write.

    Raises:
        UsageError: If it has no folder that can be written to.
    """
    output = options.output
    if output.is_dir():
        output = output / f"{'_'.join([_name(options), options.safeguard, *given.values()])}.png"
    require_new_file("--output", output, ".png")
    return output


def _name(options: Show) -> str:
    """The target as a title and as a part of a file's name: plants.py:drone is drone."""
    target = options.target
    return Path(target).stem if is_file(target) else target.rpartition(":")[2]
