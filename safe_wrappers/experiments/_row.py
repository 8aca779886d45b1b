"""One row of a study from its training to its files."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._files import new_folder
from .._records import read_record, write_record
from ..evaluation import machine, versions
from ._evaluation import Judged, JudgedEvaluation, reference_return, subject
from ._learners import Outcome, check_options, train
from ._study import StudyRow
from ._tables import (
    EVALUATION_COLUMNS,
    EVALUATIONS,
    RUN_COLUMNS,
    RUNS,
    Line,
    read_csv,
    write_csv,
)

_RECORD = "row.json"  # written last; the folder counts with it only
_WITHIN = 0.05  # of the final return, for the interactions to 95 % of it


def folder_of(output: Path, row: StudyRow) -> Path:
    """Where the results of a row lie."""
    return output / "rows" / row.name.replace("/", "__")


def is_finished(output: Path, row: StudyRow) -> bool:
    """Whether the results of this very row are there: not those of other settings."""
    try:
        return read_record(folder_of(output, row) / _RECORD)["digest"] == row.digest
    except (OSError, ValueError, KeyError):
        return False


def check_row(row: StudyRow) -> None:
    """Builds the environments of a row, so that a wrong option is found before anything is trained.

    Raises:
        TypeError, ValueError: If there is a wrong option.
    """
    check_options(row)
    for variant in (row.variant, *row.deployed):
        subject(row.task, variant, evaluated=True)
    subject(row.task, row.variant, evaluated=False)


def run_row(row: StudyRow, output: Path, report: Callable[[int], None]) -> None:
    """Trains and evaluates a row, and writes its folder, which is there whole or not at all.

    Args:
        row: What to run.
        output: The folder of the study.
        report: Told of the interactions that were made.
    """
    start = time.perf_counter()
    with new_folder(folder_of(output, row)) as folder:
        scratch = folder / "scratch"
        scratch.mkdir()
        env = subject(row.task, row.variant, evaluated=False).wrapper
        outcome = train(row, env, scratch, report)
        shutil.rmtree(scratch)
        evaluation = JudgedEvaluation(row, row.variant, outcome.make_policy)
        judged = [(steps, evaluation(params)) for steps, params in outcome.snapshots]
        write_csv(folder / EVALUATIONS, EVALUATION_COLUMNS, _evaluation_lines(row, judged))
        runs = _run_lines(row, judged, outcome)
        steps, params = outcome.snapshots[-1]
        for variant in row.deployed:
            behind = JudgedEvaluation(row, variant, outcome.make_policy)(params)
            runs += [
                {"behind": variant.name, "interactions": steps, **_at_the_end(row, behind, seed)}
                for seed in range(row.seeds)
            ]
        of_all = {
            "row_seconds": time.perf_counter() - start,
            "machine": f"{machine()}, jax {versions()['jax']}",
        }
        write_csv(folder / RUNS, RUN_COLUMNS, [line | of_all for line in runs])
        known = {"row": row.name, "digest": row.digest, "machine": machine(), **versions()}
        write_record(folder / _RECORD, known)


def row_lines(output: Path, row: StudyRow) -> tuple[list[Line], list[Line]]:
    """The evaluations and the runs of a finished row."""
    folder = folder_of(output, row)
    return read_csv(folder / EVALUATIONS), read_csv(folder / RUNS)


def run_reference(row: StudyRow, output: Path) -> None:
    """Computes what the policies of a row's task are compared with, and writes it."""
    value = reference_return(row)
    folder = output / "references"
    folder.mkdir(parents=True, exist_ok=True)
    write_record(
        folder / f"{row.task.name}.json", {"digest": reference_digest(row), "return": value}
    )


def known_reference(row: StudyRow, output: Path) -> tuple[bool, float | None]:
    """Whether the reference of a row's task is known, and its return if it has one."""
    try:
        record = read_record(output / "references" / f"{row.task.name}.json")
    except (OSError, ValueError):
        return False, None
    return record["digest"] == reference_digest(row), record["return"]


def reference_digest(row: StudyRow) -> str:
    """What the reference depends on."""
    task = row.task
    options = sorted({**task.options, **task.evaluation_options}.items())
    return f"{task.system} {options} {task.reference} {task.episode_length} {row.episodes}"


def _evaluation_lines(row: StudyRow, judged: list[tuple[int, Judged]]) -> list[Line]:
    return [
        {
            "row": row.name,
            "seed": seed,
            "interactions": steps,
            "return": found.returns[seed],
            "unsafe_requests": found.unsafe_requests[seed],
            "exits": found.exits[seed],
            "judged_exits": found.judged_exits[seed],
        }
        for seed in range(row.seeds)
        for steps, found in judged
    ]


def _run_lines(
    row: StudyRow, judged: list[tuple[int, Judged]], outcome: Outcome
) -> list[dict[str, Any]]:
    last, lines = judged[-1][1], []
    for seed in range(row.seeds):
        final = float(last.returns[seed])
        level = final - _WITHIN * abs(final)
        counts = {name: int(values[seed]) for name, values in outcome.counts.items()}
        interactions = judged[-1][0]
        line = {
            "interactions": interactions,
            "interactions_to_own_95_percent": next(
                steps for steps, found in judged if not found.returns[seed] < level
            ),
            **_at_the_end(row, last, seed),
            # over all evaluations
            "exits": sum(int(found.exits[seed]) for _, found in judged),
            "judged_exits": sum(int(found.judged_exits[seed]) for _, found in judged),
            "smallest_margin": min(float(found.smallest_margin[seed]) for _, found in judged),
            "fallbacks": sum(int(found.fallbacks[seed]) for _, found in judged),
            "training_seconds": outcome.training_seconds,
        }
        if counts:
            line |= {
                "training_exits": counts["violations"],
                "training_unsafe_requests": counts["interventions"] / interactions,
                "training_fallbacks": counts["fallbacks"],
                "skipped_updates": counts["skipped_updates"],
            }
        lines.append(line)
    return lines


def _at_the_end(row: StudyRow, found: Judged, seed: int) -> Line:
    return {
        "row": row.name,
        "seed": seed,
        "return": float(np.asarray(found.returns)[seed]),
        "unsafe_requests": float(found.unsafe_requests[seed]),
        "exits": int(found.exits[seed]),
        "judged_exits": int(found.judged_exits[seed]),
        "final_exits": int(max(found.exits[seed], found.judged_exits[seed])),
        "smallest_margin": float(found.smallest_margin[seed]),
        "fallbacks": int(found.fallbacks[seed]),
    }
