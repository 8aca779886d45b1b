"""The pictures of the documentation: safe sets, their projections, safeguarded trajectories that
are pushed to the limits, and safeguards side by side.

python docs/figures.py [PICTURE ...]
"""

import sys
from pathlib import Path

import jax
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

import safe_wrappers as sw
from safe_wrappers._colors import BLUE, GREEN, GREY, ORANGE, RED
from safe_wrappers.plots import draw_gradient, draw_mapping
from safe_wrappers.sets import Box, draw

IMAGES = Path(__file__).parent / "images"
PURPLE, PINK = "#7b4fa3", "#b5447a"
TRAJECTORIES, STEPS = 8, 160
LABELS = {
    "safe_pendulum": ("angle θ (rad)", "angular velocity θ̇ (rad/s)"),
    "safe_cart_pole": (
        "position x (m)",
        "pole angle θ (rad)",
        "velocity ẋ (m/s)",
        "pole velocity θ̇ (rad/s)",
    ),
    "safe_quadrotor": (
        "position x (m)",
        "height z (m)",
        "roll φ (rad)",
        "velocity ẋ (m/s)",
        "climb ż (m/s)",
        "roll rate φ̇ (rad/s)",
    ),
}


def trajectories(system, safe_set, *, hold=24, seed=0):
    """States (T + 1, N, n) and interventions (T, N) under worst-case disturbances and requests of
    full force whose sign is held for a while.
    """
    env = sw.SafeguardWrapper(
        sw.envs.get_environment(system, safe_set=safe_set, disturbance="worst_case"),
        sw.BoundaryProjection(),
    )
    rng = np.random.default_rng(seed)
    switch = rng.random((STEPS, TRAJECTORIES, env.action_size)) < 1 / hold
    signs = np.where(np.cumsum(switch, axis=0) % 2, 1.0, -1.0) * rng.choice(
        [-1.0, 1.0], switch.shape[1:]
    )

    def step(state, action):
        after = jax.vmap(env.step)(state, action)
        return after, (
            jax.vmap(env.system.state)(after),
            after.info["safeguard"]["intervened"],
            after.info["safeguard"]["inside"],
        )

    start = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(seed), TRAJECTORIES))
    _, (x, intervened, inside) = jax.jit(
        lambda state: jax.lax.scan(step, state, signs.astype(np.float32))
    )(start)
    if not np.all(inside):
        raise SystemExit(f"{system} {safe_set}: a trajectory left the set.")
    print(
        f"{system} {safe_set}: {inside.size} steps inside, {np.mean(intervened):.0%} of the "
        "requests replaced"
    )
    return np.concatenate([jax.vmap(env.system.state)(start)[None], x]), np.asarray(intervened) > 0


def draw_trajectories(ax, x, intervened, pair):
    """Lines, starts, and the states at which the safeguard replaced the request."""
    i, j = pair
    ax.plot(x[..., i], x[..., j], color=GREY, linewidth=0.6, alpha=0.55, zorder=2)
    replaced = x[:-1][intervened]
    ax.plot(
        replaced[:, i],
        replaced[:, j],
        ".",
        color=ORANGE,
        markersize=3.4,
        markeredgewidth=0,
        alpha=0.8,
        zorder=3,
    )
    ax.plot(x[0, :, i], x[0, :, j], "o", color="black", markersize=3.4, zorder=4)


def draw_set(ax, claim, pair, color, opacity=0.10, **style):
    """The projection of a set, pale with a solid edge."""
    draw(
        claim.safe_state_set,
        ax,
        axes=pair,
        facecolor=(*matplotlib.colors.to_rgb(color), opacity),
        edgecolor=color,
        linewidth=1.6,
        **style,
    )


def draw_bounds(ax, constraint_set: Box, pair):
    """The constraints, as dotted lines."""
    for axis, line in zip(pair, (ax.axvline, ax.axhline), strict=True):
        for bound in (constraint_set.lower[axis], constraint_set.upper[axis]):
            if np.isfinite(bound):
                line(bound, color=RED, linestyle=(0, (1, 2)), linewidth=1.1, zorder=1)


def finish(ax, system, pair, title=None):
    """Labels and room."""
    ax.set_xlabel(LABELS[system][pair[0]])
    ax.set_ylabel(LABELS[system][pair[1]])
    ax.margins(0.06)
    ax.grid(alpha=0.22, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if title:
        ax.set_title(title, fontsize=10)


def key(figure, entries):
    """One legend below all panels; entries are (label, artist properties)."""
    handles = [matplotlib.lines.Line2D([], [], label=label, **style) for label, style in entries]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9
    )


BOUNDS = ("constraints X", {"color": RED, "linestyle": (0, (1, 2)), "linewidth": 1.3})
PATHS = [
    ("trajectory", {"color": GREY, "linewidth": 1.0}),
    ("start", {"color": "black", "marker": "o", "markersize": 4, "linestyle": "none"}),
    ("request replaced", {"color": ORANGE, "marker": ".", "markersize": 7, "linestyle": "none"}),
]


def pendulum():
    """All four sets, and trajectories in two of them."""
    system, pair = "safe_pendulum", (0, 1)
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    colors = {"walter2025": PURPLE, "full": BLUE, "upright": GREEN, "narrow": PINK}
    for name, color in colors.items():
        claim = sw.envs.load_certificate(system, name).claim
        label = f"{name}: {claim.safe_state_set.volume():.1f}"
        draw_set(axes[0], claim, pair, color, label=label)
    finish(axes[0], system, pair, "the shipped sets")
    axes[0].set_ylim(-13, 19)
    axes[0].legend(
        loc="upper center",
        ncols=2,
        frameon=False,
        fontsize=8.5,
        title="area (rad²/s)",
        title_fontsize=8.5,
    )
    for ax, name in zip(axes[1:], ("full", "narrow"), strict=True):
        claim = sw.envs.load_certificate(system, name).claim
        draw_bounds(ax, claim.constraint_set, pair)
        draw_set(ax, claim, pair, colors[name])
        draw_trajectories(ax, *trajectories(system, name, hold=12), pair)
        finish(ax, system, pair, f"trajectories in “{name}”")
    key(figure, [BOUNDS, *PATHS])
    return figure


def projections(system, names, pairs, shape):
    """Projections of the sets `names`, the first one with trajectories."""
    figure, axes = plt.subplots(
        *shape, figsize=(4.35 * shape[1], 3.7 * shape[0]), layout="constrained"
    )
    claims = [sw.envs.load_certificate(system, name).claim for name in names]
    x, intervened = trajectories(system, names[0])
    colors = (BLUE, GREEN)
    for ax, pair in zip(axes.flat, pairs, strict=True):
        draw_bounds(ax, claims[0].constraint_set, pair)
        draw_trajectories(ax, x, intervened, pair)
        for claim, color in zip(claims, colors, strict=False):
            draw_set(ax, claim, pair, color, opacity=0.10 if claim is claims[0] else 0.0)
        finish(ax, system, pair)
    sets = [
        (f"“{name}”, projected", {"color": color, "linewidth": 1.8})
        for name, color in zip(names, colors, strict=False)
    ]
    key(figure, [*sets, BOUNDS, *PATHS])
    return figure


def mappings():
    """Every safeguard on one safe action set: where requests go, and what becomes of the
    gradient.
    """
    system = sw.envs.get_environment("safe_quadrotor").system
    # three facets cut the action box, one of them at an angle
    x = np.array([-1.95, -3.36, 0.25, 0.28, -0.965, -0.785], np.float32)
    if not system.margin(x) > 0:
        raise SystemExit(f"The state {x} is not safe.")
    safeguards = {
        "boundary projection": sw.BoundaryProjection(),
        "ray mask, linear": sw.RayMask(mapping="linear"),
        "ray mask, hyperbolic": sw.RayMask(),
        "gauge map": sw.GaugeMap(),
        "generator mask": sw.GeneratorMask(),
        "replacement": sw.Replacement(),
    }
    figure, axes = plt.subplots(
        2, len(safeguards), figsize=(15.5, 5.9), layout="compressed", sharex=True, sharey=True
    )
    for (above, below), (name, safeguard) in zip(axes.T, safeguards.items(), strict=True):
        arrows = draw_mapping(above, system, safeguard, x)
        arrows.set_clim(0, 1.8)
        lost = draw_gradient(below, system, safeguard, x)
        above.set_title(name, fontsize=11)
        below.set_xlabel("action 1")
    axes[0, 0].set_ylabel("executed actions\naction 2")
    axes[1, 0].set_ylabel("what is left of the gradient\naction 2")
    figure.colorbar(arrows, ax=axes[0], label="distance", ticks=[0, 0.6, 1.2, 1.8], pad=0.01)
    figure.colorbar(lost, ax=axes[1], label="lost share (blue: amplified)", extend="min", pad=0.01)
    circle = {"marker": "o", "color": "black", "markerfacecolor": "none", "linestyle": "none"}
    entries = [
        ("boundary of the safe actions", {"color": BLUE, "linewidth": 1.8}),
        (
            "safe centre or anchor",
            {"marker": "*", "color": "black", "markersize": 10, "linestyle": "none"},
        ),
        ("what is left of a circle of gradients", circle),
        (
            "nothing is left",
            {"marker": "x", "color": "black", "markersize": 5, "linestyle": "none"},
        ),
    ]
    key(figure, entries)
    return figure


PICTURES = {
    "safe_pendulum": pendulum,
    "safe_cart_pole": lambda: projections(
        "safe_cart_pole",
        ("wide", "classic"),
        [(0, 2), (1, 3), (0, 1), (2, 3), (0, 3), (1, 2)],
        (2, 3),
    ),
    "safe_quadrotor": lambda: projections(
        "safe_quadrotor", ("wide",), [(0, 3), (1, 4), (2, 5), (0, 1), (0, 2), (2, 3)], (2, 3)
    ),
    "safeguards_mapping": mappings,
}


def write(pictures, names):
    """Draws the named pictures, by default all; `pictures` has a function for each name."""
    matplotlib.use("Agg")
    plt.rcParams.update({"font.size": 9.5, "axes.titleweight": "bold"})
    IMAGES.mkdir(exist_ok=True)
    for name in names or pictures:
        figure = pictures[name]()
        file = IMAGES / f"{name}.png"
        figure.savefig(file, dpi=110)
        plt.close(figure)
        # A palette makes the file a third as large.
        Image.open(file).convert("RGB").quantize(255, method=Image.Quantize.MAXCOVERAGE).save(
            file, optimize=True
        )


if __name__ == "__main__":
    write(PICTURES, sys.argv[1:])
