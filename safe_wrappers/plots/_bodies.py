"""The bodies of a Brax system in an episode, as what both the viewer and the GIF draw: convex
shapes, each the hull of a few points, rounded by a radius.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import mujoco
import numpy as np

_mujoco: Any = mujoco  # its compiled members are hidden from type checkers
_TURN = 2 * np.pi * np.arange(16) / 16
_PLANE = 20.0  # m, half-width of a plane without bounds


class Shape(NamedTuple):
    """One shape of a body.

    Attributes:
        points: Points in the shape's own coordinates, shape (k, 3), m.
        radius: The shape is the hull of balls of this radius around the points, m.
        color: Red, green, blue and opacity, from 0 to 1.
        ground: Whether the shape is a plane, on which things stand.
    """

    points: np.ndarray
    radius: float
    color: tuple[float, ...]
    ground: bool


class Bodies(NamedTuple):
    """Shapes, and where they are in each of T frames.

    Attributes:
        shapes: G of them.
        positions: Shape (T, G, 3), m.
        rotations: Matrices, shape (T, G, 3, 3).
    """

    shapes: list[Shape]
    positions: np.ndarray
    rotations: np.ndarray

    def points(self, frame: int, shape: int) -> np.ndarray:
        """The points of a shape in a frame, in the coordinates of the world, shape (k, 3)."""
        rotation = self.rotations[frame, shape]
        return self.positions[frame, shape] + self.shapes[shape].points @ rotation.T


def bodies_of(sys: Any, q: np.ndarray) -> Bodies:
    """The bodies of a Brax system.

    Args:
        sys: The system.
        q: Positions of its joints, shape (T, q_size).
    """
    model = sys.mj_model
    data = _mujoco.MjData(model)
    seen = [geom for geom in range(model.ngeom) if model.geom_rgba[geom, 3] > 0]
    positions, rotations = [], []
    for frame in q:
        data.qpos[:] = frame
        _mujoco.mj_kinematics(model, data)
        positions.append(data.geom_xpos[seen].copy())
        rotations.append(data.geom_xmat[seen].reshape(-1, 3, 3).copy())
    return Bodies([_shape(model, geom) for geom in seen], np.array(positions), np.array(rotations))


def _shape(model: Any, geom: int) -> Shape:
    kind, size = int(model.geom_type[geom]), np.array(model.geom_size[geom], np.float64)
    points, radius = _SHAPES.get(_mujoco.mjtGeom(kind), _bounding_box)(size)
    if points is None:
        center, half = np.split(np.array(model.geom_aabb[geom], np.float64), 2)
        points = center + _corners(half)
    color = tuple(float(value) for value in model.geom_rgba[geom])
    return Shape(points, radius, color, kind == _mujoco.mjtGeom.mjGEOM_PLANE)


def _corners(half: np.ndarray) -> np.ndarray:
    signs = np.stack(np.meshgrid(*[(-1.0, 1.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return signs * half


def _circle(radius: float, height: float) -> np.ndarray:
    z = np.full(len(_TURN), height)
    return np.stack([radius * np.cos(_TURN), radius * np.sin(_TURN), z], axis=-1)


def _plane(size: np.ndarray) -> tuple[np.ndarray, float]:
    x, y = np.where(size[:2] > 0, size[:2], _PLANE)
    return np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]]), 0.0


def _ellipsoid(size: np.ndarray) -> tuple[np.ndarray, float]:
    rings = [_circle(np.cos(angle), np.sin(angle)) for angle in np.linspace(-1.4, 1.4, 7)]
    return np.concatenate(rings) * size, 0.0


def _bounding_box(size: np.ndarray) -> tuple[None, float]:
    """Of what has another form, such as a mesh: the box around it."""
    del size
    return None, 0.0


_SHAPES: dict[Any, Callable[[np.ndarray], tuple[np.ndarray | None, float]]] = {
    _mujoco.mjtGeom.mjGEOM_PLANE: _plane,
    _mujoco.mjtGeom.mjGEOM_SPHERE: lambda size: (np.zeros((1, 3)), float(size[0])),
    _mujoco.mjtGeom.mjGEOM_CAPSULE: lambda size: (
        np.array([[0.0, 0.0, -size[1]], [0.0, 0.0, size[1]]]),
        float(size[0]),
    ),
    _mujoco.mjtGeom.mjGEOM_ELLIPSOID: _ellipsoid,
    _mujoco.mjtGeom.mjGEOM_CYLINDER: lambda size: (
        np.concatenate([_circle(size[0], -size[1]), _circle(size[0], size[1])]),
        0.0,
    ),
    _mujoco.mjtGeom.mjGEOM_BOX: lambda size: (_corners(size), 0.0),
}
