"""A GIF of an episode, drawn without a display or OpenGL."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from brax.envs import Env
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from PIL import Image
from scipy.spatial import ConvexHull

from .._colors import BLUE, GREY, ORANGE, RED
from .._files import write_bytes
from ..envs import SafeSeeker
from ..evaluation import Episodes
from ._axes import chosen_pairs, state_labels
from ._bodies import Bodies, bodies_of
from ._phase_portrait import draw_sets
from ._seeker_map import draw_map
from ._sets_of import sets_of
from ._style import tidy

_FRAMES = 80  # at most: a GIF of 240 would have megabytes
_TRAIL = 25  # steps
_FASTEST = 0.02  # s per frame; browsers slow down what is faster
_ROUND = np.stack([f(2 * np.pi * np.arange(20) / 20) for f in (np.cos, np.sin)], axis=-1)


def save_gif(path: Path, env: Env, episodes: Episodes, index: int, *, title: str = "") -> bool:
    """Writes a GIF of an episode: its bodies if the environment has a Brax system, seen from the
    front, and its way through the plane of two states that belong together, or for the seeker
    through its map. The state is blue; orange where the safeguard intervened, red outside the safe
    set.

    Args:
        path: File to write.
        env: The environment of the episodes, with a `system`.
        episodes: Episodes, of which one is drawn.
        index: The number of the episode that is drawn.
        title: Title of the picture.

    Returns:
        Whether there was anything to draw: a plant of one state without bodies has no picture.
    """
    x = np.asarray(episodes.x)[:, index]
    bodies = (
        None if episodes.q is None else bodies_of(env.sys, np.asarray(episodes.q)[:, index])  # pyright: ignore[reportAttributeAccessIssue]
    )
    plane = x.shape[1] > 1
    if bodies is None and not plane:
        return False
    figure = Figure(figsize=(4.4 * ((bodies is not None) + plane), 4.2), layout="constrained")
    figure.suptitle(title, fontsize=9)
    panels = list(figure.subplots(1, (bodies is not None) + plane, squeeze=False)[0])
    moving: list[Any] = []
    if bodies is not None:
        moving.append(_Bodies(panels.pop(0), bodies))
    if plane:
        moving.append(_Way(panels.pop(0), env, episodes, index))
    seconds = step_seconds(env) * (len(x) - 1)
    chosen = np.unique(np.linspace(0, len(x) - 1, min(_FRAMES, len(x))).astype(int))
    images = _images(figure, moving, chosen)
    content = io.BytesIO()
    images[0].save(
        content,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=1000 * max(seconds / max(len(chosen) - 1, 1), _FASTEST),
        loop=0,
        optimize=False,
    )
    write_bytes(path, content.getvalue())
    return True


class _Bodies:
    """Shapes seen from the front, x to the right and z upwards."""

    def __init__(self, ax: Axes, bodies: Bodies):
        self._bodies = bodies
        # Far ones first: they are hidden by what is nearer to the one who looks along y.
        depth = -bodies.positions[0, :, 1]
        self._order = [
            int(i) for i in np.argsort(depth, kind="stable") if not bodies.shapes[i].ground
        ]
        corners = np.concatenate(
            [self._outline(t, i) for t in range(0, len(bodies.positions), 10) for i in self._order]
            or [np.zeros((1, 2))]
        )
        low, high = corners.min(axis=0), corners.max(axis=0)
        middle, half = (low + high) / 2, 0.55 * max(np.ptp(corners, axis=0).max(), 0.1)
        ax.set(
            aspect="equal",
            xlim=(middle[0] - half, middle[0] + half),
            ylim=(middle[1] - half, middle[1] + half),
        )
        ax.set_axis_off()
        self.artists: list[Artist] = [
            ax.add_patch(
                Polygon(
                    self._outline(0, i),
                    facecolor=bodies.shapes[i].color,
                    edgecolor=bodies.shapes[i].color,
                    linewidth=0.8,
                )
            )
            for i in self._order
        ]

    def show(self, frame: int) -> None:
        for artist, i in zip(self.artists, self._order, strict=True):
            artist.set_xy(self._outline(frame, i))  # pyright: ignore[reportAttributeAccessIssue]

    def _outline(self, frame: int, shape: int) -> np.ndarray:
        flat = self._bodies.points(frame, shape)[:, [0, 2]]
        radius = max(self._bodies.shapes[shape].radius, 1e-3)
        points = (flat[:, None] + radius * _ROUND).reshape(-1, 2)
        return points[ConvexHull(points).vertices]


class _Way:
    """The plane of two states, or the seeker's map, with the way so far."""

    def __init__(self, ax: Axes, env: Env, episodes: Episodes, index: int):
        x = np.asarray(episodes.x)[:, index]
        if isinstance(getattr(env, "env", env), SafeSeeker):
            draw_map(ax, episodes, index)
            pair = (0, 1)
        else:
            sets = sets_of(env)
            pair = chosen_pairs(sets, None, x.shape[1])[0]
            labels = state_labels(sets.model, x.shape[1])
            ax.set_xlabel(labels[pair[0]])
            ax.set_ylabel(labels[pair[1]])
            ax.plot(*x[:, pair].T, color=GREY, linewidth=0.6, alpha=0.5)
            draw_sets(ax, sets, pair)
            tidy(ax)
        self._points = x[:, pair]
        changed = np.asarray(episodes.intervention)[:, index] > 0
        outside = np.asarray(episodes.violation)[:, index] > 0
        colors = np.where(outside, RED, np.where(changed, ORANGE, BLUE))
        self._colors = [BLUE, *colors]
        (trail,) = ax.plot([], [], color=BLUE, linewidth=2, alpha=0.7, zorder=4)
        (dot,) = ax.plot([], [], "o", markersize=8, markeredgecolor="white", zorder=5)
        self.artists: list[Any] = [trail, dot]

    def show(self, frame: int) -> None:
        trail, dot = self.artists
        trail.set_data(*self._points[max(0, frame - _TRAIL) : frame + 1].T)
        dot.set_data(*self._points[frame : frame + 1].T)
        dot.set_color(self._colors[frame])
        dot.set_markeredgecolor("white")


def _images(figure: Figure, moving: list[Any], frames: np.ndarray) -> list[Image.Image]:
    """The frames, of which all but the moving artists is drawn once."""
    canvas: Any = FigureCanvasAgg(figure)
    artists = [artist for part in moving for artist in part.artists]
    for artist in artists:
        artist.set_animated(True)
    canvas.draw()
    figure.set_layout_engine("none")
    background = canvas.copy_from_bbox(figure.bbox)
    images = []
    for frame in frames:
        canvas.restore_region(background)
        for part in moving:
            part.show(int(frame))
        for artist in artists:
            artist.axes.draw_artist(artist)
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    # One palette for all, so that a frame holds no more than what differs from the one before.
    sample = images[0].copy()
    for i, color in enumerate((BLUE, ORANGE, RED)):
        sample.paste(color, (40 * i, 0, 40 * i + 40, 40))
    palette = sample.quantize(64, dither=Image.Dither.NONE)
    return [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]


def step_seconds(env: Env) -> float:
    """Seconds of a step, as far as the environment knows them."""
    known: Any = env
    try:
        return float(known.dt)
    except (AttributeError, KeyError, TypeError):
        return 0.05
