"""The Brax viewer of an episode."""

from pathlib import Path
from types import SimpleNamespace

import mujoco
import numpy as np
from brax import base
from brax.io import html


def save_viewer(path: Path, sys: base.System, q: np.ndarray) -> None:
    """Writes an HTML page that plays an episode.

    It loads Brax's viewer script from the web when it is opened.

    Args:
        path: File to write.
        sys: The environment's Brax system.
        q: Positions of the joints, shape (steps + 1, q_size).
    """
    data = mujoco.MjData(sys.mj_model)  # pyright: ignore[reportAttributeAccessIssue]
    frames = []
    for position in q:
        data.qpos[:] = position
        mujoco.mj_kinematics(sys.mj_model, data)  # pyright: ignore[reportAttributeAccessIssue]
        # Brax's links are MuJoCo's bodies without the world.
        frames.append(
            SimpleNamespace(x=base.Transform(pos=data.xpos[1:].copy(), rot=data.xquat[1:].copy()))
        )
    html.save(str(path), sys, frames)
