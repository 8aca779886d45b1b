"""Learning curves with bands, one small picture each."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .._colors import BLUE, GREY, ORANGE
from ._learning_curve import _return_axis
from ._style import tidy

_COLUMNS = 4
_LOWEST = 30  # times the best return is where the axis ends
_SIZE = (2.9, 2.2)  # inches of a small picture


def curve_grid(
    curves: Mapping[str, np.ndarray],
    *,
    title: str,
    reference: float | None = None,
    behind: str | None = None,
) -> Figure:
    """Several learning curves, each in a small picture of its own, all with the same axes.

    Args:
        curves: By title, an array of shape (evaluations, 4): interactions, and of the returns of
            several seeds the middle and the two ends of a band.
        title: Title of the figure.
        reference: A return to compare with, drawn as a line.
        behind: Title of the curve that is drawn in the background of the others, without its band.

    Raises:
        ValueError: If there is no curve, or none with the title `behind`.

    Example:
        >>> import numpy as np
        >>> from safe_wrappers.plots import curve_grid
        >>> curve = np.array([[0, -90.0, -95.0, -80.0], [512, -7.0, -8.0, -6.5]])
        >>> figure = curve_grid({"boundary projection": curve}, title="my plant")
    """
    if not curves or (behind is not None and behind not in curves):
        raise ValueError(
            "There must be at least one curve, and one with the title `behind` if that is given, "
            f"but the titles are {list(curves)} and `behind` is {behind!r}."
        )
    columns = min(_COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    size = (max(_SIZE[0] * columns, 5.0), _SIZE[1] * rows + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    ends = [curve[-1, 1:] for curve in curves.values()]
    shown = np.concatenate([*ends, [] if reference is None else [reference]])
    _return_axis(grid[0, 0], shown)  # shared by all
    if np.all(shown < 0):
        best = -np.max([curve[:, 3].max() for curve in curves.values()])
        # What policies do before they have learned anything is off the picture.
        grid[0, 0].set_ylim(_LOWEST * best, 0.8 * min(best, -shown.max()))
    for ax in grid.flat[len(curves) :]:
        ax.set_visible(False)
    for ax, (name, curve) in zip(grid.flat, curves.items(), strict=False):
        ax.set_title(name, fontsize="small")
        if behind is not None and name != behind:
            steps, middle, *_ = curves[behind].T
            ax.plot(steps, -middle, color=ORANGE, linewidth=1, label=behind)
        steps, middle, low, high = curve.T
        ax.fill_between(steps, -low, -high, color=BLUE, alpha=0.2, linewidth=0)
        ax.plot(steps, -middle, color=BLUE, linewidth=1.3)
        if reference is not None:
            ax.axhline(-reference, color=GREY, linestyle="--", linewidth=0.8)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_major_locator(MaxNLocator(3))
        tidy(ax)
    for column in range(columns):  # the lowest picture of a column may not be in the last row
        lowest = [ax for ax in grid[:, column] if ax.get_visible()][-1]
        lowest.tick_params(labelbottom=True)
    figure.supxlabel("environment interactions", fontsize="small")
    figure.supylabel("return", fontsize="small")
    return figure
