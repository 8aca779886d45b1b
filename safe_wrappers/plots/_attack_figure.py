"""A picture of the worst trajectory that an attack has found."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .._colors import GREY, ORANGE, RED
from ..envs import SafeSeeker
from ..falsification import AttackReport
from ._axes import chosen_pairs, state_labels
from ._phase_portrait import draw_sets
from ._seeker_map import draw_layout
from ._sets_of import sets_of
from ._style import tidy


def attack_figure(report: AttackReport, env: Any, *, title: str | None = None) -> Figure:
    """The worst trajectory of an attack: where it went, and its margin over time.

    Args:
        report: What `attack` returned.
        env: What was attacked, or the claim that it was judged against: its safe set is drawn. With
            more than two states it is projected onto pairs of them.
        title: Title of the figure. Default: the system, the safeguard and the verdict.

    Raises:
        TypeError: If `env` has no sets.
        SetDimensionError: If the plant has one state only.

    Example:
        >>> import safe_wrappers as sw
        >>> env = sw.envs.SafePendulum(safe_set="narrow")
        >>> report = sw.attack(env, "none", max_steps=1)
        >>> figure = sw.plots.attack_figure(report, env)
    """
    plant = getattr(env, "env", env)
    sets, states = sets_of(plant), report.trajectory.states
    n = states.shape[1]
    pairs = [(0, 1)] if isinstance(plant, SafeSeeker) else chosen_pairs(sets, None, n)
    figure = Figure(figsize=(1.5 + 5.0 * (len(pairs) + 1), 5.2), layout="constrained")
    *planes, last = figure.subplots(1, len(pairs) + 1, squeeze=False)[0]
    labels = state_labels(sets.model, n)
    for ax, pair in zip(planes, pairs, strict=True):
        i, j = pair
        ax.set_xlabel(labels[i])
        ax.set_ylabel(labels[j])
        tidy(ax)
        ax.plot(states[:, i], states[:, j], ".-", color=GREY, linewidth=1, label="trajectory")
        ax.plot(states[0, i], states[0, j], "o", color=ORANGE, label="start", zorder=3)
        ax.plot(states[-1, i], states[-1, j], "s", color="black", label="worst step", zorder=3)
        if isinstance(plant, SafeSeeker):
            draw_layout(ax, states[0, 2:].reshape(-1, 3))
            ax.set_aspect("equal")
        draw_sets(ax, sets, pair)
        _show_all(ax, states[:, [i, j]])
    _draw_margins(last, report.trajectory.margins)
    verdict = "broken" if report.broken else "not broken"
    guard = report.safeguard.split("(")[0]
    figure.suptitle(f"{report.system}\nsafeguard {guard}: {verdict}" if title is None else title)
    found = {
        label: handle
        for ax in figure.axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=6, frameon=False)
    return figure


def _show_all(ax: Axes, points: np.ndarray) -> None:
    """Widens the view, which is that of the set, to the finite points of the trajectory."""
    points = points[np.isfinite(points).all(axis=1)]
    for limits, set_limits, values in (
        (ax.get_xlim(), ax.set_xlim, points[:, 0]),
        (ax.get_ylim(), ax.set_ylim, points[:, 1]),
    ):
        low, high = min(limits[0], values.min()), max(limits[1], values.max())
        set_limits(low, high)


def _draw_margins(ax: Axes, margins: np.ndarray) -> None:
    steps = np.arange(1, len(margins) + 1)
    ax.set_xlim(0.5, len(margins) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    finite = np.where(np.isfinite(margins), margins, np.nan)
    ax.axhline(0, color=RED, linewidth=1.5, label="boundary")
    ax.plot(steps, finite, ".-", color="black", label="least margin over W")
    ax.set_xlabel("step")
    ax.set_ylabel("margin (1 at the centre of S)")
    # Where it matters margins are a few roundings wide.
    ax.set_yscale("symlog", linthresh=1e-6)
    tidy(ax)
