"""Pictures of the bundled systems, drawn by matplotlib without a display or OpenGL."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon, Rectangle

from safe_wrappers._colors import BLUE, GREEN, ORANGE, RED

from .arm_dynamics import DESIGNS

_SIZE, _DPI = 4.0, 100  # inches, and pixels per inch
_INK, _WALL, _PALE, _PAPER = "#2b3a4a", "#a9b3bd", "#e6eaee", "#fbfbf9"


def draw(system: str, x: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
    """The picture of a state, in the colour of `state_color`.

    Args:
        system: Name of a bundled system.
        x: Its state, shape (n,).
        info: The info of Gymnasium's reset or step: margin, and if there are, goal and safeguard.

    Returns:
        Shape (400, 400, 3), uint8.
    """
    figure = Figure(figsize=(_SIZE, _SIZE), dpi=_DPI, facecolor=_PAPER)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_aspect("equal")
    _DRAWINGS[system](axes, np.asarray(x, np.float64), info, to_hex(state_color(info)))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def state_color(info: Mapping[str, Any]) -> tuple[float, float, float]:
    """Blue; orange after a step in which the safeguard intervened; red outside the safe set."""
    intervened = info.get("safeguard", {}).get("intervened", 0) > 0
    return to_rgb((ORANGE if intervened else BLUE) if info["margin"] >= 0 else RED)


def _frame(axes: Axes, half: float, center: tuple[float, float] = (0.0, 0.0)) -> None:
    axes.set(xlim=(center[0] - half, center[0] + half), ylim=(center[1] - half, center[1] + half))


def _rod(axes: Axes, start: np.ndarray, end: np.ndarray, color: str, width: float) -> None:
    axes.plot(
        *np.stack([start, end], axis=1),
        color=color,
        linewidth=width,
        solid_capstyle="round",
        zorder=3,
    )


def _arrow(axes: Axes, start: np.ndarray, vector: np.ndarray, color: str) -> None:
    style = {
        "arrowstyle": "-|>",
        "color": color,
        "linewidth": 2,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 14,
    }
    axes.annotate("", xy=tuple(start + vector), xytext=tuple(start), arrowprops=style, zorder=5)


def _goal(axes: Axes, goal: np.ndarray) -> None:
    axes.plot(*goal, marker="*", markersize=18, color=GREEN, markeredgecolor="white", zorder=2)


def _executed(info: Mapping[str, Any]) -> np.ndarray:
    """The action of the last step, as far as it is known. Shape (d,)."""
    return np.atleast_1d(info["safeguard"]["action"]) if "safeguard" in info else np.zeros(7)


def _pendulum(axes: Axes, x: np.ndarray, info: Mapping[str, Any], color: str) -> None:
    _frame(axes, 1.35)
    tip = np.array([math.sin(x[0]), math.cos(x[0])])
    axes.add_patch(Circle((0, 0), 1.12, facecolor="none", edgecolor=_PALE, linewidth=2))
    axes.plot([0, 0], [1.06, 1.18], color=_WALL, linewidth=2)
    _rod(axes, np.zeros(2), tip, color, 17)
    axes.add_patch(Circle((0, 0), 0.055, facecolor=_INK, edgecolor="none", zorder=4))
    # The torque, as an arc around the hinge: a third of a turn at the limit.
    angles = x[0] + np.linspace(0.0, 2.1 * _executed(info)[0], 30)
    arc = 0.3 * np.stack([np.sin(angles), np.cos(angles)])
    if np.ptp(angles) > 0.15:
        axes.plot(*arc, color=_INK, linewidth=2, zorder=5)
        _arrow(axes, arc[:, -1], 1.5 * (arc[:, -1] - arc[:, -2]), _INK)


def _cart_pole(axes: Axes, x: np.ndarray, info: Mapping[str, Any], color: str) -> None:
    _frame(axes, 2.75, (0.0, 0.75))
    axes.plot([-2.4, 2.4], [0, 0], color=_WALL, linewidth=3, solid_capstyle="round")
    for wall in (-2.4, 2.4):
        axes.plot([wall, wall], [-0.12, 0.12], color=_WALL, linewidth=3, solid_capstyle="round")
    width, height = 0.62, 0.3
    body = FancyBboxPatch(
        (x[0] - width / 2, 0.1),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=_INK,
        edgecolor="none",
        zorder=2,
    )
    axes.add_patch(body)
    for side in (-0.18, 0.18):
        axes.add_patch(
            Circle(
                (x[0] + side, 0.08), 0.08, facecolor=_PAPER, edgecolor=_INK, linewidth=2.5, zorder=3
            )
        )
    hinge = np.array([x[0], 0.1 + height])
    _rod(axes, hinge, hinge + np.array([math.sin(x[1]), math.cos(x[1])]), color, 9)
    axes.add_patch(
        Circle(tuple(hinge), 0.055, facecolor=_PAPER, edgecolor=_INK, linewidth=2, zorder=4)
    )
    force = 0.7 * _executed(info)[0]
    if abs(force) > 0.03:
        start = np.array([x[0] + math.copysign(width / 2 + 0.06, force), 0.1 + height / 2])
        _arrow(axes, start, np.array([force, 0.0]), _INK)


def _quadrotor(axes: Axes, x: np.ndarray, info: Mapping[str, Any], color: str) -> None:
    _frame(axes, 9.0)
    axes.add_patch(Rectangle((-8, -8), 16, 16, facecolor="white", edgecolor=_WALL, linewidth=2))
    _goal(axes, np.asarray(info["goal"]))
    across, up = (
        np.array([math.cos(x[2]), -math.sin(x[2])]),
        np.array([math.sin(x[2]), math.cos(x[2])]),
    )
    # Drawn 2 m wide, to be seen in a square of 16 m.
    _rod(axes, x[:2] - across, x[:2] + across, color, 5)
    axes.add_patch(Circle(tuple(x[:2]), 0.32, facecolor=color, edgecolor="none", zorder=4))
    for side in (-1, 1):
        rotor = x[:2] + side * across
        _rod(axes, rotor, rotor + 0.35 * up, _INK, 2)
        _rod(axes, rotor + 0.35 * up - 0.55 * across, rotor + 0.35 * up + 0.55 * across, _INK, 2)
        length = 0.9 + 0.6 * _executed(info)[0]
        flame = [
            rotor - 0.2 * up + 0.12 * across,
            rotor - 0.2 * up - 0.12 * across,
            rotor - (0.2 + length) * up,
        ]
        axes.add_patch(Polygon(flame, facecolor=_WALL, alpha=0.6, edgecolor="none", zorder=1))


def _seeker(axes: Axes, x: np.ndarray, info: Mapping[str, Any], color: str) -> None:
    _frame(axes, 8.6)
    axes.add_patch(Rectangle((-8, -8), 16, 16, facecolor="white", edgecolor=_WALL, linewidth=2))
    for first, second, radius in x[2:].reshape(-1, 3):
        axes.add_patch(
            Circle((first, second), radius, facecolor=_PALE, edgecolor=_WALL, linewidth=2)
        )
    _goal(axes, np.asarray(info["goal"]))
    _arrow(axes, x[:2], 1.2 * _executed(info), _INK)
    axes.add_patch(
        Circle(tuple(x[:2]), 0.25, facecolor=color, edgecolor="white", linewidth=1.5, zorder=6)
    )


def _arm(axes: Axes, x: np.ndarray, info: Mapping[str, Any], color: str) -> None:
    q = x[: len(x) // 2]
    lengths = DESIGNS[len(q)].lengths
    reach = sum(lengths)
    _frame(axes, 1.15 * reach)
    axes.add_patch(Circle((0, 0), reach, facecolor="none", edgecolor=_PALE, linewidth=2))
    width = 16 - len(q)
    if "goal" in info:
        wanted = _points(lengths, np.asarray(info["goal"]))
        axes.plot(*wanted, color=GREEN, linewidth=0.7 * width, alpha=0.35, zorder=2)
        axes.plot(*wanted[:, -1], "o", markersize=8, color=GREEN, zorder=2)
    if "tip" in info:
        _goal(axes, np.asarray(info["tip"]))
    points = _points(lengths, q)
    axes.plot(*points, color=color, linewidth=width, solid_capstyle="round", zorder=3)
    axes.plot(*points[:, :-1], "o", markersize=0.5 * width, color=_INK, zorder=4)
    # The torques, as arcs around the joints: a quarter of a turn at the limits.
    angles = np.cumsum(q)
    for i, turn in enumerate(0.5 * math.pi * _executed(info)[: len(q)]):
        arc = angles[i] + np.linspace(0.0, turn, 30)
        axes.plot(
            *(points[:, i, None] + 0.09 * reach * np.stack([np.sin(arc), -np.cos(arc)])),
            color=_INK,
            linewidth=2,
            zorder=5,
        )


def _points(lengths: Sequence[float], q: np.ndarray) -> np.ndarray:
    """Where the arm's joints are, and its end, shape (2, n + 1)."""
    angles = np.cumsum(q)
    links = np.asarray(lengths) * np.stack([np.sin(angles), -np.cos(angles)])
    return np.concatenate([np.zeros((2, 1)), np.cumsum(links, axis=1)], axis=1)


# Seen from the front, from the right and from above.
_VIEW = np.array([[0.9, 0.36, 0.0], [-0.12, 0.3, 0.9]])
_BOX = np.array([3.0, 3.0, 2.0])


def _quadrotor_3d(axes: Axes, x: np.ndarray, info: Mapping[str, Any], color: str) -> None:
    _frame(axes, 4.0)
    corners = np.stack(np.meshgrid(*[(-1, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    for i, one in enumerate(corners):
        for other in corners[i + 1 :]:
            if np.abs(one - other).sum() == 2:
                ends = _VIEW @ (np.stack([one, other], axis=1) * _BOX[:, None])
                axes.plot(*ends, color=_WALL, linewidth=1.5)
    _mark(axes, np.asarray(info["goal"]), GREEN)
    axes.plot(*(_VIEW @ np.asarray(info["goal"])), "*", markersize=18, color=GREEN, zorder=2)
    _mark(axes, x[:3], _INK)
    frame = _attitude(*x[3:6])
    # Drawn 1.2 m wide, to be seen in a box of 6 m.
    for side in ([1, 1], [1, -1]):
        across = 0.42 * frame[:, :2] @ np.array(side)
        ends = np.stack([x[:3] - across, x[:3] + across], axis=1)
        axes.plot(*(_VIEW @ ends), color=color, linewidth=4, solid_capstyle="round", zorder=4)
        for end in ends.T:
            around = np.linspace(0, 2 * np.pi, 40)
            circle = end[:, None] + 0.32 * frame[:, :2] @ np.stack([np.cos(around), np.sin(around)])
            axes.plot(*(_VIEW @ (circle + 0.1 * frame[:, 2:])), color=_INK, linewidth=1.5, zorder=5)
    axes.plot(*(_VIEW @ x[:3]), "o", markersize=10, color=color, zorder=6)


def _mark(axes: Axes, position: np.ndarray, color: str) -> None:
    """The line from a position down to the floor, which says where it is."""
    foot = np.array([*position[:2], -_BOX[2]])
    axes.plot(*(_VIEW @ np.stack([position, foot], axis=1)), ":", color=color, linewidth=1.2)
    axes.plot(*(_VIEW @ foot), "o", markersize=4, color=color)


def _attitude(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The body's axes in space, as columns."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(v), math.sin(v)) for v in (yaw, pitch, roll))
    turned = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    pitched = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return turned @ pitched @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])


_DRAWINGS: dict[str, Callable[[Axes, np.ndarray, Mapping[str, Any], str], None]] = {
    "safe_pendulum": _pendulum,
    "safe_cart_pole": _cart_pole,
    "safe_quadrotor": _quadrotor,
    "safe_seeker": _seeker,
    "safe_arm": _arm,
    "safe_quadrotor_3d": _quadrotor_3d,
}
