"""The page that plays an episode. It holds all that it needs and loads nothing from anywhere."""

import html
import json
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from brax import base

from .._files import write_text
from ._bodies import bodies_of


def save_viewer(
    path: Path,
    sys: base.System,
    q: np.ndarray,
    *,
    dt: float = 0.05,
    title: str = "An episode",
    margin: np.ndarray | None = None,
    intervention: np.ndarray | None = None,
) -> None:
    """Writes an HTML page that plays an episode in any browser, also without internet.

    Args:
        path: File to write.
        sys: The environment's Brax system.
        q: Positions of the joints, shape (steps + 1, q_size).
        dt: Duration of a step in seconds.
        title: Title of the page.
        margin: Margin of the state after each step, shape (steps,), if it is to be shown.
        intervention: 1 for the steps in which the safeguard intervened, shape (steps,), likewise.
    """
    bodies = bodies_of(sys, q)
    episode = {
        "dt": dt,
        "shapes": [
            {**shape._asdict(), "points": _rounded(shape.points)} for shape in bodies.shapes
        ],
        "positions": _rounded(bodies.positions),
        "rotations": _rounded(bodies.rotations.reshape(*bodies.rotations.shape[:2], 9)),
        "margin": None if margin is None else _rounded(margin),
        "intervention": None if intervention is None else _rounded(intervention),
    }
    template = resources.files("safe_wrappers.plots").joinpath("viewer.html")
    page = template.read_text(encoding="utf-8")
    # Numbers alone: no text from outside can end the script in which they stand.
    data = json.dumps(episode, separators=(",", ":"))
    page = page.replace("{{title}}", html.escape(title)).replace("{{episode}}", data)
    write_text(path, page)


def _rounded(values: Any) -> Any:
    # 0.1 mm; a NaN is no JSON.
    return np.nan_to_num(np.asarray(values, np.float64).round(4)).tolist()
