"""The pictures of the README: one policy with and without a safeguard, as an animation, and a
drawing of the four words that the guarantee needs.

python docs/animation.py [same_policy.gif] [four_words.png]
"""

import dataclasses
import sys
from pathlib import Path

import jax
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter

import safe_wrappers as sw
from safe_wrappers.sets import draw

IMAGES = Path(__file__).parent / "images"
BLUE, RED, ORANGE, GREY = "#1f5fa8", "#c0262d", "#e0802b", "#5f6368"
STEPS, TURN = 96, 24  # steps of 0.05 s, and after how many of them the policy turns around
TARGET, LIMIT = 0.8, 0.5  # rad; the policy asks for more than the safe set allows
STATE = np.array([0.2, 5.0], np.float32)  # of the drawing: some of its actions lead outside
REQUEST = 0.55  # of the drawing: an action that is not safe
GUST = 15.0  # of the drawing, rad/s^2: with the set's own 0.1 no disturbance could be seen


def policy(x: np.ndarray, t: int) -> np.ndarray:
    """A swing between -0.8 and 0.8 rad, by feedback that knows of no limits; shape (1,)."""
    target = TARGET if (t // TURN) % 2 == 0 else -TARGET
    acceleration = -14.715 * np.sin(x[0]) - 60.0 * (x[0] - target) - 14.0 * x[1]
    return np.clip(acceleration / 90.0, -1.0, 1.0)[None].astype(np.float32)


def rollout(safeguard: sw.Safeguard | None) -> np.ndarray:
    """States (STEPS + 1, 2) of the policy on the narrow pendulum, with a safeguard or without."""
    system = sw.envs.get_environment("safe_pendulum", safe_set="narrow").system
    step = jax.jit(system.model.step)
    correct = jax.jit(lambda x, a: sw.safe_action(system, safeguard, x, a).action)
    disturbances = np.random.default_rng(0).uniform(-0.1, 0.1, (STEPS, 1)).astype(np.float32)
    states = [np.zeros(2, np.float32)]
    for t, w in enumerate(disturbances):
        action = policy(states[-1], t)
        if safeguard is not None:
            action = correct(states[-1], action)
        states.append(np.asarray(step(states[-1], action, w)))
    return np.stack(states)


def outside(states: np.ndarray) -> np.ndarray:
    """Which states lie outside the safe set, shape (STEPS + 1,)."""
    safe_set = sw.envs.load_certificate("safe_pendulum", "narrow").claim.safe_state_set
    return np.max(states @ np.asarray(safe_set.H).T - np.asarray(safe_set.h), axis=-1) > 0


def same_policy(path: Path) -> None:
    """The animation: two pendulums, and their states over the safe set."""
    runs = {"without safeguard": rollout(None), "with safeguard": rollout(sw.BoundaryProjection())}
    exits = {name: outside(states) for name, states in runs.items()}
    for name, out in exits.items():
        print(f"{name}: {out.sum()} of {STEPS} steps end outside the safe set")
    figure, axes = plt.subplots(
        1, 3, figsize=(8.4, 3.0), width_ratios=(1, 1, 1.25), layout="constrained"
    )
    rods = [
        _pendulum(ax, name, color) for ax, name, color in zip(axes, runs, (RED, BLUE), strict=False)
    ]
    trails = _phase_plane(axes[2], list(runs.values()))

    def frame(t: int) -> list:
        for (rod, light), (name, states) in zip(rods, runs.items(), strict=True):
            th = states[t, 0]
            rod.set_data([0.0, np.sin(th)], [0.0, np.cos(th)])
            light.set_text("outside the safe set" if exits[name][t] else "safe")
            light.set_color(RED if exits[name][t] else BLUE)
        for (trail, head), states in zip(trails, runs.values(), strict=True):
            trail.set_data(*states[: t + 1].T)
            head.set_data(*states[t : t + 1].T)
        return []

    animation = FuncAnimation(figure, frame, frames=STEPS + 1)
    animation.save(path, writer=PillowWriter(fps=20), dpi=90)
    plt.close(figure)


def _pendulum(ax, title: str, color: str) -> tuple:
    """One pendulum in the wedge of the allowed angles: its rod and its verdict."""
    angles = np.linspace(-LIMIT, LIMIT, 40)
    ax.fill([0, *(1.15 * np.sin(angles))], [0, *(1.15 * np.cos(angles))], color=BLUE, alpha=0.12)
    for side in (-LIMIT, LIMIT):
        ax.plot([0, 1.15 * np.sin(side)], [0, 1.15 * np.cos(side)], color=BLUE, linewidth=1.0)
    (rod,) = ax.plot([], [], color=color, linewidth=6, solid_capstyle="round")
    ax.plot(0, 0, "o", color="black", markersize=7, zorder=5)
    verdict = ax.text(0, -0.28, "", ha="center", fontsize=10)
    ax.set_title(title, fontsize=11)
    ax.set(xlim=(-1.05, 1.05), ylim=(-0.4, 1.25), aspect="equal")
    ax.axis("off")
    return rod, verdict


def _phase_plane(ax, runs: list[np.ndarray]) -> list:
    """The safe set with a trail and a head for each run."""
    claim = sw.envs.load_certificate("safe_pendulum", "narrow").claim
    draw(claim.safe_state_set, ax, color=BLUE, linewidth=1.4)
    lines = [
        (
            ax.plot([], [], color=color, linewidth=1.2, alpha=0.8)[0],
            ax.plot([], [], "o", color=color, markersize=6)[0],
        )
        for color in (RED, BLUE)
    ]
    assert len(lines) == len(runs)
    ax.set(xlim=(-1.1, 1.1), ylim=(-9, 9), xlabel="angle (rad)", ylabel="velocity (rad/s)")
    ax.text(0, 6.0, "safe set", color=BLUE, ha="center", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return lines


def four_words(path: Path) -> None:
    """The drawing: a state in its safe set, where its actions lead, and which of them are safe."""
    claim = sw.envs.load_certificate("safe_pendulum", "narrow").claim
    larger = dataclasses.replace(
        claim, disturbance_set=sw.Box([-GUST], [GUST]), eps=None, gain=None
    )
    system = sw.ModelSystem(larger, state=lambda state: state)
    rows, offsets = system.safe_action_set(STATE).unit_rows()
    highest = float(min(offsets[np.asarray(rows)[:, 0] > 0]))  # safe actions: [-1, highest]

    def reached(action: float, w: float = 0.0) -> np.ndarray:
        return np.asarray(claim.model.step(STATE, np.float32([action]), np.float32([w])))

    figure, (plane, line) = plt.subplots(
        1, 2, figsize=(9.0, 3.4), width_ratios=(1.5, 1), layout="constrained"
    )
    draw(claim.safe_state_set, plane, color=BLUE, linewidth=1.4)
    for ends, color in (((-1, highest), BLUE), ((highest, 1), RED)):
        plane.plot(*np.transpose([reached(action) for action in ends]), color=color, linewidth=3)
    gusts = np.transpose([reached(highest, w) for w in (-GUST, GUST)])
    plane.plot(*gusts, color=ORANGE, linewidth=11, alpha=0.6, solid_capstyle="butt", zorder=1)
    arrow = {"arrowstyle": "->", "color": GREY, "shrinkA": 5, "shrinkB": 2}
    plane.annotate("", reached(highest), STATE, arrowprops=arrow)
    plane.plot(*STATE, "o", color="black", markersize=7)
    for text, place, color, side in (
        ("state", (0.16, 5.0), "black", "right"),
        ("next states of\nsafe actions", (0.2, 0.6), BLUE, "right"),
        ("next states of unsafe actions", (0.72, 9.0), RED, "left"),
        ("next states of one action\nunder all disturbances", (0.56, 3.2), ORANGE, "left"),
        ("safe set", (-0.2, -5.0), BLUE, "left"),
    ):
        plane.text(*place, text, color=color, ha=side, va="center")
    plane.set(xlim=(-0.6, 1.5), ylim=(-9, 11), xlabel="angle (rad)", ylabel="velocity (rad/s)")
    plane.spines[["top", "right"]].set_visible(False)
    _action_line(line, highest)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _action_line(ax, highest: float) -> None:
    """The action box with its safe part, and what becomes of a request outside it."""
    ax.plot([-1, 1], [0, 0], color=RED, linewidth=8, solid_capstyle="butt")
    ax.plot([-1, highest], [0, 0], color=BLUE, linewidth=8, solid_capstyle="butt")
    ax.text((highest - 1) / 2, -0.32, "safe action set", color=BLUE, ha="center")
    ax.plot(REQUEST, 0, "o", color=RED, markersize=12, markeredgecolor="white")
    ax.plot(highest, 0, "o", color=BLUE, markersize=12, markeredgecolor="white")
    ax.annotate(
        "",
        (highest, 0.12),
        (REQUEST, 0.12),
        arrowprops={"arrowstyle": "->", "connectionstyle": "arc3,rad=0.5", "color": GREY},
    )
    ax.text(REQUEST + 0.05, 0.16, "requested", color=RED)
    ax.text(highest - 0.05, 0.16, "executed", color=BLUE, ha="right")
    for end in (-1, 1):
        ax.text(end, -0.6, f"{end:+d}", color=GREY, ha="center")
    ax.text(0, -0.6, "action", color=GREY, ha="center")
    ax.set(xlim=(-1.15, 1.15), ylim=(-0.9, 0.8))
    ax.axis("off")


PICTURES = {"same_policy.gif": same_policy, "four_words.png": four_words}


if __name__ == "__main__":
    matplotlib.use("Agg")
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name](IMAGES / name)
        print(IMAGES / name)
