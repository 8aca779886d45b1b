"""A picture of how a simulator differs from its model."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._colors import BLUE, GREEN, GREY, ORANGE, RED
from ..conformance import ConformanceReport, Sample
from ._style import tidy

_COLORS = {
    "random": BLUE,
    "held out": GREY,
    "adversarial": ORANGE,
    "trajectories": GREEN,
}
_BINS = 60


def residual_figure(report: ConformanceReport, *, title: str) -> Figure:
    """The residuals of all steps as disturbances, against W, and what W leaves of them, against the
    allowance for rounding.

    Args:
        report: The report that `conform` returned.
        title: Title of the figure.
    """
    k = report.disturbance_set.dim
    figure = Figure(figsize=(1.0 + 4.6 * (k + 1), 4.4), layout="constrained")
    verdict = "conforms (tested, not proved)" if report.conforms else "does not conform"
    figure.suptitle(f"{title}: {verdict}", fontweight="bold")
    *components, last = figure.subplots(1, k + 1)
    for j, ax in enumerate(components):
        _draw_component(ax, report, j)
    _draw_excess(last, report)
    components[0].set_ylabel("steps")
    handles = {
        label: handle
        for ax in figure.axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )
    return figure


def _draw_component(ax: Axes, report: ConformanceReport, j: int) -> None:
    box, W = report.total_cover, report.disturbance_set
    low, high = float(box.lower[j]), float(box.upper[j])
    declared = float(W.lower[j]), float(W.upper[j])
    if report.own_disturbance:
        ax.set_xlabel(f"model's error as w{j + 1} (W: {declared[0]:.3g} to {declared[1]:.3g})")
    else:
        ax.axvspan(*declared, color=BLUE, alpha=0.1, linewidth=0, label="W")
        for bound in declared:
            ax.axvline(bound, color=BLUE, linewidth=1)
        low, high = min(low, declared[0]), max(high, declared[1])
        ax.set_xlabel(f"difference from the model as w{j + 1}")
    _histograms(
        ax, report, lambda sample: sample.disturbance[:, j], np.linspace(low, high, _BINS + 1)
    )
    for bound in (report.cover.lower[j], report.cover.upper[j]):
        ax.axvline(
            float(bound),
            color="black",
            linestyle="--",
            linewidth=1,
            label="smallest box of random steps",
        )
    ax.ticklabel_format(axis="x", style="sci", scilimits=(-3, 3))


def _draw_excess(ax: Axes, report: ConformanceReport) -> None:
    values = report.all.excess
    top, bottom = max(2.0, values.max()), max(1e-6, min(0.1, np.quantile(values, 0.001)))
    ax.set_xscale("log")
    _histograms(
        ax,
        report,
        lambda sample: np.clip(sample.excess, bottom, None),
        np.geomspace(bottom, 1.1 * top, _BINS + 1),
    )
    ax.axvline(1, color=RED, linewidth=1.5, label="allowance")
    ax.set_xlabel("left when W has explained what it can,\nin units of the allowance for rounding")


def _histograms(ax: Axes, report: ConformanceReport, values, bins: np.ndarray) -> None:
    for name, sample in report.parts.items():
        ax.hist(
            _finite(values, sample),
            bins=bins.tolist(),
            histtype="step",
            color=_COLORS[name],
            linewidth=1.3,
            label=name,
        )
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.7)
    tidy(ax)


def _finite(values, sample: Sample) -> np.ndarray:
    found = values(sample)
    return found[np.isfinite(found)]
