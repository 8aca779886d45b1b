"""The loop of a training: epochs, evaluations, checkpoints and reports."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from brax.training import types

from . import checkpoint, writer
from .engines import ManyRuns, OneRun
from .evaluator import Evaluator
from .learner import TrainingState, newest_updates
from .plan import Plan
from .result import Best, decline_hint, leaning_hint, standard_error
from .settings import has_its_recipe


class Fitted(NamedTuple):
    """The end of a training, or of several side by side.

    Args:
        params: The last parameters.
        best_params: Those of the best evaluation; the last ones if no episodes were evaluated.
        metrics: The last metrics.
        history: (interactions, metrics) of all evaluations.
        hints: What the training says about itself in sentences; of several runs, for each.
    """

    params: types.Params
    best_params: types.Params
    metrics: dict[str, Any]
    history: list[tuple[int, dict[str, Any]]]
    hints: tuple[Any, ...]


class _Fit:
    """The state of the loop. `run` runs it."""

    def __init__(self, plan: Plan, engine: OneRun | ManyRuns, runs: Sequence[Mapping] | None):
        self.plan, self.engine, self.runs = plan, engine, runs
        self.learner, self.devices = plan.learner, engine.devices
        self.history: list[dict[str, Any]] = []
        self.reports: list[tuple[int, dict[str, Any]]] = []
        self.walltime = 0.0

    def run(self) -> Fitted:
        options, engine = self.plan.options, self.engine
        restored = options["restore_checkpoint_path"]
        start = time.time()
        state = engine.init()
        self.eval_key, self.best = engine.eval_key, self._nothing_yet(state)
        if restored is not None:
            state = self._restore(state)
        # Before the program of epochs is traced, meanwhile its own is compiled.
        self.evaluator = None
        if options["run_evals"] and self.devices.is_writer:
            self.evaluator = Evaluator(self.plan, state.params, self.eval_key)
        epoch = engine.compile(state)
        self.compile_time = time.time() - start
        metrics: dict[str, Any] = {}
        done = self._updates(state)
        if options["num_evals"] > 1 or restored is not None:
            before = self.history[-1] if self.history else {}
            metrics = {
                name: _number(before[name]) for name in before if name.startswith("training/")
            }
            metrics |= self._totals(state) | {"training/compile_time": self.compile_time}
            metrics = self._evaluate(state, metrics)
            if not self.history:
                self.history.append(_row(self._steps(done), metrics))
            self._report(done, metrics)
        epochs = max(options["num_evals"] - 1, 1)
        num_updates = self.plan.num_updates
        for end in (round(num_updates * (i + 1) / epochs) for i in range(epochs)):
            if end <= done:
                continue
            state, training_metrics = self._train(epoch, state, end - done)
            done = end
            # As before the evaluation, which a resumed training repeats.
            kept = {"eval_key": self.eval_key, "best": self.best}
            metrics = self._evaluate(state, training_metrics)
            self.history.append(_row(self._steps(done), metrics))
            self._save(state, kept, done)
            self._report(done, metrics)
        params = self.devices.host(state.params)
        best_params = self.best.params if self.evaluator else params
        return Fitted(params, best_params, metrics, self.reports, self._hints(metrics))

    def _nothing_yet(self, state: TrainingState) -> Best:
        nothing = Best.nothing_yet(self.devices.host(state.params))
        if self.runs is None:
            return nothing
        per_run = (np.full(len(self.runs), number) for number in nothing[1:])
        return Best(nothing.params, *per_run)

    def _train(
        self, epoch: Any, state: TrainingState, num_updates: int
    ) -> tuple[TrainingState, dict[str, Any]]:
        """An epoch of so many updates, and its metrics."""
        start = time.time()
        state, means = jax.block_until_ready(
            epoch(state, self.engine.hyperparameters, np.int32(num_updates))
        )
        elapsed = time.time() - start
        self.walltime += elapsed
        means = self.devices.host(means)
        metrics = {f"training/{name}": _number(value) for name, value in means.items()}
        return state, {
            **metrics,
            **self._totals(state),
            "training/sps": self._steps(num_updates) / elapsed,
            "training/walltime": self.walltime,
            "training/compile_time": self.compile_time,
        }

    def _evaluate(self, state: TrainingState, metrics: dict[str, Any]) -> dict[str, Any]:
        options, params = self.plan.options, self.devices.host(state.params)
        updates = self._updates(state)
        added = None
        if self.devices.is_writer:
            added = options["policy_params_fn"](self._steps(updates), self.plan.make_policy, params)
        if self.evaluator:
            metrics = self.evaluator.run_evaluation(params, metrics)
            reward = _number(metrics["eval/episode_reward"])
            error = standard_error(metrics, options["num_eval_envs"])
            self.best = self.best.after(params, updates, reward, error)
            metrics["eval/best_reward"] = _number(self.best.reward)
            metrics["eval/best_env_steps"] = self._steps(_number(self.best.updates))
        # as the evaluator does with its own, which is private
        split = jax.random.split if self.runs is None else jax.vmap(jax.random.split)
        self.eval_key = np.asarray(split(self.eval_key))[..., 0, :]
        metrics = {**metrics, **added} if isinstance(added, Mapping) else metrics
        if self.runs is None:
            return metrics
        return {
            name: np.broadcast_to(np.asarray(value), (len(self.runs),))
            for name, value in metrics.items()
        }

    def _report(self, updates: int, metrics: dict[str, Any]) -> None:
        self.reports.append((self._steps(updates), metrics))
        if self.devices.is_writer:
            self.plan.options["progress_fn"](self._steps(updates), metrics)

    def _save(self, state: TrainingState, kept: dict[str, Any], updates: int) -> None:
        path, keep = self.plan.options["save_checkpoint_path"], self.plan.options["keep"]
        if path is None:
            return
        whole = self.devices.host(state)
        if not self.devices.is_writer:
            return
        writer.save(
            path,
            self._steps(updates),
            whole.params,
            self.plan.config,
            {"training_state": whole, **kept},
            self.history,
            self.runs,
        )
        checkpoint.prune(path, self.history, keep)

    def _restore(self, state: TrainingState) -> TrainingState:
        options = self.plan.options
        path = options["restore_checkpoint_path"]
        checkpoint.require_runs(path, self.runs)
        self.history = checkpoint.load_history(path)
        self.walltime = float(np.max(self.history[-1].get("training/walltime", 0.0)))
        like = {
            "training_state": self.devices.host(state),
            "eval_key": self.eval_key,
            "best": self.best,
        }
        saved = checkpoint.load_training_state(path, like)
        self.eval_key, self.best = saved["eval_key"], saved["best"]
        if options["save_checkpoint_path"] is not None and self.devices.is_writer:
            # A training may have been killed before it did.
            checkpoint.prune(options["save_checkpoint_path"], self.history, options["keep"])
        return self.devices.place(saved["training_state"])

    def _hints(self, metrics: dict[str, Any]) -> tuple[Any, ...]:
        """What the metrics at the end of a training are worth saying in words."""
        most = self._steps(int(newest_updates(self.plan.num_updates)))
        steps = [0, *(int(row["interactions"]) for row in self.history)]
        newest = min(steps[-1] - steps[-2], most)
        episodes, tuned = self.plan.options["num_eval_envs"], has_its_recipe(self.plan.options)
        if self.runs is None:
            return _hints(metrics, self.best, newest, episodes, tuned)
        return tuple(
            _hints(
                {name: value[run] for name, value in metrics.items()},
                jax.tree.map(lambda leaf: leaf[run], self.best),  # noqa: B023
                newest,
                episodes,
                tuned,
            )
            for run in range(len(self.runs))
        )

    def _steps(self, updates: Any) -> Any:
        """Interactions of so many updates."""
        return _number(np.asarray(updates, np.int64) * self.learner.steps_per_update)

    def _updates(self, state: TrainingState) -> int:
        """Updates so far, of all runs alike."""
        return int(np.max(self.devices.host(state.updates)))

    def _totals(self, state: TrainingState) -> dict[str, Any]:
        """What is counted over the whole training, as host numbers."""
        seen = self.devices.host(
            (
                state.updates,
                state.totals,
                state.policy_optimizer_state.skipped,
                state.value_optimizer_state.skipped,
                state.smallest_margin,
            )
        )
        updates, counted, skipped, skipped_of_critic, margin = seen
        totals = {f"training/{name}": _integer(value) for name, value in counted.items()}
        totals["training/env_steps"] = self._steps(_number(updates))
        totals["training/skipped_updates"] = _number(skipped)
        totals["training/skipped_critic_updates"] = _number(skipped_of_critic)
        if np.any(np.isfinite(margin)):
            totals["training/smallest_margin"] = _number(margin)
        return totals


def fit(
    plan: Plan, engine: OneRun | ManyRuns, runs: Sequence[Mapping[str, Any]] | None = None
) -> Fitted:
    """Trains as planned.

    Args:
        plan: The plan.
        engine: How its program is run.
        runs: What tells trainings side by side apart, for checkpoints; None for one.

    Raises:
        FileNotFoundError: If there is no checkpoint to go on from.
        ValueError: If it belongs to another training.
    """
    return _Fit(plan, engine, runs).run()


def _number(value: Any) -> Any:
    """A number of the host, or an array of them."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array


def _integer(value: types.UInt64) -> Any:
    """A counter of 64 bits as a number of the host, or an array of them."""
    return _number((np.asarray(value.hi, np.int64) << 32) + np.asarray(value.lo, np.int64))


def _row(step: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation as a row of numbers, or of lists of them, one per run; what is neither is left
    out.
    """
    row: dict[str, Any] = {"interactions": step}
    for name, value in metrics.items():
        array = np.asarray(value)
        if array.dtype.kind in "biuf" and (array.size == 1 or array.ndim == 1):
            row[name] = array.tolist() if array.ndim else array.item()
    return row


def _hints(
    metrics: Mapping[str, Any], best: Best, newest_steps: int, num_episodes: int, tuned: bool
) -> tuple[str, ...]:
    share = metrics.get("training/interventions_per_step", 0.0)
    hints = [leaning_hint(share, newest_steps, tuned)]
    if "eval/episode_reward" in metrics:
        reward, error = metrics["eval/episode_reward"], standard_error(metrics, num_episodes)
        hints.append(decline_hint(best, float(reward), error, metrics["eval/best_env_steps"]))
    return tuple(hint for hint in hints if hint is not None)
