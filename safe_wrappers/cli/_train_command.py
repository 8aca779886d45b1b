"""`safe-wrappers train`."""

import sys
from typing import Any

from tqdm import tqdm

from .._compilation_cache import use_compilation_cache
from .._errors import ModelError
from ..algos import shac
from ..certificates import prove
from ..envs import ModelEnv
from ..evaluation import Interruptible, MetricsWriter, Row, describe, write_json
from ..plots import RecordedTraining
from ..safe_actions import ModelSystem
from ._options import Train
from ._run_folder import RunFolder
from ._run_summary import run_title, summarise, violation_message
from ._targets import make_environments
from ._usage import UsageError

NUM_EPISODES = 128
_BAR = "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"  # short: it must fit 80 columns
_STOPPING = "stopping at the next checkpoint; Ctrl-C again to stop at once"


def train(options: Train) -> int:
    """Trains, or resumes an interrupted run, and writes the folder of the run.

    Returns the exit code.
    """
    if options.backend == "mjx":
        raise UsageError(
            "--backend mjx has no gradients to train with; use closed_form or generalized."
        )
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
            MetricsWriter(folder.metrics, folder.tensorboard, resumed_at) as writer,
            tqdm(total=options.num_timesteps, bar_format=_BAR) as bar,
            Interruptible(lambda: bar.set_postfix_str(_STOPPING)) as interruptible,
        ):
            bar.set_postfix_str("compiling")

            def report(row: Row) -> None:
                _show_progress(bar, row)
                interruptible.safe_point()

            training = RecordedTraining(
                env,
                guarded,
                writer,
                report,
                projected=options.safeguard == "boundary_projection",
                num_episodes=NUM_EPISODES,
            )
            training.run(
                num_timesteps=options.num_timesteps,
                episode_length=options.episode_length,
                seed=options.seed,
                regularisation=options.regularisation,
                num_evals=options.num_evals,
                save_checkpoint_path=str(folder.checkpoints),
                restore_checkpoint_path=None if checkpoint is None else str(checkpoint),
                **_given(options),
            )
    except KeyboardInterrupt:
        return _interrupted(folder)
    summary = summarise(options, training)
    title = run_title(options)
    print(describe(summary, title))
    pictures = training.save_pictures(folder.path, title)
    write_json(folder.summary, summary)
    folders = [f"{path.name}/" for path in (folder.tensorboard, folder.checkpoints)]
    files = [folder.summary.name, *pictures, folder.metrics.name, *folders]
    print(f"  files    {folder.path}/: {', '.join(files)}")
    if options.safeguard != "none" and summary["violations"]:
        print(violation_message(options, summary["violations"], folder.summary), file=sys.stderr)
        return 1
    return 0


def _given(options: Train) -> dict[str, Any]:
    """The arguments of SHAC that were given, or that suit the system."""
    names = ("num_envs", "horizon_length", "train_episode_length", "learning_rate")
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    return {**shac.TUNED.get(options.system, {}), **given}


def _show_progress(bar: tqdm, row: Row) -> None:
    interventions, violations = (
        row.get(f"training/{name}", 0) for name in ("interventions", "violations")
    )
    speed = f", {row['training/sps']:,.0f} steps/s" if "training/sps" in row else ""
    bar.set_postfix_str(
        f"return {row['eval/return']:.4g}, {interventions:,.0f} interventions, "
        f"{violations:,.0f} violations{speed}",
        refresh=False,
    )
    interactions = int(row["interactions"])
    bar.total = max(bar.total, interactions)
    bar.update(interactions - bar.n)
    bar.refresh()


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
    kept, to = "nothing was saved yet", "start anew"
    if checkpoint is not None:
        kept, to = f"saved at {int(checkpoint.name):,} interactions", "resume"
    print(f"\nInterrupted; {kept}. Run the same command again to {to}.", file=sys.stderr)
    return 130
