"""How long one call takes."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

_WARM_UP = 20


class Latency(NamedTuple):
    """Times of single calls, in microseconds.

    Attributes:
        median: Half of the calls took at most so long.
        most: 99 % of the calls took at most so long.
    """

    median: float
    most: float


def latency(call: Callable[[], Any], calls: int) -> Latency:
    """Measures a call, after some calls that are not counted; what it returns is waited for, and
    read.

    Args:
        call: The function to measure.
        calls: Number of calls.
    """
    for _ in range(_WARM_UP):
        jax.tree.map(np.asarray, call())
    times = np.empty(calls)
    for i in range(calls):
        start = time.perf_counter_ns()
        jax.tree.map(np.asarray, call())
        times[i] = (time.perf_counter_ns() - start) / 1e3
    return Latency(float(np.median(times)), float(np.percentile(times, 99)))


def latency_table(latencies: Mapping[str, Latency]) -> str:
    """The latencies as a table in Markdown."""
    rows = [f"| {name} | {one.median:.0f} | {one.most:.0f} |" for name, one in latencies.items()]
    return "\n".join(["| one call | median, µs | 99 %, µs |", "|---|---|---|", *rows])
