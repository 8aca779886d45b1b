"""What training and evaluation share: the episodes they run and the pictures of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from brax.envs import Env

from ..envs import CertifiedEnv
from ..safeguards import BoundaryProjection
from ..wrappers import SafeguardWrapper
from ._episodes import Episodes, Evaluation, episode_keys
from ._figures import phase_portrait
from ._lqr import lqr_policy
from ._options import Train
from ._viewer import save_viewer


def make_evaluation(env: CertifiedEnv, guarded: Env, make_policy: Callable, options: Train, *, num_episodes: int, seed: int) -> Evaluation:
    """Episodes of the policy "shac" in the run's environment, and of "lqr" in the same one."""

    def policy(params, state, key: jax.Array) -> jax.Array:
        return make_policy(params, deterministic=True)(state.obs, key)[0]

    policies = {"shac": policy, "lqr": lqr_policy(env)}
    return Evaluation(guarded, policies, episode_keys(num_episodes, seed), options.episode_length)


def yardstick(env: CertifiedEnv, options: Train, evaluation: Evaluation, parameters: dict[str, Any]) -> float:
    """Mean return of clipped LQR + boundary projection on the episodes of `evaluation`."""
    if options.safeguard != "boundary_projection":
        projected = SafeguardWrapper(env, BoundaryProjection())
        evaluation = Evaluation(projected, {"lqr": lqr_policy(env)}, evaluation.keys, evaluation.episode_length)
    return float(evaluation("lqr", parameters).returns.mean())


def save_episodes(path: Path, env: CertifiedEnv, episodes: Episodes, title: str) -> list[str]:
    """Writes the phase portrait and the viewer of the episode with the lowest return; returns the names of the files."""
    phase_portrait(env, episodes, title=title).savefig(path / "phase_portrait.png", dpi=150)
    hardest = int(np.argmin(episodes.returns))
    save_viewer(path / "viewer.html", env.sys, np.asarray(episodes.x)[:, hardest])  # pyright: ignore[reportArgumentType]
    return ["phase_portrait.png", "viewer.html"]
