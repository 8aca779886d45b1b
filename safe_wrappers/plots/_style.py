"""What all figures share: labels of states, and tidy axes."""

from matplotlib.axes import Axes

from ..models import Model

_LABELS = {
    "safe_pendulum": ("angle θ (rad)", "angular velocity θ̇ (rad/s)"),
    "safe_cart_pole": (
        "cart position x (m)",
        "pole angle θ (rad)",
        "cart velocity ẋ (m/s)",
        "pole angular velocity θ̇ (rad/s)",
    ),
    "safe_quadrotor": ("x (m)", "z (m)", "roll (rad)", "ẋ (m/s)", "ż (m/s)", "roll rate (rad/s)"),
}


def state_labels(model: Model) -> tuple[str, ...]:
    """Names and units of the states of a model."""
    return _LABELS.get(model.name, model.state_labels)


def tidy(ax: Axes) -> None:
    """A pale grid, and no frame above and to the right."""
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
