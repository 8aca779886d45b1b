"""A training of SHAC with its evaluations, metrics and pictures on disk."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from brax.envs import Env

from ..algos import shac
from ..evaluation import Episodes, MetricsWriter, PolicyComparison, Row
from ._episode_files import save_episodes
from ._figure_file import save_figure
from ._learning_curve import learning_curve


class RecordedTraining:
    """Trains a policy and evaluates it on the same episodes each time, beside clipped LQR.

    Args:
        env: The environment, without a safeguard.
        guarded: The same environment as the policy acts in it, safeguarded or not.
        writer: Where the metrics of every evaluation go.
        report: Called with the row of every evaluation, once it is on disk.
        projected: Whether `guarded` is safeguarded by boundary projection with its defaults.
        num_episodes: Evaluation episodes.

    Attributes:
        lqr_return: Mean return of clipped LQR on the same episodes; None if there is no regulator,
            or before the first evaluation.
        no_regulator: Why there is no regulator, in words; None if there is one.
        episodes: Those of the last evaluation.
        compile_seconds: Seconds that this process spent compiling.
        hints: What the training says about itself at its end, in sentences.
    """

    def __init__(
        self,
        env: Env,
        guarded: Env,
        writer: MetricsWriter,
        report: Callable[[Row], None],
        *,
        projected: bool,
        num_episodes: int,
    ):
        self.env = env
        self.guarded = guarded
        self.writer = writer
        self.num_episodes = num_episodes
        self.lqr_return: float | None = None
        self.no_regulator: str | None = None
        self.episodes: Episodes
        self.compile_seconds = 0.0
        self.hints: tuple[str, ...] = ()
        self._report_row = report
        self._projected = projected
        self._comparison: PolicyComparison | None = None

    def run(self, *, episode_length: int, **arguments: Any) -> None:
        """Runs SHAC with these arguments of `algos.shac.train`."""

        def evaluate(_: int, make_policy: Callable[..., Any], params: Any) -> dict[str, float]:
            if self._comparison is None:
                start = time.perf_counter()
                self._comparison = PolicyComparison(
                    self.env,
                    self.guarded,
                    make_policy,
                    projected=self._projected,
                    episode_length=episode_length,
                    num_episodes=self.num_episodes,
                    seed=0,
                )
                self.lqr_return = self._comparison.lqr_return(params)
                self.no_regulator = self._comparison.no_regulator
                self.compile_seconds += time.perf_counter() - start
            self.episodes = self._comparison.episodes(params)
            return self.episodes.metrics()

        def report(interactions: int, metrics: dict[str, float]) -> None:
            row = self.writer.write(interactions, metrics)
            self._report_row({**metrics, **row})

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", shac.TrainingHint)  # kept in `hints`
            trained = shac.train(
                self.guarded,
                episode_length=episode_length,
                run_evals=False,  # `evaluate` runs its own, on the same starts and disturbances
                policy_params_fn=evaluate,
                progress_fn=report,
                **arguments,
            )
        self.compile_seconds += trained.metrics["training/compile_time"]
        self.hints = trained.hints

    def save_pictures(self, path: Path, title: str) -> list[str]:
        """Writes the learning curve, and pictures of the last episodes, into a folder.

        Returns:
            The names of the files.
        """
        curve = learning_curve(
            self.writer.rows,
            title=title,
            num_episodes=self.num_episodes,
            yardstick=self.lqr_return,
        )
        save_figure(curve, path / "learning_curve.png")
        return ["learning_curve.png", *save_episodes(path, self.guarded, self.episodes, title)]
