"""`safe-wrappers train`."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brax.envs import Env
from tqdm import tqdm

from .._errors import ModelError
from ..algos import shac
from ..certificates import prove
from ..envs import ModelEnv
from ..evaluation import Episodes, PolicyComparison
from ..plots import learning_curve, save_episodes
from ..safe_actions import ModelSystem
from ._cache import use_compilation_cache
from ._environments import make_environments
from ._interrupt import Interruptible
from ._options import Train
from ._run_folder import MetricsWriter, RunFolder, write_json
from ._run_summary import describe, run_title, summarise, violation_message
from ._usage import UsageError, require_at_least

NUM_EPISODES = 128
_BAR = "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"  # short: it must fit 80 columns


def train(options: Train) -> int:
    """Trains, or resumes an interrupted run, and writes the folder of the run.

    Returns the exit code.
    """
    _check(options)
    env, guarded = make_environments(options)
    if guarded is not env:
        _require_proved(options, env)
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
            MetricsWriter(folder, resumed_at) as writer,
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
            guarantee=None if self.guarded is self.env else self.guarded.guarantee,  # pyright: ignore[reportAttributeAccessIssue]
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


def _require_proved(options: Train, env: ModelEnv) -> None:
    """Proves a safe set that is not proved yet, such as that of a file: a run behind a safeguard is
    to be safe, and not only to have stayed in its set.

    Raises:
        UsageError: If the set is not proved.
    """
    system = env.system
    if not isinstance(system, ModelSystem) or system.guarantee.status == "proved":
        return
    name = options.system if options.safe_set is None else options.safe_set
    try:
        proof = prove(system.claim)
    except ModelError as error:
        raise UsageError(f"the safe set of {name} cannot be proved: {error}") from error
    if not proof.proved:
        raise UsageError(
            f"the safe set of {name} is not proved ({proof.status}): {proof.reason} Train on "
            "another one, or without a guarantee with --safeguard none."
        )
    print(f"Proved the safe set of {name}: {proof.cells:,} cells, {proof.seconds:.1f} s.")


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


def _check(options: Train) -> None:
    """Checks numbers before anything is compiled or written.

    Raises:
        UsageError: On a number out of range.
    """
    at_least_1 = (
        "num_timesteps",
        "episode_length",
        "train_episode_length",
        "num_envs",
        "horizon_length",
    )
    for name, least in {
        **dict.fromkeys(at_least_1, 1),
        "seed": 0,
        "regularisation": 0,
        "num_evals": 2,
    }.items():
        value = getattr(options, name)
        if value is not None:
            require_at_least(f"--{name.replace('_', '-')}", value, least)
    if options.learning_rate is not None and not 0 < options.learning_rate < float("inf"):
        raise UsageError(f"--learning-rate must be positive, but it is {options.learning_rate}.")
    if options.backend == "mjx":
        raise UsageError(
            "--backend mjx has no gradients to train with; use closed_form or generalized."
        )
