"""`safe-wrappers train`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brax.envs import Env
from tqdm import tqdm

from ..algos import shac
from ..envs import ModelEnv
from ..evaluation import Episodes, MetricsWriter, PolicyComparison, describe, write_json
from ..plots import learning_curve, save_episodes
from ._cache import use_compilation_cache
from ._environments import make_environments
from ._interrupt import Interruptible
from ._options import Train
from ._run_folder import RunFolder
from ._run_summary import run_title, summarise, violation_message
from ._usage import UsageError

NUM_EPISODES = 128
_BAR = "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"  # short: it must fit 80 columns


def train(options: Train) -> int:
    """Trains, or resumes an interrupted run, and writes the folder of the run.

    Returns the exit code.
    """
    if options.backend == "mjx":
        raise UsageError(
            "--backend mjx has no gradients to train with; use closed_form or generalized."
        )
    env, guarded = make_environments(options)
    folder = RunFolder.for_training(options)
    checkpoint = folder.newest_checkpoint()
    resumed_at = 0 if checkpoint is None else int(checkpoint.name)
    if checkpoint is not None:
        print(
            f"Resuming the interrupted run in {folder.path} at {resumed_at:,} of "
            f"{options.num_timesteps:,} interactions."
        )
    use_compilation_cache()
    try:
        with (
            MetricsWriter(folder.metrics, folder.tensorboard, resumed_at) as writer,
            tqdm(total=options.num_timesteps, bar_format=_BAR) as bar,
        ):
            bar.set_postfix_str("compiling")
            with Interruptible(
                lambda: bar.set_postfix_str(
                    "stopping at the next checkpoint; Ctrl-C again to stop at once"
                )
            ) as interruptible:
                session = _Session(options, env, guarded, writer, bar, interruptible)
                session.train(folder.checkpoints, checkpoint)
    except KeyboardInterrupt:
        return _interrupted(folder)
    summary = session.summary()
    print(describe(summary, run_title(options)))
    files = session.save_pictures(folder.path)
    write_json(folder.summary, summary)
    files = [
        folder.summary.name,
        *files,
        folder.metrics.name,
        f"{folder.tensorboard.name}/",
        f"{folder.checkpoints.name}/",
    ]
    print(f"  files    {folder.path}/: {', '.join(files)}")
    if options.safeguard != "none" and summary["violations"]:
        print(violation_message(options, summary["violations"], folder.summary), file=sys.stderr)
        return 1
    return 0


class _Session:
    """One process's part of a run: the trainer's callbacks, and what is reported at the end."""

    def __init__(
        self,
        options: Train,
        env: ModelEnv,
        guarded: Env,
        writer: MetricsWriter,
        bar: tqdm,
        interruptible: Interruptible,
    ):
        self.options, self.env, self.guarded = options, env, guarded
        self.writer, self.bar, self.interruptible = writer, bar, interruptible
        self.comparison: PolicyComparison | None = None
        self.lqr_return: float | None = None
        self.episodes: Episodes
        self.compile_seconds = 0.0

    def train(self, checkpoints: Path, restored: Path | None) -> None:
        """Runs SHAC."""
        options = self.options
        given = {
            name: getattr(options, name)
            for name in ("num_envs", "horizon_length", "train_episode_length", "learning_rate")
        }
        shac.train(
            self.guarded,
            options.num_timesteps,
            options.episode_length,
            seed=options.seed,
            regularisation=options.regularisation,
            num_evals=options.num_evals,
            # `evaluate` runs its own, on the same starts and disturbances each time
            run_evals=False,
            policy_params_fn=self.evaluate,
            progress_fn=self.report,
            save_checkpoint_path=str(checkpoints),
            restore_checkpoint_path=None if restored is None else str(restored),
            **{
                **shac.TUNED.get(options.system, {}),
                **{name: value for name, value in given.items() if value is not None},
            },
        )

    def evaluate(self, _: int, make_policy: Callable, params: Any) -> None:
        """Runs the policy on the same episodes each time, and at first clipped LQR."""
        if self.comparison is None:
            start = time.perf_counter()
            self.comparison = PolicyComparison(
                self.env,
                self.guarded,
                make_policy,
                projected=self.options.safeguard == "boundary_projection",
                episode_length=self.options.episode_length,
                num_episodes=NUM_EPISODES,
                seed=0,
            )
            self.lqr_return = self.comparison.lqr_return(params)
            self.compile_seconds += time.perf_counter() - start
        self.episodes = self.comparison.episodes(params)

    def report(self, interactions: int, metrics: dict[str, float]) -> None:
        """Records an evaluation and moves the progress bar."""
        row = self.writer.write(interactions, {**metrics, **self.episodes.metrics()})
        self.metrics = metrics
        speed = f", {metrics['training/sps']:,.0f} steps/s" if "training/sps" in metrics else ""
        self.bar.set_postfix_str(
            f"return {row['eval/return']:.4g}, {row.get('training/interventions', 0):,.0f} "
            "interventions, "
            f"{row.get('training/violations', 0):,.0f} violations{speed}",
            refresh=False,
        )
        self.bar.total = max(self.bar.total, interactions)
        self.bar.update(interactions - self.bar.n)
        self.bar.refresh()
        self.interruptible.safe_point()

    def summary(self) -> dict[str, Any]:
        """The content of summary.json."""
        return summarise(
            self.options,
            self.env,
            self.writer.rows,
            num_episodes=NUM_EPISODES,
            lqr_return=self.lqr_return,
            compile_seconds=self.compile_seconds + self.metrics["training/compile_time"],
        )

    def save_pictures(self, path: Path) -> list[str]:
        """Writes the pictures and the viewer; returns the names of the files."""
        title = run_title(self.options)
        curve = learning_curve(
            self.writer.rows, title=title, num_episodes=NUM_EPISODES, yardstick=self.lqr_return
        )
        curve.savefig(path / "learning_curve.png", dpi=150)
        return ["learning_curve.png", *save_episodes(path, self.env, self.episodes, title)]


def _interrupted(folder: RunFolder) -> int:
    checkpoint = folder.newest_checkpoint()
    kept = (
        "nothing was saved yet"
        if checkpoint is None
        else f"saved at {int(checkpoint.name):,} interactions"
    )
    print(
        f"\nInterrupted; {kept}. Run the same command again to "
        f"{'start anew' if checkpoint is None else 'resume'}.",
        file=sys.stderr,
    )
    return 130
