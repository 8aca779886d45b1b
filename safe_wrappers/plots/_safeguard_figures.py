"""Pictures of what a safeguard does to actions and to gradients, at single states."""

import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .._colors import BLUE, GREY, ORANGE, RED
from .._errors import SetDimensionError
from ..safe_actions import System
from ..safe_actions._action_set import interval
from ..safeguards import (
    BoundaryProjection,
    GaugeMap,
    GeneratorMask,
    GradientDiagnosis,
    RayMask,
    Replacement,
    Safeguard,
    diagnose_gradient,
    safe_unit_action,
)
from ..safeguards._centers import inner_box, safe_center
from ..safeguards._rows import Rows
from ..sets import Polytope
from ..sets._draw import outline
from ._axes import state_labels
from ._sets_of import sets_of
from ._style import tidy

_PALE = to_rgba(BLUE, 0.12)
_DISTANCE = LinearSegmentedColormap.from_list("distance", ["#a9b8c9", ORANGE, RED])
_LOST = LinearSegmentedColormap.from_list("lost", ["white", ORANGE, "#7a2a08"]).with_extremes(
    under="#c3d9f0"
)
_ARROWS, _GLYPHS, _PIXELS = 11, 11, 121  # per axis
# Symmetric grids would meet the kinks of symmetric maps, such as the diagonals of the box, where
# the derivative is a convention.
_OFF_KINKS = np.array([1e-3, 4e-4])


def box_figure(system: System, safeguard: Safeguard, states: np.ndarray, *, title: str) -> Figure:
    """Two actions: for each state where requests go, and what becomes of the gradient.

    Args:
        system: A system with two actions.
        safeguard: The safeguard that is drawn.
        states: Shape (s, n).
        title: Title of the figure.
    """
    figure = Figure(figsize=(11.0, 1.2 + 4.5 * len(states)), layout="compressed")
    figure.suptitle(title, fontweight="bold")
    axes = figure.subplots(len(states), 2, squeeze=False)
    for (left, right), x in zip(axes, states, strict=True):
        arrows = draw_mapping(left, system, safeguard, x)
        left.set_title(_wrapped(f"executed actions at x = {_vector(x)}"), fontsize=9)
        lost = draw_gradient(right, system, safeguard, x)
        right.set_title(f"what is left of the gradient ({_rule(safeguard)})", fontsize=9)
        figure.colorbar(arrows, ax=left, label="distance from request to executed action")
        amplified = np.min(lost.get_array()) < 0
        label = "lost share of the squared length" + (" (blue: amplified)" if amplified else "")
        figure.colorbar(lost, ax=right, label=label, extend="min" if amplified else "neither")
        for ax in (left, right):
            ax.set(xlabel="action 1", ylabel="action 2")
    figure.legend(
        handles=_key(safeguard), loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    return figure


def interval_figure(
    system: System, safeguard: Safeguard, states: np.ndarray, *, title: str
) -> Figure:
    """One action: for each state the executed action over the request, and its derivative; of a
    plane of states also a map.

    Args:
        system: A system with one action.
        safeguard: The safeguard that is drawn.
        states: Shape (s, n).
        title: Title of the figure.
    """
    planar = states.shape[1] == 2 and sets_of(system).safe is not None
    columns = len(states) + planar
    figure = Figure(figsize=(1.0 + 3.5 * len(states) + 5.2 * planar, 6.0), layout="constrained")
    figure.suptitle(title, fontweight="bold")
    grid = figure.add_gridspec(
        2, columns, height_ratios=(1.6, 1), width_ratios=[1.0] * len(states) + [1.35] * planar
    )
    requests = np.linspace(-1, 1, 800, dtype=np.float32)
    actions, diagnosis = _respond(system, safeguard, states, requests[:, None])
    slopes = diagnosis.jacobian[..., 0, 0]
    for i, x in enumerate(states):
        above = figure.add_subplot(grid[0, i])
        below = figure.add_subplot(grid[1, i], sharex=above)
        ends = _interval(system, jnp.asarray(x))
        above.axhspan(float(ends[0]), float(ends[1]), color=BLUE, alpha=0.12, linewidth=0)
        above.plot([-1, 1], [-1, 1], color=GREY, linestyle="--", linewidth=1)
        above.plot(requests, actions[i, :, 0], color=BLUE, linewidth=2)
        above.set_title(
            _wrapped(f"{f'{i + 1}: ' if planar else ''}x = {_vector(x)}", 40), fontsize=9
        )
        above.set(xlim=(-1.02, 1.02), ylim=(-1.05, 1.05))
        above.tick_params(labelbottom=False)
        below.axhline(1, color=GREY, linestyle="--", linewidth=1)
        below.plot(requests, slopes[i], color=ORANGE, linewidth=2)
        below.set(
            xlabel="requested action",
            ylim=(min(-0.06, 1.1 * slopes.min()), max(1.15, 1.1 * slopes.max())),
        )
        if i:
            above.tick_params(labelleft=False)
            below.tick_params(labelleft=False)
        else:
            above.set_ylabel("executed action")
            below.set_ylabel(f"its derivative ({safeguard.rule.linearised.name} rule)")
        for ax in (above, below):
            tidy(ax)
    if planar:
        _draw_widths(figure, figure.add_subplot(grid[:, -1]), system, states)
    handles = [
        Line2D([], [], color=BLUE, linewidth=2, label="executed action"),
        Patch(color=BLUE, alpha=0.12, label="safe actions"),
        Line2D([], [], color=ORANGE, linewidth=2, label="derivative"),
        Line2D([], [], color=GREY, linestyle="--", linewidth=1, label="no safeguard"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def draw_mapping(ax: Axes, system: System, safeguard: Safeguard, x: np.ndarray) -> Any:
    """The safe action set of two actions at x, and arrows from requests to executed actions,
    coloured by their length; returns the arrows.
    """
    requests = _grid(_ARROWS)
    (actions,), _ = _respond(system, safeguard, x[None], requests)
    moves = actions - requests
    distances = np.linalg.norm(moves, axis=1)
    moved = distances > 1e-3
    _draw_set(ax, system, x)
    ax.plot(*requests.T, ".", color=GREY, markersize=4, markeredgewidth=0)
    arrows = ax.quiver(
        *requests[moved].T,
        *moves[moved].T,
        distances[moved],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.0045,
        cmap=_DISTANCE,
        norm=Normalize(0, max(1e-3, distances.max())),
        zorder=3,
    )
    center = _center(system, safeguard, x)
    if center is not None:
        ax.plot(
            *center,
            "*",
            color="black",
            markersize=11,
            markeredgecolor="white",
            markeredgewidth=0.6,
            zorder=4,
        )
    return arrows


def draw_gradient(ax: Axes, system: System, safeguard: Safeguard, x: np.ndarray) -> Any:
    """The lost share of the gradient by colour, and what becomes of a circle of gradients, both
    over the requests; returns the image.
    """
    pixels, at = _grid(_PIXELS, inset=True), _grid(_GLYPHS, inset=True)
    _, diagnosis = _respond(system, safeguard, x[None], np.concatenate([pixels, at]) + _OFF_KINKS)
    # Rounded, so that rounding errors are not taken for amplification.
    lost = np.round(diagnosis.lost_gradient[0, : len(pixels)], 4)
    glyphs, values, rank = (
        value[0, len(pixels) :]
        for value in (diagnosis.jacobian, diagnosis.singular_values, diagnosis.rank)
    )
    image = ax.imshow(
        lost.reshape(_PIXELS, _PIXELS),
        extent=(-1, 1, -1, 1),
        origin="lower",
        cmap=_LOST,
        norm=Normalize(0, 1),
    )
    angle = np.linspace(0, 2 * np.pi, 49)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    # A circle that is left alone just does not touch its neighbours; amplified ones are drawn to
    # that size at most.
    radius = 0.8 / _GLYPHS / np.maximum(values[:, 0], 1.0)
    shapes = at[:, None] + radius[:, None, None] * np.swapaxes(
        np.swapaxes(glyphs, 1, 2) @ circle, 1, 2
    )
    ax.add_collection(LineCollection(list(shapes), colors="black", linewidths=1.0, zorder=3))
    ax.plot(*at[rank == 0].T, "x", color="black", markersize=4, zorder=3)
    _draw_set(ax, system, x, fill=False)
    return image


def _draw_set(ax: Axes, system: System, x: np.ndarray, *, fill: bool = True) -> None:
    A, b = system.safe_action_set(jnp.asarray(x)).unit_rows()
    binding = np.any(np.asarray(A) != 0, axis=1)  # a zero row is no half-plane
    eye = np.eye(2)
    try:
        corners = outline(
            Polytope(
                np.concatenate([np.asarray(A)[binding], eye, -eye]),
                np.append(np.asarray(b)[binding], np.ones(4)),
            )
        )
    except SetDimensionError:
        pass  # empty or without an area: there is nothing to outline
    else:
        ax.fill(
            *corners.T,
            facecolor=_PALE if fill else "none",
            edgecolor=BLUE,
            linewidth=1.6,
            zorder=2,
        )
    ax.plot([-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1], color=GREY, linewidth=1)
    ax.set(
        aspect="equal", xlim=(-1.06, 1.06), ylim=(-1.06, 1.06), xticks=[-1, 0, 1], yticks=[-1, 0, 1]
    )
    ax.spines[:].set_visible(False)


def _draw_widths(figure: Figure, ax: Axes, system: Any, states: np.ndarray) -> None:
    """The plane of states coloured by the width of the interval of safe actions, and where the
    other panels are.
    """
    corners = outline(system.safe_state_set)
    low, high = corners.min(axis=0), corners.max(axis=0)
    first, second = np.meshgrid(*np.linspace(low, high, 161, dtype=np.float32).T)
    x = jnp.stack([first, second], axis=-1)
    widths, margins = jax.jit(
        jax.vmap(jax.vmap(lambda x: (jnp.subtract(*_interval(system, x)[::-1]), system.margin(x))))
    )(x)
    inside = np.where(margins >= 0, np.maximum(widths, 0), np.nan)
    image = ax.pcolormesh(
        first, second, inside, cmap="viridis", vmin=0, vmax=2, shading="nearest", rasterized=True
    )
    figure.colorbar(
        image, ax=ax, label="width of the interval of safe actions (2: all)", shrink=0.9
    )
    ax.plot(*corners.T, color=GREY, linewidth=1.5)
    for i, state in enumerate(states):
        ax.plot(*state, "o", color=RED, markersize=7, markeredgecolor="white", zorder=3)
        towards_middle = 11 * np.sign((low + high) / 2 - state + 1e-3)
        box = {
            "boxstyle": "round,pad=0.15",
            "facecolor": "white",
            "edgecolor": "none",
            "alpha": 0.85,
        }
        ax.annotate(
            f"{i + 1}",
            state,
            towards_middle,
            textcoords="offset points",
            ha="center",
            va="center",
            color=RED,
            fontweight="bold",
            bbox=box,
        )
    labels = state_labels(sets_of(system).model, 2)
    ax.set(xlabel=labels[0], ylabel=labels[1], title="the states of the panels")
    tidy(ax)


def _respond(
    system: System, safeguard: Safeguard, states: np.ndarray, requests: np.ndarray
) -> tuple[np.ndarray, GradientDiagnosis]:
    """Executed actions (s, r, d) and what happens to gradients, with the same leading axes, for
    requests (r, d) at states (s, n).
    """

    def at(x: jax.Array, request: jax.Array) -> tuple[jax.Array, GradientDiagnosis]:
        return safe_unit_action(system, safeguard, x, request).action, diagnose_gradient(
            system, safeguard, x, request
        )

    return jax.device_get(
        jax.jit(jax.vmap(jax.vmap(at, (None, 0)), (0, None)))(
            states, np.asarray(requests, np.float32)
        )
    )


def _interval(system: System, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Ends of the interval of safe actions in the box."""
    lower, upper = interval(*system.safe_action_set(x).unit_rows())
    return jnp.maximum(lower, -1.0), jnp.minimum(upper, 1.0)


def _center(system: System, safeguard: Safeguard, x: np.ndarray) -> np.ndarray | None:
    """The point that a safeguard maps about or to, shape (d,), if there is one that does not depend
    on the request.
    """
    action_set = system.safe_action_set(jnp.asarray(x))
    rows = Rows(*action_set.unit_rows(), tau=0.0)
    match safeguard:
        case Replacement():
            return np.asarray(action_set.anchor)
        case GeneratorMask():
            return np.asarray(inner_box(rows)[0])
        case RayMask() | GaugeMap() if safeguard.center != "orthogonal":
            return np.asarray(
                safe_center(
                    safeguard.center, rows, jnp.zeros_like(action_set.anchor), jnp.asarray(False)
                )
            )
    return None


def _rule(safeguard: Safeguard) -> str:
    """Whose Jacobian is drawn: a rule that is not linear has none of its own."""
    rule, drawn = safeguard.rule, safeguard.rule.linearised
    more = "" if drawn is rule else f"; {rule.name} loses at most as much"
    return f"{drawn.name} rule{more}"


def _key(safeguard: Safeguard) -> list[Any]:
    """Entries of the legend."""
    handles: list[Any] = [Patch(facecolor=_PALE, edgecolor=BLUE, label="safe actions")]
    if (
        not isinstance(safeguard, BoundaryProjection)
        and getattr(safeguard, "center", "") != "orthogonal"
    ):
        label = "certified anchor" if isinstance(safeguard, Replacement) else "safe centre"
        handles.append(
            Line2D([], [], color="black", marker="*", markersize=10, linestyle="none", label=label)
        )
    ring = Line2D(
        [],
        [],
        marker="o",
        color="black",
        markerfacecolor="none",
        markersize=9,
        linestyle="none",
        label="what is left of a circle of gradients",
    )
    cross = Line2D(
        [], [], marker="x", color="black", markersize=5, linestyle="none", label="nothing is left"
    )
    return [*handles, ring, cross]


def _grid(count: int, *, inset: bool = False) -> np.ndarray:
    """Requests in the box, shape (count^2, 2), with the last action varying slowest; inset: in the
    middles of equal cells.
    """
    edge = 1 - inset / count
    first, second = np.meshgrid(*[np.linspace(-edge, edge, count)] * 2)
    return np.stack([first.ravel(), second.ravel()], axis=-1)


def _vector(x: np.ndarray) -> str:
    numbers = ", ".join(f"{value:.3g}" for value in np.where(np.abs(x) < 5e-4, 0.0, x))
    return f"({numbers})".replace("-", "\N{MINUS SIGN}")


def _wrapped(text: str, width: int = 56) -> str:
    return textwrap.fill(text, width)
