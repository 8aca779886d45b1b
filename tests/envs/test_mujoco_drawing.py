"""Rendering by MuJoCo: MUJOCO_GL is read when MuJoCo is imported, so that real pictures are drawn
in processes of their own.
"""

import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from safe_wrappers.envs import SafeGymEnv, SafeGymVectorEnv

PROGRAM = """
import numpy as np
from safe_wrappers.envs import SafeGymEnv
try:
    env = SafeGymEnv("safe_pendulum", render_mode="rgb_array", renderer="mujoco")
except RuntimeError as error:
    print(error)
else:
    env.reset(seed=0, options={"x": [0.7, 0.0]})
    picture = env.render()
    assert picture.shape == (400, 400, 3) and picture.dtype == np.uint8
    left, right = picture[143, 152], picture[143, 248]
    print("drawn", right.argmax(), left.argmax() if np.ptp(left) > 60 else "background")
"""
NEEDS = "`renderer='mujoco'` needs OpenGL"


def run(platform):
    environment = {**os.environ, "MUJOCO_GL": platform, "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_opengl_the_error_says_what_to_do():
    assert run("disable").startswith(NEEDS)


def test_a_machine_draws_the_rod_in_blue_or_says_what_it_lacks():
    """The rod leans to the right by 0.7 rad: the pixel on it is blue, its mirror image is
    background.
    """
    printed = run("egl")
    assert printed == "drawn 2 background" or printed.startswith(NEEDS)


class Recorder:
    """Stands for mujoco.Renderer: keeps the model and what it was shown."""

    def __init__(self, model, height, width):
        self.model, self.shape, self.shown = model, (height, width, 3), []

    def update_scene(self, data, camera):
        assert mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_CAMERA, camera) >= 0
        self.shown.append((data.qpos.copy(), self.model.geom_rgba[-1, :3].copy()))

    def render(self):
        return np.zeros(self.shape, np.uint8)


@pytest.mark.parametrize(
    ("system", "n", "q"),
    [
        ("safe_pendulum", 2, 1),
        ("safe_cart_pole", 4, 2),
        ("safe_quadrotor", 6, 3),
        ("safe_arm", 4, 2),
        ("safe_quadrotor_3d", 12, 6),
    ],
)
def test_what_is_shown_is_the_state_in_the_colour_of_what_happened(monkeypatch, system, n, q):
    monkeypatch.setattr(mujoco, "Renderer", Recorder)
    env = SafeGymEnv(system, render_mode="rgb_array", renderer="mujoco")
    x = np.linspace(0.1, 0.2, n)
    draw = env.draw
    for info in (
        {"margin": 0.5},
        {"margin": 0.5, "safeguard": {"intervened": 1.0}},
        {"margin": -0.1},
    ):
        assert draw(x, info).shape == (400, 400, 3)
    positions, colors = zip(*draw._renderer.shown, strict=True)
    np.testing.assert_array_equal(positions, [x[:q]] * 3)
    assert [int(color.argmax()) for color in colors] == [2, 0, 0]
    assert colors[1][1] > 2 * colors[2][1]  # orange, red


def test_options_are_checked():
    with pytest.raises(
        ValueError, match="`renderer` is 'opengl', but it must be one of 'matplotlib', 'mujoco'"
    ):
        SafeGymVectorEnv("safe_pendulum", 2, render_mode="rgb_array", renderer="opengl")
    with pytest.raises(ValueError, match="needs an MJCF model, but 'safe_seeker' has none"):
        SafeGymEnv("safe_seeker", render_mode="rgb_array", renderer="mujoco")
