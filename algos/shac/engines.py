"""How the program of a training is run: once, many times side by side, or over devices."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from brax import envs
from brax.training import acting
from jax.sharding import PartitionSpec

from .learner import Hyperparameters, TrainingState
from .plan import Plan

Epoch = Callable[[TrainingState, Hyperparameters, jax.Array], tuple[TrainingState, Any]]


class Evaluator(Protocol):
    """What is asked of Brax's evaluator."""

    def run_evaluation(self, policy_params: Any, training_metrics: Any, /) -> Mapping[str, Any]: ...


class OneRun:
    """One training; over a mesh, its environments are spread over the devices.

    `num_runs` is None: its numbers have shape ().
    """

    num_runs = None

    def __init__(self, plan: Plan, seed: int):
        self.plan, self.learner, self.devices = plan, plan.learner, plan.learner.devices
        self.key, self.eval_key = jax.random.split(jax.random.PRNGKey(seed))
        self.hyperparameters = plan.hyperparameters
        if self.devices.mesh is not None:  # which must not depend on one device
            self.key, self.hyperparameters = jax.tree.map(
                np.asarray, (self.key, self.hyperparameters)
            )

    def init(self) -> TrainingState:
        """The state before the first update."""
        if self.devices.mesh is None:
            return jax.jit(self.learner.init)(self.key, self.hyperparameters)
        shapes = jax.eval_shape(self.learner.init, self.key, self.hyperparameters)
        init = jax.jit(self.learner.init, out_shardings=self.devices.shardings(shapes))
        return init(self.key, self.hyperparameters)

    def compile(self, state: TrainingState) -> Epoch:
        """The compiled program of epochs from states like this one."""
        epoch = self.learner.epoch
        if self.devices.mesh is not None:
            specs, whole = self.devices.specs(state), PartitionSpec()
            epoch = jax.shard_map(
                epoch,
                mesh=self.devices.mesh,
                in_specs=(specs, whole, whole),
                out_specs=(specs, whole),
                check_vma=False,
            )
        return jax.jit(epoch).lower(state, self.hyperparameters, np.int32(0)).compile()

    def evaluator(self, eval_key: jax.Array) -> Evaluator:
        """Brax's own."""
        return acting.Evaluator(
            self.plan.evaluated,
            self.plan.evaluated_policy,
            num_eval_envs=self.plan.options["num_eval_envs"],
            episode_length=self.plan.options["episode_length"],
            action_repeat=1,
            key=jnp.asarray(eval_key),
        )


def _processors() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


class SideBySide:
    """A function of one run as a function of many, compiled once.

    On CPUs, whose compiler uses little more than one processor for programs of this size, each
    processor runs the same compiled program for an equal share of the runs.

    Args:
        function: Its arguments and results are trees of arrays.
        num_runs: R; the arrays of arguments and results start with (R,).
        num_shared: How many of the last arguments are the same for all runs.
    """

    def __init__(self, function: Callable[..., Any], num_runs: int, num_shared: int = 0):
        processors = _processors()
        workers = processors if jax.default_backend() == "cpu" else 1
        self._share = math.ceil(num_runs / workers)
        self._num_runs, self._num_shared = num_runs, num_shared
        self._function = function
        self._program: Any = None

    def compile(self, *args: Any) -> None:
        """Compiles for arguments like these."""
        part = self._parts(args)[0]
        split = len(part) - self._num_shared
        in_axes = (0,) * split + (None,) * self._num_shared
        self._program = jax.jit(jax.vmap(self._function, in_axes)).lower(*part).compile()

    def __call__(self, *args: Any) -> Any:
        if self._program is None:
            self.compile(*args)
        parts = self._parts(args)
        if len(parts) == 1:
            return self._program(*parts[0])
        with ThreadPoolExecutor(len(parts)) as threads:
            program = self._program
            results = list(threads.map(lambda part: jax.block_until_ready(program(*part)), parts))
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[: self._num_runs], *results)

    def _parts(self, args: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The arguments of each processor, alike in shape: where the shares are not equal, the last
        run is repeated.
        """
        if self._share == self._num_runs:
            return [tuple(args)]
        split = len(args) - self._num_shared
        parts = []
        for start in range(0, self._num_runs, self._share):
            runs = np.minimum(np.arange(start, start + self._share), self._num_runs - 1)
            own = jax.tree.map(lambda leaf: jnp.asarray(leaf)[runs], tuple(args[:split]))  # noqa: B023
            parts.append((*own, *args[split:]))
        return parts


class ManyRuns:
    """Trainings side by side; their numbers have shape (num_runs,), and arrays start with it.

    Args:
        plan: What they have in common.
        seeds: One per run.
        hyperparameters: Each of shape (num_runs,).
    """

    def __init__(self, plan: Plan, seeds: Sequence[int], hyperparameters: Hyperparameters):
        self.plan, self.learner, self.devices = plan, plan.learner, plan.learner.devices
        self.num_runs = len(seeds)
        keys = jnp.stack([jax.random.split(jax.random.PRNGKey(seed)) for seed in seeds])
        self.key, self.eval_key = keys[:, 0], keys[:, 1]
        self.hyperparameters = hyperparameters

    def init(self) -> TrainingState:
        """The states before the first update."""
        return jax.jit(jax.vmap(self.learner.init))(self.key, self.hyperparameters)

    def compile(self, state: TrainingState) -> Epoch:
        """The compiled program of epochs."""
        epoch = SideBySide(self.learner.epoch, self.num_runs, num_shared=1)
        epoch.compile(state, self.hyperparameters, jnp.int32(0))
        return epoch

    def evaluator(self, eval_key: jax.Array) -> Evaluator:
        """As Brax's, for many policies."""
        return ManyEvaluator(self.plan, eval_key)


class ManyEvaluator:
    """Brax's evaluation, `acting.Evaluator`, of one policy per run, side by side.

    The episodes of a run are those that its own evaluator would run; the metrics have shape
    (num_runs,).
    """

    def __init__(self, plan: Plan, keys: jax.Array):
        num_envs, length = plan.options["num_eval_envs"], plan.options["episode_length"]
        env = envs.training.EvalWrapper(plan.evaluated)

        def episodes(params: Any, key: jax.Array) -> Any:
            first = env.reset(jax.random.split(key, num_envs))
            policy = plan.evaluated_policy(params)
            last, _ = acting.generate_unroll(env, first, policy, key, unroll_length=length)
            return last.info["eval_metrics"]

        self._keys = keys
        self._episodes = SideBySide(episodes, len(keys))

    def run_evaluation(self, policy_params: Any, training_metrics: Any, /) -> dict[str, Any]:
        """Means and standard deviations over the episodes of each run, and the training's
        metrics.
        """
        keys = jax.vmap(jax.random.split)(self._keys)
        self._keys = keys[:, 0]
        found = jax.tree.map(np.asarray, self._episodes(policy_params, keys[:, 1]))
        lengths = np.maximum(found.episode_steps, 1.0).astype(float)
        metrics = {}
        for name, values in found.episode_metrics.items():
            values = values / lengths if name.endswith("per_step") else values
            metrics[f"eval/episode_{name}"] = values.mean(axis=1)
            metrics[f"eval/episode_{name}_std"] = values.std(axis=1)
        metrics["eval/avg_episode_length"] = found.episode_steps.mean(axis=1)
        metrics["eval/std_episode_length"] = found.episode_steps.std(axis=1)
        return {**training_metrics, **metrics}
