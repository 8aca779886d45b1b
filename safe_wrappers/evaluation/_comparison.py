"""A trained policy and the clipped linear-quadratic regulator on the same episodes."""

from collections.abc import Callable
from typing import Any

import jax
from brax.envs import Env

from ..safeguards import BoundaryProjection
from ..wrappers import SafeguardWrapper
from ._episodes import Episodes, Evaluation, Policy, episode_keys
from ._lqr import LQR, NoRegulator, lqr, lqr_policy


class PolicyComparison:
    """Episodes of a trained policy in its environment, and of clipped LQR on the same ones where
    there is one.

    Args:
        env: The environment, without a safeguard.
        guarded: The same environment as the policy acts in it, safeguarded or not.
        make_policy: (parameters, deterministic) -> policy, as returned by `algos.shac.train`.
        projected: Whether `guarded` is safeguarded by boundary projection with its defaults, as the
            regulator is: then both policies share one compiled program.
        episode_length: Steps of each episode.
        num_episodes: Episodes side by side.
        seed: Random seed of starts and disturbances.

    Attributes:
        no_regulator: Why there is no clipped LQR to compare with, in words; None if there is one.
    """

    def __init__(
        self,
        env: Env,
        guarded: Env,
        make_policy: Callable,
        *,
        projected: bool,
        episode_length: int,
        num_episodes: int,
        seed: int,
    ):
        def policy(params, state, key: jax.Array) -> jax.Array:
            return make_policy(params, deterministic=True)(state.obs, key)[0]

        self._env: Any = env
        self._controller: LQR | None = None
        self.no_regulator: str | None = None
        try:
            self._controller = lqr(env)
        except NoRegulator as error:
            self.no_regulator = str(error)
        self._shared = projected and self._controller is not None
        policies: dict[str, Policy] = {"trained": policy}
        if self._shared:
            policies["lqr"] = lqr_policy(self._env)
        keys = episode_keys(num_episodes, seed)
        self._evaluation = Evaluation(guarded, policies, keys, episode_length)

    def episodes(self, params: Any) -> Episodes:
        """The episodes with these parameters of the policy."""
        return self._evaluation("trained", {"trained": params, "lqr": self._controller})

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
        return float(evaluation("lqr", {"trained": params, "lqr": self._controller}).returns.mean())
