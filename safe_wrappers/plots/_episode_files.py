"""The pictures of evaluation episodes, as files."""

from pathlib import Path

import numpy as np
from brax.envs import Env

from ..envs import SafeSeeker
from ..evaluation import Episodes
from ._phase_portrait import phase_portrait
from ._seeker_map import seeker_map
from ._sets_of import sets_of
from ._viewer import save_viewer


def save_episodes(path: Path, env: Env, episodes: Episodes, title: str) -> list[str]:
    """Writes the phase portrait, or for the seeker the map, and if it can be rendered the viewer of
    the episode with the lowest return.

    Returns:
        The names of the files.
    """
    files = []
    if sets_of(env).safe is not None and np.shape(episodes.x)[-1] > 1:
        phase_portrait(env, episodes, title=title).savefig(path / "phase_portrait.png", dpi=150)
        files.append("phase_portrait.png")
    if isinstance(env, SafeSeeker):
        seeker_map(episodes, title=title).savefig(path / "map.png", dpi=150)
        files.append("map.png")
    if episodes.q is not None:
        hardest = int(np.argmin(episodes.returns))
        save_viewer(path / "viewer.html", env.sys, np.asarray(episodes.q)[:, hardest])  # pyright: ignore[reportAttributeAccessIssue]
        files.append("viewer.html")
    return files
