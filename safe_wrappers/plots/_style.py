"""What all figures share: tidy axes."""

from matplotlib.axes import Axes


def tidy(ax: Axes) -> None:
    """A pale grid, and no frame above and to the right."""
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
