"""The drawings of docs/concepts.md, made from shipped sets: nothing in them is sketched by hand.

python docs/drawings.py
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

import safe_wrappers as sw
from safe_wrappers.sets import draw

IMAGES = Path(__file__).parent / "images"
BLUE, GREY, GREEN, RED = "#1f5fa8", "#5f6368", "#1b8a7a", "#c0262d"


def one_step(ax):
    """A state of the narrow pendulum set, and where two actions may lead."""
    claim = sw.envs.load_certificate("safe_pendulum", "narrow").claim
    x = np.array([0.45, 0.2], np.float32)
    system = sw.ModelSystem(claim, state=lambda state: state)
    request = np.array([0.4], np.float32)
    safe = sw.safe_action(system, sw.BoundaryProjection(), x, request).action
    draw(claim.safe_state_set, ax, facecolor=(0.12, 0.37, 0.66, 0.10), edgecolor=BLUE)
    # The disturbance moves the next state by less than the size of a dot.
    w = np.zeros(1, np.float32)
    for action, color, name in ((request, RED, "the request"), (safe, GREEN, "the safe action")):
        after = claim.model(x, np.asarray(action), w)
        ax.annotate("", after, x, arrowprops={"arrowstyle": "->", "color": color, "lw": 1.6})
        ax.plot(*after, "o", color=color, ms=6, label=f"next state after {name}")
    ax.plot(*x, "o", color="black", ms=5, label="state x")
    ax.axvline(claim.constraint_set.upper[0], color=RED, ls=":", lw=1.6)
    ax.set(xlim=(0.42, 0.59), ylim=(-0.6, 2.9), xlabel="angle (rad)", ylabel="velocity (rad/s)")
    ax.set_title("a corner of the safe set S (blue)")
    ax.legend(loc="upper left", frameon=False, fontsize=8)


def action_set(ax):
    """The safe action set of a quadrotor state, with its rows, a request and the anchor."""
    system = sw.envs.get_environment("safe_quadrotor").system
    x = np.array([-1.95, -3.36, 0.25, 0.28, -0.965, -0.785], np.float32)
    request = np.array([-0.8, 0.6], np.float32)
    output = sw.safe_action(system, sw.BoundaryProjection(), x, request)
    rows = system.safe_action_set(x)
    A, b = (np.asarray(value, np.float64) for value in rows.unit_rows())
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 401)] * 2), axis=-1)
    slack = np.min(b - grid @ A.T, axis=-1)
    ax.contourf(grid[..., 0], grid[..., 1], slack, levels=[0, 10], colors=[GREEN], alpha=0.18)
    t = np.linspace(-3, 3, 2)
    for a, c in zip(A, b, strict=True):
        if np.any(a) and abs(c) < np.abs(a).sum():
            point, along = a * c, np.array([-a[1], a[0]])
            ax.plot(*(point[:, None] + along[:, None] * t), color=BLUE, lw=1.2)
    ax.annotate(
        "", output.action, request, arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.4}
    )
    ax.plot(*request, "o", color=RED, label="request")
    ax.plot(*output.action, "o", color=GREEN, label="executed action")
    ax.plot(*np.asarray(rows.anchor), "*", color="black", ms=11, label="anchor")
    ax.plot([], [], color=BLUE, lw=1.2, label="rows that cut the action box")
    ax.set(
        xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), xlabel="action 1", ylabel="action 2", aspect="equal"
    )
    ax.set_title("a safe action set (green)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=8)


def main():
    """Draws both."""
    matplotlib.use("Agg")
    for name, picture in (("concept_one_step", one_step), ("concept_action_set", action_set)):
        figure, ax = plt.subplots(figsize=(5.4, 4.4), layout="constrained")
        picture(ax)
        figure.savefig(IMAGES / f"{name}.png", dpi=110)
        plt.close(figure)


if __name__ == "__main__":
    main()
