"""The pictures of evaluation episodes, as files."""

from pathlib import Path

import numpy as np
from brax.envs import Env

from ..envs import SafeSeeker
from ..evaluation import Episodes
from ._animation import save_gif, step_seconds
from ._figure_file import save_figure
from ._phase_portrait import phase_portrait
from ._seeker_map import seeker_map
from ._viewer import save_viewer


def save_episodes(path: Path, env: Env, episodes: Episodes, title: str) -> list[str]:
    """Writes the phase portrait, or for the seeker the map; and of the episode with the lowest
    return a GIF and, if the environment has bodies, the viewer.

    Args:
        path: Folder to write into.
        env: The environment of the episodes, safeguarded or not, with a `system`.
        episodes: The episodes.
        title: Title of the pictures.

    Returns:
        The names of the files.
    """
    files = []
    if isinstance(getattr(env, "env", env), SafeSeeker):
        save_figure(seeker_map(episodes, title=title), path / "map.png")
        files.append("map.png")
    elif np.shape(episodes.x)[-1] > 1:
        save_figure(phase_portrait(env, episodes, title=title), path / "phase_portrait.png")
        files.append("phase_portrait.png")
    hardest = int(np.argmin(episodes.returns))
    if save_gif(path / "episode.gif", env, episodes, hardest, title=title):
        files.append("episode.gif")
    if episodes.q is not None:
        save_viewer(
            path / "viewer.html",
            env.sys,  # pyright: ignore[reportAttributeAccessIssue]
            np.asarray(episodes.q)[:, hardest],
            dt=step_seconds(env),
            title=f"{title}: the episode with the lowest return",
            margin=np.asarray(episodes.margin)[:, hardest],
            intervention=np.asarray(episodes.intervention)[:, hardest],
        )
        files.append("viewer.html")
    return files
