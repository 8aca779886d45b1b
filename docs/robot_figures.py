"""The pictures of docs/robots.md: what SHAC learns on the robots, and each robot with its sets
while full force is requested under worst-case disturbances.

python docs/robot_figures.py [PICTURE ...]
"""

import functools
import json
import sys
from pathlib import Path

import figures
import numpy as np
from matplotlib import pyplot as plt

import safe_wrappers as sw
from safe_wrappers._colors import BLUE, GREY, ORANGE
from safe_wrappers.envs.arm_dynamics import DESIGNS, tip

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "robot_learning.json"
TITLES = {
    "arm": "arm with 2 links, random goals",
    "quadrotor": "quadrotor, random way-points",
}
POSES = 9  # of one trajectory
ARM = {"arm_2_links": (2, (1, 3)), "arm_7_links": (7, (2, 4))}  # links, and rows and columns
# Coordinates of the quadrotor's state, in the order of its blocks.
QUADROTOR = {
    (0, 6): ("x (m)", "ẋ (m/s)"),
    (4, 10): ("pitch (rad)", "pitch rate (rad/s)"),
    (2, 8): ("z (m)", "ż (m/s)"),
    (1, 7): ("y (m)", "ẏ (m/s)"),
    (5, 11): ("roll (rad)", "roll rate (rad/s)"),
    (3, 9): ("yaw (rad)", "yaw rate (rad/s)"),
}


def learning():
    """The returns of evaluations, with a band from the worst to the best seed."""
    found = json.loads(RESULTS.read_text())
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.9), layout="constrained")
    for ax, (robot, title) in zip(axes, TITLES.items(), strict=True):
        guarded, free = (
            next(r for r in found if (r["robot"], r["safeguard"]) == (robot, guard))
            for guard in ("boundary_projection", "none")
        )
        steps, returns = curve(guarded)
        ax.fill_between(steps, -returns.min(axis=1), -returns.max(axis=1), color=BLUE, alpha=0.2)
        ax.plot(steps, -returns, color=BLUE, linewidth=0.6, alpha=0.6)
        ax.plot(steps, -np.median(returns, axis=1), color=BLUE, linewidth=2.0)
        alone, without = curve(free)
        ax.plot(alone, -without, color=ORANGE, linewidth=1.5)
        ax.set_yscale("log")
        ax.invert_yaxis()
        best = -max(returns.max(), np.nanmax(without, initial=-np.inf))
        ticks = [v for v in (50, 100, 200, 500, 1_000) if v < 1.2 * -returns.min()]
        ax.set_yticks(ticks, [f"\N{MINUS SIGN}{v:,}" for v in ticks], minor=False)
        ax.yaxis.minorticks_off()
        ax.set_ylim(1.3 * -returns.min(), 0.8 * best)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}")
        ax.set(xlabel="million interactions", ylabel="return of an episode of 6 s", title=title)
        ax.grid(alpha=0.22, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    seeds = len(found[0]["final_distances"])
    figures.key(
        figure,
        [
            (f"boundary projection: median and range of {seeds} seeds", {"color": BLUE}),
            ("without a safeguard, one seed", {"color": ORANGE}),
        ],
    )
    return figure


def curve(result):
    """Interactions, shape (evaluations,), and returns, shape (evaluations, seeds); NaN where they
    are no numbers.
    """
    points = result["curves"]
    returns = np.array([point["returns"] for point in points], np.float64)
    return (
        np.array([point["interactions"] for point in points]),
        np.where(np.isfinite(returns), returns, np.nan),
    )


def arm(links, shape):
    """Poses of one trajectory, and all joints' sets with all trajectories."""
    claim, x = driven("safe_arm", f"{links}_links")
    figure, axes = plt.subplots(
        *shape, figsize=(3.6 * shape[1], 3.4 * shape[0]), layout="constrained", squeeze=False
    )
    stroboscope(axes.flat[0], links, x[:, 0, :links])
    for joint, ax in enumerate(axes.flat[1 : links + 1]):
        pair = (joint, joint + links)
        panel(ax, claim, claim.blocks[joint], x, pair)
        ax.set(xlabel=f"joint {joint + 1} (rad)", ylabel="speed (rad/s)")
    figures.key(figure, LEGEND)
    return figure


LEGEND = [
    ("set of the block, proved", {"color": BLUE, "linewidth": 1.8}),
    figures.BOUNDS,
    ("trajectory: almost every request is replaced", {"color": ORANGE, "linewidth": 1.2}),
    figures.PATHS[1],
]


def driven(system, safe_set):
    """The claim, and the states of `figures.trajectories`."""
    x, _ = figures.trajectories(system, safe_set)
    return sw.envs.load_certificate(system, safe_set).claim, x


def panel(ax, claim, block, x, pair):
    """A block's set, projected onto two of its states, and the trajectories in it."""
    figures.draw_bounds(ax, claim.constraint_set, pair)
    right, up = (x[..., i] for i in pair)
    ax.plot(right, up, color=ORANGE, linewidth=0.9, alpha=0.85)
    ax.plot(right[0], up[0], "o", color="black", markersize=3.4, zorder=4)
    own = tuple(block.states.index(i) for i in pair)
    sw.sets.draw(
        block.factor(claim.safe_state_set),
        ax,
        own,
        facecolor=(*figures.matplotlib.colors.to_rgb(BLUE), 0.10),
        edgecolor=BLUE,
        linewidth=1.6,
    )
    ax.margins(0.06)
    ax.locator_params(axis="x", nbins=4)
    ax.grid(alpha=0.22, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)


def stroboscope(ax, links, q):
    """Poses of an arm, the later the darker; q has shape (steps, links)."""
    lengths = DESIGNS[links].lengths
    for i, pose in enumerate(np.linspace(0, len(q) - 1, POSES).astype(int)):
        joints = [tip(lengths[:k], q[pose, :k]) for k in range(links + 1)]
        ax.plot(
            *np.array(joints).T,
            "o-",
            color=BLUE,
            alpha=0.12 + 0.88 * (i / (POSES - 1)) ** 2,
            linewidth=5 - 0.3 * links,
            markersize=5 - 0.3 * links,
            markerfacecolor="white",
            solid_capstyle="round",
        )
    ax.plot(0, 0, "s", color="black", markersize=7, zorder=5)
    reach = 1.08 * sum(lengths)
    ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
    ax.set(xlabel="m", ylabel="m", title="poses of one trajectory")


def quadrotor():
    """Paths in space, and the four blocks' sets with all trajectories."""
    claim, x = driven("safe_quadrotor_3d", "wide")
    figure = plt.figure(figsize=(13.5, 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(0.8, 1.4))
    space = left.add_subplot(projection="3d")
    box = claim.constraint_set
    for i in range(x.shape[1]):
        path = x[:, i, :3].T
        space.plot(*path, color=ORANGE, linewidth=1.3)
        space.plot(*path[:2], zs=box.lower[2], color=GREY, linewidth=0.7, alpha=0.5)  # its shadow
        space.plot(*path[:, :1], "o", color="black", markersize=3.4)
    limits = zip(box.lower[:3], box.upper[:3], strict=True)
    space.set(**dict(zip(("xlim", "ylim", "zlim"), limits, strict=True)))
    space.set(xlabel="x (m)", ylabel="y (m)", zlabel="z (m)", title="paths in the box of limits")
    space.set_box_aspect(box.upper[:3] - box.lower[:3])
    axes = right.subplots(2, 3)
    for ax, (pair, labels) in zip(axes.flat, QUADROTOR.items(), strict=True):
        block = next(block for block in claim.blocks if set(pair) <= set(block.states))
        panel(ax, claim, block, x, pair)
        ax.set(xlabel=labels[0], ylabel=labels[1])
    figures.key(figure, LEGEND)
    return figure


PICTURES = {
    "robot_learning": learning,
    **{name: functools.partial(arm, *options) for name, options in ARM.items()},
    "quadrotor_3d": quadrotor,
}


if __name__ == "__main__":
    figures.write(PICTURES, sys.argv[1:])
