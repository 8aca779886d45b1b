"""Evaluation: the same episodes, by start and disturbances, for every policy that is compared."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs

# Keeps the keys of evaluation episodes apart from those that trainers derive from small seeds.
_STREAM = 240_128

Policy = Callable[[Any, envs.State, jax.Array], jax.Array]


class Episodes(NamedTuple):
    """Episodes side by side; arrays start with (steps, episodes), `x` and `q` with (steps + 1,
    episodes).

    An environment may end an episode early. Nothing is counted after that: rewards and flags are 0
    there, and states and margins stay what they were.

    Args:
        x: States of the model, last axis n.
        action: Executed actions, last axis d.
        reward: Task rewards, without regularisation.
        margin: Distance of the next state to the boundary of the safe set, in the scale where its
            centre has 1.
        violation: 1 where the next state lies outside the safe set.
        intervention: 1 where the request was not safe.
        fallback: 1 where the anchor was executed.
        goal: The goal that the task of the episode gives as `info["goal"]`, if there is one.
        q: Positions of the joints, if the environment has a Brax system to draw.
        alive: 1 for the steps that were taken; None if all were.
    """

    x: jax.Array
    action: jax.Array
    reward: jax.Array
    margin: jax.Array
    violation: jax.Array
    intervention: jax.Array
    fallback: jax.Array
    goal: jax.Array | None = None
    q: jax.Array | None = None
    alive: jax.Array | None = None

    @property
    def returns(self) -> np.ndarray:
        """Undiscounted sum of rewards, shape (episodes,)."""
        return np.asarray(self.reward).sum(axis=0)

    def metrics(self) -> dict[str, float]:
        """What the training records of an evaluation."""
        return {
            "eval/return": float(self.returns.mean()),
            "eval/return_std": float(self.returns.std()),
            "eval/interventions_per_step": float(np.sum(self.intervention) / self._steps()),
            "eval/violations": int(np.sum(self.violation)),
            "eval/fallbacks": int(np.sum(self.fallback)),
            "eval/smallest_margin": float(np.min(self.margin)),
        }

    def _steps(self) -> float:
        return float(np.size(self.reward) if self.alive is None else np.sum(self.alive))


def episode_keys(num_episodes: int, seed: int) -> jax.Array:
    """Random keys of starts and disturbances, one per episode."""
    return jax.random.split(jax.random.fold_in(jax.random.PRNGKey(seed), _STREAM), num_episodes)


class Evaluation:
    """A fixed set of episodes for several policies, which are compiled together, once for all of
    their parameters.

    Args:
        env: A single environment with a `system`: one of the library's, or any in a
            `SafeguardWrapper`.
        policies: Unbatched functions (parameters, state, key) -> action, shape (d,), by name.
        keys: Random keys, as `episode_keys` gives them. The same keys give the same starts and
            disturbances in every wrapping of a system.
        episode_length: Steps of each episode.
    """

    def __init__(
        self, env: envs.Env, policies: dict[str, Policy], keys: jax.Array, episode_length: int
    ):
        self._env, self._policies, self.keys, self.episode_length = (
            env,
            policies,
            keys,
            episode_length,
        )
        self._run = jax.jit(jax.vmap(self._episode, in_axes=(None, None, 0), out_axes=1))

    def __call__(self, policy: str, parameters: dict[str, Any]) -> Episodes:
        """Runs the episodes with the named policy; `parameters` holds those of all policies, by
        name.
        """
        needed = {name: parameters[name] for name in self._policies}
        return self._run(list(self._policies).index(policy), needed, self.keys)

    def _episode(self, chosen: jax.Array, parameters: dict[str, Any], key: jax.Array) -> Episodes:
        def act(state: envs.State, key: jax.Array) -> jax.Array:
            branches = [
                lambda name=name, policy=policy: policy(parameters[name], state, key)
                for name, policy in self._policies.items()
            ]
            return jax.lax.switch(chosen, branches)

        def step(state: envs.State, key: jax.Array):
            action, ended = act(state, key), state.done > 0
            after = jax.tree.map(
                lambda old, new: jnp.where(ended, old, new), state, self._env.step(state, action)
            )
            return after, self._record(after, action, ~ended)

        start = self._env.reset(key)
        _, taken = jax.lax.scan(step, start, jax.random.split(key, self.episode_length))
        return taken._replace(
            x=jnp.concatenate([self._x(start)[None], taken.x]),
            q=None if taken.q is None else jnp.concatenate([self._q(start)[None], taken.q]),
        )

    def _record(self, state: envs.State, action: jax.Array, alive: jax.Array) -> Episodes:
        """One step, of which nothing counts if it was not taken."""
        record, metrics = state.info.get("safeguard"), state.metrics
        zero = jnp.zeros_like(state.reward)
        left = "left_set_per_step" if record is None else "safeguard/left_set_per_step"
        return Episodes(
            x=self._x(state),
            action=action if record is None else record["action"],
            reward=alive * metrics.get("safeguard/task_reward", state.reward),
            margin=state.info["margin"] if record is None else record["margin"],
            violation=alive * metrics[left],
            intervention=alive * metrics.get("safeguard/intervention_per_step", zero),
            fallback=alive * metrics.get("safeguard/fallback_per_step", zero),
            goal=state.info.get("goal"),
            q=self._q(state),
            alive=alive.astype(state.reward.dtype),
        )

    def _q(self, state: envs.State) -> Any:
        drawn = getattr(self._env, "sys", None) is not None
        return getattr(state.pipeline_state, "q", None) if drawn else None

    def _x(self, state: envs.State) -> jax.Array:
        return self._env.system.state(state)  # pyright: ignore[reportAttributeAccessIssue]
