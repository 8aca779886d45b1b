"""Registration of the bundled systems with Brax and Gymnasium, as soon as these are imported.

Neither is imported for it, nor are the systems: their classes are looked up when one is made.
"""

import contextlib
import functools
import importlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from ._around_import import around_import

CLASSES = {
    "safe_pendulum": "SafePendulum",
    "safe_cart_pole": "SafeCartPole",
    "safe_quadrotor": "SafeQuadrotor",
    "safe_seeker": "SafeSeeker",
    "safe_arm": "SafeArm",
    "safe_quadrotor_3d": "SafeQuadrotor3D",
}
EPISODE_STEPS = 240


def register() -> None:
    """Registers the bundled systems with Brax and Gymnasium.

    Importing `safe_wrappers` does it; calling it again does no harm.
    """
    around_import("brax.envs", _then_brax)
    around_import("gymnasium.envs.registration", _then_gymnasium)


def silence() -> None:
    """Keeps mujoco.mjx from printing two lines to the terminal if the optional package warp is
    missing; nobody here needs it.
    """
    around_import("mujoco.mjx.warp", lambda: contextlib.redirect_stdout(io.StringIO()))


@contextlib.contextmanager
def _then_brax() -> Iterator[None]:
    yield
    envs: Any = sys.modules["brax.envs"]
    for name, kind in CLASSES.items():
        envs.register_environment(name, functools.partial(_make, kind))


@contextlib.contextmanager
def _then_gymnasium() -> Iterator[None]:
    yield
    registration: Any = sys.modules["gymnasium.envs.registration"]
    for name, kind in CLASSES.items():
        id = f"SafeWrappers/{kind.removeprefix('Safe')}-v0"
        if id not in registration.registry:
            registration.register(
                id,
                entry_point="safe_wrappers.envs:SafeGymEnv",
                vector_entry_point="safe_wrappers.envs:SafeGymVectorEnv",
                max_episode_steps=EPISODE_STEPS,
                disable_env_checker=True,  # it asks for NumPy arrays, whatever `array` says
                kwargs={"system": name},
            )


def _make(kind: str, **options: Any) -> Any:
    return getattr(importlib.import_module("safe_wrappers.envs"), kind)(**options)
