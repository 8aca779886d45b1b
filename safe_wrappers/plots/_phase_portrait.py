"""Pictures of safe sets and of episodes in them. They are drawn on figures of their own and never
touch pyplot's state.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from .._colors import BLUE, GREY, ORANGE, RED
from .._errors import SetDimensionError
from ..evaluation import Episodes, Evaluation, episode_keys
from ..sets import Box, Polytope
from ..sets._draw import outline
from ._axes import Pair, chosen_pairs, state_labels
from ._sets_of import Sets, sets_of
from ._style import tidy

_TRAJECTORIES = 24
_ROOM = 0.12  # around the safe set, in parts of its width


def safe_set(certificate: Any, axes: Sequence[Any] | None = None, *, title: str = "") -> Figure:
    """The safe set and the state constraints; with more than two states, projections onto pairs of
    them.

    A projection shows every point that some safe state lies above: a state over the blue area need
    not be safe.

    Args:
        certificate: A certificate, a claim, a system, an environment with one, or a bare set.
        axes: Two states, by index or by the names of the model's `state_names`, or a list of such
            pairs. Default: pairs that belong together, such as a position with its velocity.
        title: Title of the figure.

    Raises:
        TypeError: If `certificate` is something else.
        SetDimensionError: If the plant has one state only, its safe states are not given as a set,
            or `axes` does not fit.

    Example:
        >>> import safe_wrappers as sw
        >>> certificate = sw.envs.load_certificate("safe_cart_pole", "wide")
        >>> figure = sw.plots.safe_set(certificate)
    """
    sets = sets_of(certificate)
    if sets.safe is None:
        raise SetDimensionError(
            "The safe states must be given as a set to be drawn, but those of an explicit system "
            "are given by its margin."
        )
    n = sets.safe.dim
    figure, drawn = _panels(sets, chosen_pairs(sets, axes, n), n)
    for ax, pair in drawn:
        draw_sets(ax, sets, pair)
    _finish(figure, title)
    return figure


def phase_portrait(
    env: Any,
    policy: Callable[..., Any] | Episodes,
    *,
    axes: Sequence[Any] | None = None,
    num_episodes: int = _TRAJECTORIES,
    episode_length: int = 240,
    seed: int = 0,
    title: str | None = None,
) -> Figure:
    """The safe set and trajectories of episodes; with more than two states, projections onto pairs
    of them.

    Args:
        env: The environment, safeguarded or not: one of the library's, or any in a
            `SafeguardWrapper`.
        policy: (obs, key) -> (action, extras), as `make_policy(params)` of Brax's agents and
            `load_policy` return it, or episodes that were run before, of which the first 24 are
            drawn.
        axes: The pair or pairs of states to draw, as for `safe_set`.
        num_episodes: Episodes to run with the policy, at least 1.
        episode_length: Steps of each.
        seed: Random seed of starts and disturbances.
        title: Title of the figure. Default: the name of the environment's class.

    Raises:
        TypeError: If `policy` is neither.
        SetDimensionError: If `axes` does not fit, or the plant has one state only.

    Example:
        >>> import jax.numpy as jnp, safe_wrappers as sw
        >>> env = sw.SafeguardWrapper(sw.envs.SafePendulum(), sw.BoundaryProjection())
        >>> figure = sw.plots.phase_portrait(env, lambda obs, key: (jnp.ones(1), {}))
    """
    episodes = policy
    if not isinstance(episodes, Episodes):
        if not callable(policy):
            raise TypeError(
                "`policy` must be a function (obs, key) -> (action, extras) or `Episodes`, but it "
                f"is a `{type(policy).__name__}`."
            )
        act: Any = policy
        policies = {"policy": lambda _, state, key: act(state.obs, key)[0]}
        keys = episode_keys(num_episodes, seed)
        episodes = Evaluation(env, policies, keys, episode_length)("policy", {"policy": ()})
    sets = sets_of(env)
    n = np.shape(episodes.x)[-1]
    figure, drawn = _panels(sets, chosen_pairs(sets, axes, n), n)
    shown = min(_TRAJECTORIES, np.shape(episodes.x)[1])
    x = np.asarray(episodes.x)[:, :shown]
    outside = np.asarray(episodes.violation)[:, :shown] > 0
    for ax, pair in drawn:
        _trajectories(ax, x, outside, pair)
        draw_sets(ax, sets, pair)
    name = type(getattr(env, "env", env)).__name__ if title is None else title
    _finish(figure, f"{name}\n{shown} of {np.shape(episodes.x)[1]} evaluation episodes")
    return figure


def _panels(sets: Sets, pairs: list[Pair], n: int) -> tuple[Figure, list[tuple[Axes, Pair]]]:
    figure = Figure(figsize=(1.5 + 5.0 * len(pairs), 5.2), layout="constrained")
    labels = state_labels(sets.model, n)
    panels = list(zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True))
    for ax, (i, j) in panels:
        ax.set_xlabel(labels[i])
        ax.set_ylabel(labels[j])
        tidy(ax)
    return figure, panels


def _finish(figure: Figure, title: str) -> None:
    figure.suptitle(title)
    found = {
        label: handle
        for ax in figure.axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=5, frameon=False)


def _trajectories(ax: Axes, x: np.ndarray, outside: np.ndarray, pair: Pair) -> None:
    i, j = pair
    marker = {"linestyle": "none", "zorder": 3}
    ax.plot(x[:, :, i], x[:, :, j], color=GREY, linewidth=0.7, alpha=0.8)
    ax.plot(x[0, :, i], x[0, :, j], "o", color=ORANGE, markersize=4, label="start", **marker)
    ax.plot(x[-1, :, i], x[-1, :, j], "s", color="black", markersize=4, label="end", **marker)
    if outside.any():
        left = x[1:][outside]
        ax.plot(
            left[:, i], left[:, j], "x", color=RED, label="outside the safe set", ms=5, **marker
        )


def draw_sets(ax: Axes, sets: Sets, pair: Pair) -> None:
    """The safe set, and the state constraints where they lie near; the view is that of the set
    with some room, whatever a trajectory does.
    """
    if sets.safe is None:
        return
    corners = outline(sets.safe, pair)
    ax.fill(
        *corners.T,
        facecolor=to_rgba(BLUE, 0.1),
        edgecolor=BLUE,
        linewidth=1.5,
        zorder=1,
        label="safe set" if sets.safe.dim == 2 else "safe set, projected",
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = _ROOM * (high - low)
    low, high = low - room, high + room
    limits = {"color": RED, "linestyle": ":", "linewidth": 1, "zorder": 2}
    named = {**limits, "label": "state constraints"}
    if isinstance(sets.constraints, Box):
        bounds = (np.asarray(sets.constraints.lower), np.asarray(sets.constraints.upper))
        for axis, line in zip(pair, (ax.axvline, ax.axhline), strict=True):
            for bound in (float(bound[axis]) for bound in bounds):
                if np.isfinite(bound):
                    line(bound, **named)
    elif sets.constraints is not None:
        edge = _projected(sets.constraints, sets, pair)
        if edge is not None:
            ax.plot(*edge.T, **named)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])


def _projected(constraints: Polytope, sets: Sets, pair: Pair) -> np.ndarray | None:
    """The outline of the part of X that is at most a few times as wide as S: X need not be bounded.
    None if it cannot be computed.
    """
    assert sets.safe is not None
    axes = np.eye(sets.safe.dim)
    low, high = (
        np.array([sign * sets.safe.support(sign * axis) for axis in axes]) for sign in (-1, 1)
    )
    near = Box(low - 2 * (high - low), high + 2 * (high - low))
    H, h = (
        np.concatenate([np.asarray(first), np.asarray(second)])
        for first, second in zip(constraints.halfspaces(), near.halfspaces(), strict=True)
    )
    try:
        return outline(Polytope(H, h), pair)
    except SetDimensionError:
        return None
