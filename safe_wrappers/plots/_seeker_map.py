"""The picture of the seeker: a map of each episode with its obstacles, its goal and the way that
was taken.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from .._colors import BLUE, GREY, ORANGE, RED
from ..envs.seeker import HALF_WIDTH
from ..evaluation import Episodes

_MAPS = (3, 5)  # rows and columns
_REACHED = 0.5  # m


def seeker_map(episodes: Episodes, *, title: str) -> Figure:
    """Maps of the first episodes, each with a layout of its own.

    Args:
        episodes: Episodes of `SafeSeeker`; their `goal` is drawn.
        title: Title of the figure.
    """
    x, goals = np.asarray(episodes.x), np.asarray(episodes.goal)
    drawn = min(_MAPS[0] * _MAPS[1], x.shape[1])
    figure = Figure(figsize=(11.0, 7.6), layout="constrained")
    reached = np.linalg.norm(x[-1, :, :2] - goals[-1], axis=-1) < _REACHED
    figure.suptitle(
        f"{title}\n{drawn} of {x.shape[1]} evaluation episodes, of which "
        f"{reached.mean():.0%} end within {_REACHED} m of their goal"
    )
    axes = figure.subplots(*_MAPS).flat
    for i, ax in enumerate(axes):
        ax.set_axis_off()
        if i < drawn:
            draw_map(ax, episodes, i)
    found = {
        label: handle
        for ax in figure.axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=6, frameon=False)
    return figure


def draw_map(ax: Axes, episodes: Episodes, index: int) -> None:
    """Draws one episode: its obstacles, its goal and the way that was taken."""
    position = np.asarray(episodes.x)[:, index, :2]
    obstacles = np.asarray(episodes.x)[0, index, 2:].reshape(-1, 3)
    exits = np.asarray(episodes.violation)[:, index] > 0
    goal = np.asarray(episodes.goal)[-1, index]
    draw_layout(ax, obstacles)
    ax.plot(*position.T, color=BLUE, linewidth=1.2, label="way")
    ax.plot(*position[0], "o", color=ORANGE, markersize=5, label="start", linestyle="none")
    ax.plot(*goal, "*", color="black", markersize=9, label="goal", linestyle="none")
    ax.plot(*position[-1], "s", color=BLUE, markersize=4, label="end", linestyle="none")
    if exits.any():
        ax.plot(
            *position[1:][exits].T,
            "x",
            color=RED,
            markersize=4,
            label="collision",
            linestyle="none",
        )
    ax.set(
        aspect="equal",
        xlim=(-1.05 * HALF_WIDTH, 1.05 * HALF_WIDTH),
        ylim=(-1.05 * HALF_WIDTH, 1.05 * HALF_WIDTH),
    )


def draw_layout(ax: Axes, obstacles: np.ndarray) -> None:
    """Draws the walls and the obstacles (c1, c2, r), shape (k, 3)."""
    ax.set_axis_off()
    ax.add_patch(
        Rectangle(
            (-HALF_WIDTH, -HALF_WIDTH),
            2 * HALF_WIDTH,
            2 * HALF_WIDTH,
            facecolor="none",
            edgecolor=GREY,
        )
    )
    for first, second, radius in obstacles:
        ax.add_patch(
            Circle(
                (first, second),
                radius,
                facecolor=RED,
                alpha=0.25,
                edgecolor="none",
                label="obstacle",
            )
        )
