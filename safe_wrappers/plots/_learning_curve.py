"""The picture of a training, on a figure of its own: pyplot's state is never touched."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from .._colors import BLUE, GREY, ORANGE, RED
from .._records import read_record
from ..algos.shac import checkpoint
from ..evaluation import read_rows
from ._style import tidy

_RETURNS = ("eval/return", "eval/episode_reward")  # of the command line, and of Brax's agents
_UNITS = {"interventions": ("% of steps", ORANGE), "violations": ("training", RED)}


def learning_curve(
    run: str | os.PathLike[str] | Sequence[Any],
    *,
    title: str | None = None,
    num_episodes: int | None = None,
    yardstick: float | None = None,
    agent: str = "SHAC",
) -> Figure:
    """The return of every evaluation, and below it the interventions and violations of the training
    between them, as far as they are known. Of several runs, the line is the median of their returns
    and the band holds 80 % of them; interventions are the mean of all runs, violations their sum.

    Args:
        run: The folder of a run of the command line, or its metrics.csv; or what `progress_fn` of a
            training was called with: a list of (interactions, metrics), or of metrics that hold
            their interactions; also the `history` of `train_many`.
        title: Title of the figure. Default: the name of the folder.
        num_episodes: Per evaluation, for the axis. Default: what the folder's summary says.
        yardstick: Return of clipped LQR on the same episodes. Default: as above.
        agent: Name of the agent.

    Raises:
        FileNotFoundError: If there are no metrics in the folder.
        ValueError: If there is no evaluation with a return.

    Example:
        >>> from safe_wrappers.plots import learning_curve
        >>> rows = [(0, {"eval/episode_reward": -90.0}), (512, {"eval/episode_reward": -7.0})]
        >>> figure = learning_curve(rows, title="my plant")
    """
    if isinstance(run, str | os.PathLike):
        path = Path(run)
        known = _summary(path)
        title = path.name if title is None else title
        num_episodes = known.get("evaluation_episodes") if num_episodes is None else num_episodes
        yardstick = known.get("lqr_return") if yardstick is None else yardstick
        rows = _stored_rows(path)
    else:
        rows = [_row(entry) for entry in run]
    rows = [row for row in rows if row]
    if not rows:
        raise ValueError(
            f"A learning curve needs evaluations with one of {', '.join(_RETURNS)}, but there are "
            "none; train with `num_evals=` of at least 2 and collect what `progress_fn` is called "
            "with."
        )
    steps = np.array([row["interactions"] for row in rows])
    returns = np.array([row["return"] for row in rows])  # (evaluations,) or (evaluations, runs)
    low, middle, high = np.percentile(returns.reshape(len(rows), -1), (10, 50, 90), axis=1)
    below = [name for name in _UNITS if any(f"training/{name}" in row for row in rows)]
    figure = Figure(figsize=(7.5, 3.6 + 1.2 * len(below)), layout="constrained")
    axes = figure.subplots(
        1 + len(below), 1, sharex=True, height_ratios=(3, *[1] * len(below)), squeeze=False
    )[:, 0]
    top = axes[0]
    top.set_title(title or "")
    _return_axis(top, returns if yardstick is None else np.append(returns, yardstick))
    label = agent
    if returns.ndim > 1:
        top.fill_between(steps, -low, -high, color=BLUE, alpha=0.2, linewidth=0)
        label = f"{agent}, median and 10-90 % of {returns.shape[1]} runs"
    top.plot(steps, -middle, color=BLUE, marker="o", markersize=3.5, label=label)
    if yardstick is not None:
        top.axhline(
            -yardstick,
            color=GREY,
            linestyle="--",
            linewidth=1,
            label="clipped LQR + boundary projection, same episodes",
        )
    top.set_ylabel("return" if num_episodes is None else f"return, mean of {num_episodes} episodes")
    top.legend(loc="lower right", frameon=False)
    for ax, name in zip(axes[1:], below, strict=True):
        over_runs = np.mean if name == "interventions" else np.sum
        totals = np.array([over_runs(row.get(f"training/{name}", 0.0)) for row in rows])
        _counts(ax, name, steps, totals)
    axes[-1].set_xlabel("environment interactions")
    axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes[-1].set_xlim(0, max(steps[-1], 1))
    for ax in axes:
        tidy(ax)
    return figure


def _counts(ax: Axes, name: str, steps: np.ndarray, totals: np.ndarray) -> None:
    unit, color = _UNITS[name]
    if name == "interventions":
        rates = 100 * np.diff(totals) / np.maximum(np.diff(steps), 1)
        ax.stairs(rates, steps, fill=True, color=color, alpha=0.75)
        ax.set_ylim(0, max(ax.get_ylim()[1], 1))
    else:
        ax.plot(steps, totals, color=color, drawstyle="steps-post")
        ax.set_ylim(-0.05 * max(totals.max(), 1), 1.1 * max(totals.max(), 1))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        ax.annotate(
            f"{totals[-1]:,.0f} in training",
            (0.99, 0.6),
            xycoords="axes fraction",
            ha="right",
            color=color,
        )
    ax.set_ylabel(f"{name}\n({unit})")


def _return_axis(ax: Axes, returns: np.ndarray) -> None:
    """Returns are costs with a minus sign, from thousands to a few: a logarithmic axis of -return,
    upside down.
    """
    ax.invert_yaxis()
    if np.all(returns[np.isfinite(returns)] < 0):
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{-value:,g}".replace("-", "\N{MINUS SIGN}"))
    )


def _row(entry: Any) -> dict[str, Any]:
    """An evaluation as `interactions`, `return` and its other metrics; empty if it has no return.

    Raises:
        TypeError: If it is neither metrics nor a pair of interactions and metrics.
    """
    pair = isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[1], Mapping)
    interactions, metrics = entry if pair else (None, entry)
    if not isinstance(metrics, Mapping):
        raise TypeError(
            "Each evaluation must be metrics or a pair (interactions, metrics), as `progress_fn` "
            f"is called with, but one is a `{type(entry).__name__}`."
        )
    names = [name for name in _RETURNS if name in metrics]
    if interactions is None:
        interactions = metrics.get("interactions", metrics.get("training/env_steps"))
    if not names or interactions is None:
        return {}
    return {
        **metrics,
        "interactions": int(interactions),
        "return": np.asarray(metrics[names[0]], float),
    }


def _stored_rows(path: Path) -> list[dict[str, Any]]:
    """The evaluations of a run: from its newest checkpoint, whose content is checked, or from
    metrics.csv if it has none.
    """
    with contextlib.suppress(FileNotFoundError):
        return [_row(row) for row in checkpoint.load_history(path / "checkpoints")]
    file = path / "metrics.csv" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"{path} must be the folder of a run with its metrics.csv, but {file} does not exist."
        )
    return [_row(row) for row in read_rows(file)]


def _summary(path: Path) -> dict[str, Any]:
    file = (path if path.is_dir() else path.parent) / "summary.json"
    try:
        return read_record(file)
    except FileNotFoundError:
        return {}  # the run is not finished
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{file} cannot be read: {error}; delete it and run the same training command again, "
            "which writes it anew."
        ) from error
