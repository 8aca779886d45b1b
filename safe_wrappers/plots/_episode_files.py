"""The pictures of evaluation episodes, as files."""

from pathlib import Path

import numpy as np

from ..envs import CertifiedEnv, ModelEnv, SafeSeeker
from ..evaluation import Episodes
from ._run_figures import phase_portrait
from ._seeker_map import seeker_map
from ._viewer import save_viewer


def save_episodes(path: Path, env: ModelEnv, episodes: Episodes, title: str) -> list[str]:
    """Writes the phase portrait, or for the seeker the map, and if it can be rendered the viewer of
    the episode with the lowest return.

    Returns:
        The names of the files.
    """
    files = []
    if isinstance(env, CertifiedEnv):
        phase_portrait(env, episodes, title=title).savefig(path / "phase_portrait.png", dpi=150)
        files.append("phase_portrait.png")
    if isinstance(env, SafeSeeker):
        seeker_map(episodes, title=title).savefig(path / "map.png", dpi=150)
        files.append("map.png")
    if env.sys is not None:
        hardest = int(np.argmin(episodes.returns))
        save_viewer(path / "viewer.html", env.sys, np.asarray(episodes.x)[:, hardest])
        files.append("viewer.html")
    return files
