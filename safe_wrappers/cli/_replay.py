"""What training and evaluation share: the episodes they run and the pictures of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from brax.envs import Env

from ..envs import CertifiedEnv, ModelEnv, SafeSeeker
from ..safeguards import BoundaryProjection
from ..wrappers import SafeguardWrapper
from ._episodes import Episodes, Evaluation, episode_keys
from ._figures import phase_portrait
from ._lqr import lqr, lqr_policy
from ._map import seeker_map
from ._options import Train
from ._viewer import save_viewer


class Contest:
    """Episodes of the policy "shac" in a run's environment, and of clipped LQR on the same ones
    where there is one.

    Args:
        env: The bundled environment.
        guarded: The run's wrapping of it.
        make_policy: As returned by SHAC.
        options: Of the run.
        num_episodes: Episodes side by side.
        seed: Of starts and disturbances.
    """

    def __init__(
        self,
        env: ModelEnv,
        guarded: Env,
        make_policy: Callable,
        options: Train,
        *,
        num_episodes: int,
        seed: int,
    ):
        def policy(params, state, key: jax.Array) -> jax.Array:
            return make_policy(params, deterministic=True)(state.obs, key)[0]

        self._env, self._controller = env, lqr(env)
        # Behind boundary projection both policies share a compiled program.
        self._shared = options.safeguard == "boundary_projection" and self._controller is not None
        policies = {"shac": policy, "lqr": lqr_policy(env)} if self._shared else {"shac": policy}
        self._evaluation = Evaluation(
            guarded, policies, episode_keys(num_episodes, seed), options.episode_length
        )

    def episodes(self, params: Any) -> Episodes:
        """The episodes with these parameters of the policy."""
        return self._evaluation("shac", {"shac": params, "lqr": self._controller})

    def lqr_return(self, params: Any) -> float | None:
        """Mean return of clipped LQR + boundary projection; `params` are those of any policy, for
        their shapes.
        """
        if self._controller is None:
            return None
        evaluation = self._evaluation
        if not self._shared:
            projected = SafeguardWrapper(self._env, BoundaryProjection())
            evaluation = Evaluation(
                projected,
                {"lqr": lqr_policy(self._env)},
                evaluation.keys,
                evaluation.episode_length,
            )
        return float(evaluation("lqr", {"shac": params, "lqr": self._controller}).returns.mean())


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
