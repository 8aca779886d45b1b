"""Many steps under worst-case disturbances, counted in float64."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._gate import as_integer, as_seed
from ..certificates import Certificate, Claim
from ..safeguards import Safeguard
from ._soak_report import SoakReport
from ._soak_state import SoakState, read
from ._starts import on_boundary
from ._strategies import bang_bang
from ._subject import Subject, subject_of
from ._verdict import judged
from ._window import GIVEN, WORST, Plan, Windows

COUNT, LENGTH = 1024, 256  # episodes of a round, steps of each
_WRITTEN = 15.0  # s from one writing of the state file to the next


def soak(
    env: Any,
    safeguard: Safeguard | str | None = None,
    *,
    steps: int,
    seed: int = 0,
    claim: Claim | Certificate | None = None,
    state: str | os.PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> SoakReport:
    """Runs a safeguarded plant for many steps under the worst disturbance of each step, and counts
    exits in float64.

    Episodes of 256 steps, 1024 at once, half of them from the boundary of the safe set; requests
    are random in one round and bang-bang, held for a random while, in the next. Every step is
    judged as by `attack`. A step whose margin is above a threshold in float32, where the rounding
    of that margin is proved to be smaller, is safe without being computed again.

    Args:
        env: As in `attack`.
        safeguard: As in `attack`.
        steps: How many, in total; rounded up to whole rounds.
        seed: Random seed. The episodes are the same for the same seed, however often the soak is
            interrupted.
        claim: As in `attack`.
        state: A small file that is written every few seconds: the same call goes on where it says.
            Its folder must exist. Default: none.
        progress: Gets a line of text now and then.

    Raises:
        TypeError, ValueError: As `attack`; or if `state` is about another soak.
        OSError: If `state` cannot be read or written.

    Example:
        >>> report = soak(envs.SafePendulum(safe_set="narrow"), steps=100_000)
        >>> report.held
        True
    """
    steps, seed = as_integer("steps", steps, 1), as_seed(seed)
    subject = subject_of(env, safeguard, claim)
    about = {
        "system": subject.system,
        "safeguard": subject.guard,
        "claim": subject.judge.digest,
        "seed": seed,
    }
    path = None if state is None else Path(state)
    counted = SoakState(about) if path is None else read(path, about)
    windows, compiled = Windows(subject), _Compilations()
    began, before = time.perf_counter(), counted.seconds
    written = began
    with compiled:
        while counted.steps < steps:
            _round(subject, windows, counted)
            now = time.perf_counter()
            counted.seconds = before + now - began
            counted.compilations += compiled.since_the_first_round()
            if now - written > _WRITTEN or counted.steps >= steps or counted.rounds == 1:
                written = now
                counted.remember(_mebibytes())
                if path is not None:
                    counted.write(path)
            if progress is not None:
                progress(
                    f"{counted.steps:,} of {steps:,} steps, {counted.exits:,} exits, least margin "
                    f"{counted.margin:.3g}"
                )
    return SoakReport(
        **about,
        steps=counted.steps,
        exits=counted.exits,
        unsafe_actions=counted.unsafe_actions,
        episodes=counted.episodes,
        episodes_left=counted.episodes_left,
        margin=counted.margin,
        seconds=counted.seconds,
        memory=tuple(counted.memory),
        compilations=counted.compilations,
        state_file=None if path is None else str(path),
    )


def _round(subject: Subject, windows: Windows, counted: SoakState) -> None:
    """Runs and counts the next round."""
    judge = subject.judge
    rng = np.random.default_rng([counted.about["seed"], counted.rounds])
    x = windows.sample(COUNT, int(rng.integers(2**31)))
    x = x[judge.covers(x)]
    x = x[rng.integers(len(x), size=COUNT)]
    x[: COUNT // 2] = on_boundary(judge, x[: COUNT // 2], rng)
    d, k, n = judge.model.action_size, judge.model.disturbance_size, judge.model.state_size
    shape = (LENGTH, COUNT, d)
    requests = bang_bang(shape, rng) if counted.rounds % 2 else rng.uniform(-1, 1, shape)
    plan = Plan(
        requests.astype(np.float32),
        np.zeros((LENGTH, COUNT, k), np.float32),
        np.full(COUNT, GIVEN, np.int32),
        np.full(COUNT, WORST, np.int32),
        np.zeros((COUNT, n), np.float32),
    )
    verdict = judged(windows, windows.run(x, plan))
    counted.rounds += 1
    counted.steps += int(verdict.counted.sum())
    counted.exits += int(verdict.exit.sum())
    counted.unsafe_actions += int(verdict.unsafe_action.sum())
    counted.episodes += COUNT
    counted.episodes_left += int(verdict.broken.any(axis=0).sum())
    counted.margin = min(counted.margin, float(verdict.margin[verdict.counted].min()))


class _Compilations:
    """Counts the programs that JAX compiles."""

    def __init__(self):
        self._count, self._seen = 0, None

    def __enter__(self) -> "_Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._on_event)

    def since_the_first_round(self) -> int:
        """How many there were since the last call; 0 for the first one, which compiles."""
        new = 0 if self._seen is None else self._count - self._seen
        self._seen = self._count
        return new

    def _on_event(self, event: str, duration_secs: float, **_: Any) -> None:
        self._count += event.endswith("backend_compile_duration")


def _mebibytes() -> float:
    """The memory that the process has now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
