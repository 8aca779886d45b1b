"""Pictures of a run. They draw on figures of their own and never touch pyplot's state."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from .._colors import BLUE, GREY, ORANGE, RED
from ..envs import CertifiedEnv
from ..evaluation import Episodes, Row
from ..sets import Box
from ..sets._draw import outline
from ._style import state_labels, tidy

_TRAJECTORIES = 24


def learning_curve(
    rows: Sequence[Row], *, title: str, num_episodes: int, yardstick: float | None
) -> Figure:
    """The return of every evaluation, and below it the interventions and violations of the training
    between them.

    Args:
        rows: Rows of metrics.csv.
        title: Title of the figure.
        num_episodes: Per evaluation.
        yardstick: Return of clipped LQR on the same episodes, if there is one.
    """
    figure = Figure(figsize=(7.5, 6.0), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    steps = np.array([row["interactions"] for row in rows])
    returns = np.array([row["eval/return"] for row in rows])
    top.set_title(title)
    _return_axis(top, returns if yardstick is None else np.append(returns, yardstick))
    top.plot(steps, -returns, color=BLUE, marker="o", markersize=3.5, label="SHAC")
    if yardstick is not None:
        top.axhline(
            -yardstick,
            color=GREY,
            linestyle="--",
            linewidth=1,
            label="clipped LQR + boundary projection, same episodes",
        )
    top.set_ylabel(f"return, mean of {num_episodes} episodes")
    top.legend(loc="lower right", frameon=False)

    lengths = np.diff(steps)
    for ax, name, unit, color in (
        (middle, "interventions", "% of steps", ORANGE),
        (bottom, "violations", "training", RED),
    ):
        totals = np.array([row.get(f"training/{name}", 0.0) for row in rows])
        if name == "interventions":
            ax.stairs(100 * np.diff(totals) / lengths, steps, fill=True, color=color, alpha=0.75)
            ax.set_ylim(0, max(ax.get_ylim()[1], 1))
        else:
            ax.plot(steps, totals, color=color, drawstyle="steps-post")
            ax.set_ylim(-0.05 * max(totals.max(), 1), 1.1 * max(totals.max(), 1))
            ax.annotate(
                f"{totals[-1]:,.0f} in training",
                (0.99, 0.6),
                xycoords="axes fraction",
                ha="right",
                color=color,
            )
        ax.set_ylabel(f"{name}\n({unit})")
    bottom.set_xlabel("environment interactions")
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    bottom.set_xlim(0, steps[-1])
    bottom.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
    for ax in (top, middle, bottom):
        tidy(ax)
    return figure


def phase_portrait(env: CertifiedEnv, episodes: Episodes, *, title: str) -> Figure:
    """The safe set and trajectories of evaluation episodes; in more than two dimensions,
    projections onto pairs of coordinates.

    Args:
        env: The environment, for its sets.
        episodes: Episodes, of which the first 24 are drawn.
        title: Title of the figure.
    """
    n = env.model.state_size
    labels = state_labels(env.model)
    half = n // 2
    # Each coordinate against its velocity, and the first two coordinates against each other.
    pairs = [(i, i + half) for i in range(half)] + ([(0, 1)] if half > 1 else [])
    figure = Figure(figsize=(1.5 + 5.0 * len(pairs), 5.2), layout="constrained")
    drawn = min(_TRAJECTORIES, episodes.action.shape[1])
    figure.suptitle(f"{title}\n{drawn} of {episodes.action.shape[1]} evaluation episodes")
    x = np.asarray(episodes.x)[:, :_TRAJECTORIES]
    exits = np.asarray(episodes.violation)[:, :_TRAJECTORIES] > 0
    for ax, (i, j) in zip(np.atleast_1d(figure.subplots(1, len(pairs))), pairs, strict=True):
        corners = outline(env.system.safe_state_set, (i, j))
        ax.fill(
            *corners.T,
            facecolor=to_rgba(BLUE, 0.1),
            edgecolor=BLUE,
            linewidth=1.5,
            label="safe set" if n == 2 else "safe set, projected",
        )
        ax.plot(x[:, :, i], x[:, :, j], color=GREY, linewidth=0.7, alpha=0.8)
        ax.plot(
            x[0, :, i],
            x[0, :, j],
            "o",
            color=ORANGE,
            markersize=4,
            label="start",
            linestyle="none",
        )
        ax.plot(
            x[-1, :, i],
            x[-1, :, j],
            "s",
            color="black",
            markersize=4,
            label="end",
            linestyle="none",
        )
        if exits.any():
            ax.plot(
                x[1:, :, i][exits],
                x[1:, :, j][exits],
                "x",
                color=RED,
                markersize=5,
                label="outside the safe set",
                linestyle="none",
            )
        _view(ax, corners, env.system.constraint_set, (i, j))
        ax.set_xlabel(labels[i])
        ax.set_ylabel(labels[j])
        tidy(ax)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
    )
    return figure


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


def _view(ax: Axes, corners: np.ndarray, constraint_set, pair: tuple[int, int]) -> None:
    """Looks at the set with some room around it, whatever a trajectory does, and draws bounds of
    the state constraints.
    """
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = 0.12 * (high - low)
    if isinstance(constraint_set, Box):
        for axis, line in zip(pair, (ax.axvline, ax.axhline), strict=True):
            for bound in (float(constraint_set.lower[axis]), float(constraint_set.upper[axis])):
                line(
                    bound,
                    color=RED,
                    linestyle=":",
                    linewidth=1,
                    label="state constraints" if axis == pair[0] and bound < 0 else None,
                )
    ax.set_xlim(low[0] - room[0], high[0] + room[0])
    ax.set_ylim(low[1] - room[1], high[1] + room[1])
