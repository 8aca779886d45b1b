"""The rows of a study, one after the other or several at once, and on from where they stopped."""

import collections
import concurrent.futures
import functools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._compilation_cache import use_compilation_cache
from .._files import lock, remove_leftovers
from ._row import check_row, is_finished, known_reference, row_lines, run_reference, run_row
from ._study import Study, StudyError, StudyRow
from ._tables import EVALUATION_COLUMNS, EVALUATIONS, Line, Results, write_csv, write_results

_QUANTILES = (0.5, 0.1, 0.9)


class Progress(NamedTuple):
    """Where a study stands.

    Attributes:
        row: The row that something is said of.
        interactions: How many it has made since the last time; those of a row that runs in another
            process are told when it is finished.
        finished: Whether it is finished.
        error: Why it failed, if it did.
    """

    row: StudyRow
    interactions: int = 0
    finished: bool = False
    error: str | None = None


def run_study(
    study: Study,
    output: Path,
    *,
    rows: Sequence[StudyRow] | None = None,
    processes: int = 1,
    progress: Callable[[Progress], None] = lambda event: None,
) -> Results:
    """Runs the rows of a study that are not finished yet, and writes its tables after each.

    A row is finished when its folder is there, which is written whole or not at all: after a kill,
    the same call goes on with the rows that are missing. A row whose settings have changed since is
    run again; changes of the library are not noticed, so take a new folder after an update. A row
    that fails is reported and does not keep the others from running.

    Args:
        study: The study.
        output: The folder of its results; it is created if need be.
        rows: Those of its rows that are run. Default: all of them.
        processes: How many rows are run at once, each in a process of its own with its share of the
            processor's cores.
        progress: Called whenever there is something to say.

    Returns:
        The results of all finished rows of the study.

    Raises:
        StudyError: If an option of a row is wrong, or another process writes into the folder.
        OSError: If the folder cannot be written.
    """
    rows = study.rows if rows is None else rows
    waiting = [row for row in rows if not is_finished(output, row)]
    for row in waiting:
        try:
            check_row(row)
        except (TypeError, ValueError) as error:
            raise StudyError(f"{row.name} cannot be built: {error}") from error
    output.mkdir(parents=True, exist_ok=True)
    holder = lock(output / ".lock")
    if isinstance(holder, int):
        raise StudyError(
            f"{output} must belong to one process at a time, but process {holder} writes there."
        )
    with holder:
        remove_leftovers(output / "rows")
        run = _one_by_one if processes == 1 else functools.partial(_at_once, processes)
        for event in run(rows, waiting, output, progress):
            progress(event)
            if event.finished:
                results_of(study, output)
        return results_of(study, output)


def results_of(study: Study, output: Path) -> Results:
    """Puts the finished rows of a study together, and writes its tables.

    Args:
        study: The study.
        output: The folder of its results.
    """
    evaluations: list[Line] = []
    results = Results([], [], {})
    for row in study.rows:
        known, value = known_reference(row, output)
        if known and value is not None:
            results.references[row.task.name] = value
        if is_finished(output, row):
            found, runs = row_lines(output, row)
            evaluations += found
            results.runs.extend(runs)
            results.curves.extend(_curve(row.name, found))
    write_csv(output / EVALUATIONS, EVALUATION_COLUMNS, evaluations)
    write_results(output, results)
    return results


def _curve(name: str, evaluations: Sequence[Line]) -> list[Line]:
    returns = collections.defaultdict(list)
    for line in evaluations:
        returns[line["interactions"]].append(line["return"])
    return [
        {"row": name, "interactions": steps}
        | dict(zip(("median", "low", "high"), np.quantile(values, _QUANTILES), strict=True))
        for steps, values in sorted(returns.items())
    ]


def _references(rows: Sequence[StudyRow], output: Path) -> list[StudyRow]:
    """One row of each task whose reference is not known yet."""
    tasks = {row.task.name: row for row in rows if not known_reference(row, output)[0]}
    return list(tasks.values())


def _one_by_one(
    rows: Sequence[StudyRow],
    waiting: Sequence[StudyRow],
    output: Path,
    progress: Callable[[Progress], None],
) -> Iterator[Progress]:
    use_compilation_cache()
    for row in _references(rows, output):
        run_reference(row, output)
    for row in waiting:
        try:
            run_row(row, output, lambda steps, row=row: progress(Progress(row, steps)))
        except Exception as error:
            yield Progress(row, error=_said(error))
        else:
            yield Progress(row, finished=True)


def _at_once(
    processes: int,
    rows: Sequence[StudyRow],
    waiting: Sequence[StudyRow],
    output: Path,
    progress: Callable[[Progress], None],
) -> Iterator[Progress]:
    del progress
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit JAX, which hangs
    numbers = spawn.Queue()
    for number in range(processes):
        numbers.put(number)
    with concurrent.futures.ProcessPoolExecutor(
        processes, spawn, initializer=_take_cores, initargs=(numbers, processes)
    ) as pool:
        try:
            asked = {
                pool.submit(run_reference, row, output): None for row in _references(rows, output)
            }
            # The longest first, so that the end does not wait for one that started last.
            longest = sorted(waiting, key=lambda row: -row.num_timesteps * row.seeds)
            asked |= {pool.submit(_row_of_a_process, row, output): row for row in longest}
            for done in concurrent.futures.as_completed(asked):
                row, error = asked[done], done.exception()
                if row is None:
                    if error is not None:
                        raise error
                elif error is not None:
                    yield Progress(row, error=_said(error))
                else:
                    yield Progress(row, row.num_timesteps * row.seeds, finished=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # what a row leaves half done is removed by the next run
            raise


def _row_of_a_process(row: StudyRow, output: Path) -> None:
    run_row(row, output, lambda steps: None)


def _take_cores(numbers: Any, processes: int) -> None:
    """Keeps a new process to its share of the cores, before it starts threads for them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    number = numbers.get()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        share = max(len(cores) // processes, 1)
        mine = [cores[(number * share + i) % len(cores)] for i in range(share)]
        os.sched_setaffinity(0, mine)
    use_compilation_cache()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
