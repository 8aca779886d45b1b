"""Pictures of the bundled systems by MuJoCo's renderer, for those who have OpenGL."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from ._drawing import state_color

_SIZE = 400  # pixels
_mujoco: Any = mujoco  # its compiled members are hidden from type checkers


class MujocoDrawing:
    """Draws a system's MJCF model from its camera "front", the last body in the colours of `draw`:
    blue, orange, red.

    Args:
        model: The `mujoco.MjModel` of one of the assets; its qpos is the first half of the state.

    Raises:
        RuntimeError: Without OpenGL.
    """

    def __init__(self, model: Any):
        self._model, self._data = model, _mujoco.MjData(model)
        self._geoms = np.flatnonzero(model.geom_bodyid == model.nbody - 1)
        try:
            self._renderer = mujoco.Renderer(model, _SIZE, _SIZE)
        except Exception as error:  # every platform fails in a way of its own
            raise RuntimeError(
                f"`renderer='mujoco'` needs OpenGL, but MuJoCo's renderer says: {error} On a "
                "machine without a display set MUJOCO_GL=egl "
                "or MUJOCO_GL=osmesa before Python starts, or use `renderer='matplotlib'`."
            ) from error

    def __call__(self, x: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """The picture of the state x, shape (400, 400, 3), uint8; arguments as of `draw`."""
        self._data.qpos[:] = x[: self._model.nq]
        self._model.geom_rgba[self._geoms, :3] = state_color(info)
        _mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera="front")
        return self._renderer.render()
