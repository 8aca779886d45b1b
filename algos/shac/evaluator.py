"""Evaluation as Brax's agents do it, of one policy or of many side by side."""

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from brax import envs
from brax.training import acting

from .compiling import Compiling
from .plan import Plan
from .side_by_side import SideBySide


class Evaluator:
    """Brax's evaluation, `acting.Evaluator`: the same episodes and metrics from the same key.

    The program begins to be compiled here, without the second one that Brax compiles for a state
    whose memory its first evaluation takes over.

    Args:
        plan: Of the training.
        params: The parameters of the policy, or their shapes and dtypes.
        key: A key of JAX, shape (2,), for one policy; (num_runs, 2) for as many, whose parameters
            and metrics start with (num_runs,).
    """

    def __init__(self, plan: Plan, params: Any, key: Any):
        num_envs, length = plan.options["num_eval_envs"], plan.options["episode_length"]
        env = envs.training.EvalWrapper(plan.evaluated)

        def episodes(params: Any, key: jax.Array) -> Any:
            first = env.reset(jax.random.split(key, num_envs))
            policy = plan.evaluated_policy(params)
            last, _ = acting.generate_unroll(env, first, policy, key, unroll_length=length)
            return last.info["eval_metrics"]

        self._steps = num_envs * length
        self._walltime = 0.0
        self._key = np.asarray(key)
        many = self._key.ndim > 1
        self._split_key = jax.vmap(jax.random.split) if many else jax.random.split
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
        self._episodes: Any
        if many:
            self._episodes = SideBySide(episodes, len(self._key))
            self._program = self._episodes.compile(shapes, self._key)
        else:
            self._program = self._episodes = Compiling(jax.jit(episodes).lower(shapes, self._key))

    def run_evaluation(self, params: Any, training_metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Means and standard deviations over the episodes, and the training's metrics.

        Args:
            params: As those that the evaluator was made with.
            training_metrics: Metrics that are handed on.
        """
        keys = np.asarray(self._split_key(self._key))
        self._key = keys[..., 0, :]
        self._program.wait()
        start = time.time()
        found = jax.tree.map(np.asarray, self._episodes(params, keys[..., 1, :]))
        seconds = time.time() - start
        self._walltime += seconds
        lengths = np.maximum(found.episode_steps, 1.0).astype(float)
        metrics = {
            "eval/walltime": self._walltime,
            "eval/epoch_eval_time": seconds,
            "eval/sps": self._steps / seconds,
        }
        for name, values in found.episode_metrics.items():
            values = values / lengths if name.endswith("per_step") else values
            metrics[f"eval/episode_{name}"] = values.mean(axis=-1)
            metrics[f"eval/episode_{name}_std"] = values.std(axis=-1)
        metrics["eval/avg_episode_length"] = found.episode_steps.mean(axis=-1)
        metrics["eval/std_episode_length"] = found.episode_steps.std(axis=-1)
        return {**training_metrics, **metrics}
