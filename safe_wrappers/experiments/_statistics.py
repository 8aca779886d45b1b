"""What the runs of a row come to: means with intervals, medians, and how many got stuck."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from ..evaluation import gap
from ._tables import Line, Results

STUCK = 0.25  # a final return that is farther below the reference counts as stuck
_RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class RowSummary:
    """All seeds of a row at the end, those that got stuck included.

    Attributes:
        row: Its name.
        behind: The safeguard in the evaluation, if not that of the training; else empty.
        seeds: How many runs.
        mean: Mean of the returns, with the ends of its 95 % bootstrap interval.
        median: Median of the returns.
        interactions: Median of the interactions after which a run was within 5 % of its own final
            return, with the ends of its 95 % bootstrap interval; None for a deployed policy.
        gap: Median of (reference - return) / |reference|; None without a reference.
        worst_gap: The largest.
        stuck: Runs whose gap is above 25 %; None without a reference.
        training_exits: Steps of the trainings after which a state was outside, as the environment
            counts; None if the trainer does not pass that on.
        evaluation_exits: Steps of all evaluations after which a state was outside, by the greater
            of two counts: that of the environment, and that of a judge in float64.
        final_exits: Those in the last evaluations alone.
        unsafe_requests: Median share of unsafe requests, in the training (None if not counted) and
            in the last evaluation.
        seconds: What all seeds took together, compilation and evaluation included.
        training_seconds: Seconds of training of all seeds alone; None if not known.
        machine: What computed, in a few words.
    """

    row: str
    behind: str
    seeds: int
    mean: tuple[float, float, float]
    median: float
    interactions: tuple[float, float, float] | None
    gap: float | None
    worst_gap: float | None
    stuck: int | None
    training_exits: int | None
    evaluation_exits: int
    final_exits: int
    unsafe_requests: tuple[float | None, float]
    seconds: float
    training_seconds: float | None
    machine: str


def summarise_rows(results: Results) -> list[RowSummary]:
    """The summaries of all rows, deployed policies after the row that they come from.

    Args:
        results: What was run.
    """
    names = dict.fromkeys((line["row"], line["behind"]) for line in results.runs)
    return [
        _summary(
            [line for line in results.runs if (line["row"], line["behind"]) == name],
            results.references.get(name[0].split("/")[0]),
        )
        for name in names
    ]


def interval(
    values: Sequence[float], statistic: Callable[..., Any] = np.mean
) -> tuple[float, float, float]:
    """A statistic of some numbers with the ends of its 95 % bootstrap interval (percentiles of
    10,000 resamples).

    Args:
        values: The numbers; of a single one, and of any that are not finite, it is both ends.
        statistic: A function of an array with the keyword `axis`.

    Example:
        >>> from safe_wrappers.experiments import interval
        >>> value, low, high = interval([1.0, 2.0, 3.0])
        >>> low < value < high
        True
    """
    array = np.asarray(values, float)
    value = float(statistic(array))
    if len(array) < 2 or np.all(array == array[0]) or not np.isfinite(value):
        return value, value, value
    ends = bootstrap(
        (array,),
        statistic,
        n_resamples=_RESAMPLES,
        method="percentile",
        # Its name in all versions of SciPy that are supported; since 1.15 there is another.
        random_state=np.random.default_rng(0),  # pyright: ignore[reportCallIssue]
    ).confidence_interval
    return value, float(ends.low), float(ends.high)


def _summary(runs: Sequence[Line], reference: float | None) -> RowSummary:
    returns = [line["return"] for line in runs]
    gaps = [gap(value, reference) for value in returns]
    known = [value for value in gaps if value is not None]
    reached = [line["interactions_to_own_95_percent"] for line in runs]
    trained = not runs[0]["behind"]
    return RowSummary(
        row=runs[0]["row"],
        behind=runs[0]["behind"],
        seeds=len(runs),
        mean=interval(returns),
        median=float(np.median(returns)),
        interactions=interval(reached, np.median) if trained else None,
        gap=float(np.median(known)) if known else None,
        worst_gap=float(np.max(known)) if known else None,
        stuck=sum(not value <= STUCK for value in known) if known else None,
        training_exits=_total(runs, "training_exits"),
        evaluation_exits=sum(max(line["exits"], line["judged_exits"]) for line in runs),
        final_exits=sum(line["final_exits"] for line in runs),
        unsafe_requests=(
            _median(runs, "training_unsafe_requests"),
            float(np.median([line["unsafe_requests"] for line in runs])),
        ),
        seconds=float(runs[0]["row_seconds"]),
        training_seconds=runs[0]["training_seconds"],
        machine=runs[0]["machine"],
    )


def _total(runs: Sequence[Line], name: str) -> int | None:
    values = [line[name] for line in runs]
    return None if any(value is None for value in values) else int(sum(values))


def _median(runs: Sequence[Line], name: str) -> float | None:
    if any(line[name] is None for line in runs):
        return None
    return float(np.median([line[name] for line in runs]))
