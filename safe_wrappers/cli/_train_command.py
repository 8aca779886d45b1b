"""`safe-wrappers train`."""

import os
import sys
from typing import Any

from .._compilation_cache import use_compilation_cache
from .._errors import ModelError
from .._records import write_record
from ..algos import shac
from ..certificates import prove
from ..envs import ModelEnv
from ..evaluation import Interruptible, MetricsWriter, Row, describe
from ..plots import RecordedTraining
from ..safe_actions import ModelSystem
from ._options import Train
from ._progress import Progress
from ._run_folder import RunFolder
from ._run_summary import summarise, violation_message
from ._subject import UNSAFE, Subject, program, subject_of, title
from ._usage import UsageError, usage_errors

NUM_EPISODES = 128


def train(options: Train) -> int:
    """Trains, resumes an interrupted run or extends a finished one, and writes its folder.

    Returns the exit code.
    """
    if options.backend == "mjx":
        raise UsageError(
            "--backend mjx has no gradients to train with; use closed_form or generalized."
        )
    subject = subject_of(options)
    if subject.safeguard != UNSAFE:
        _require_proved(options, subject)
    with usage_errors():
        digest = program(subject)
    folder = RunFolder(options.logdir)
    with folder.for_training(options, digest) as before:
        return _train(options, subject, folder, before)


def _train(options: Train, subject: Subject, folder: RunFolder, before: int | None) -> int:
    """Trains in a folder that is this process's own."""
    checkpoint = folder.newest_checkpoint(otherwise="the training starts anew.")
    resumed_at = 0 if checkpoint is None else int(checkpoint.name)
    history = [] if checkpoint is None else shac.checkpoint.load_history(checkpoint)
    name = title(options, subject)
    if before is not None:
        print(_extension(folder, before, resumed_at, options, subject))
    elif checkpoint is not None:
        print(
            f"Resuming the interrupted run in {folder.path} at {resumed_at:,} of "
            f"{options.num_timesteps:,} interactions."
        )
    else:
        print(f"{name}: {options.num_timesteps:,} interactions, into {folder.path}.")
    try:
        # Before all else: what runs first may swallow a KeyboardInterrupt.
        with Interruptible(lambda: progress.stopping(), _end) as interruptible:
            print("Compiling first, for some 10 s to 2 minutes.", flush=True)
            use_compilation_cache()
            with (
                MetricsWriter(folder.metrics, folder.tensorboard, history) as writer,
                Progress(options.num_timesteps) as progress,
            ):

                def report(row: Row) -> None:
                    progress.show(row)
                    interruptible.safe_point()

                training = RecordedTraining(
                    subject.env,
                    subject.guarded,
                    writer,
                    report,
                    projected=subject.projected,
                    num_episodes=NUM_EPISODES,
                )
                training.run(
                    num_timesteps=options.num_timesteps,
                    episode_length=options.episode_length,
                    seed=options.seed,
                    num_evals=options.num_evals,
                    save_checkpoint_path=str(folder.checkpoints),
                    keep=options.keep,
                    restore_checkpoint_path=None if checkpoint is None else str(checkpoint),
                    **_given(options, subject),
                )
    except KeyboardInterrupt:
        return _interrupted(folder)
    summary = summarise(options, subject, training)
    print(describe(summary, name))
    for hint in training.hints:
        print(f"  hint     {hint}")
    pictures = training.save_pictures(folder.path, name)
    write_record(folder.summary, summary)
    folders = [f"{path.name}/" for path in (folder.tensorboard, folder.checkpoints)]
    files = [folder.summary.name, *pictures, folder.metrics.name, *folders]
    print(f"  files    {folder.path}/: {', '.join(files)}")
    if subject.safeguard != UNSAFE and summary["violations"]:
        print(
            violation_message(options, subject, summary["violations"], folder.summary),
            file=sys.stderr,
        )
        return 1
    return 0


def _extension(folder: RunFolder, before: int, done: int, options: Train, subject: Subject) -> str:
    """What becomes of the schedules, which depend on the share of the run that is done."""
    given = _given(options, subject)
    least, kept = given["final_learning_rate_fraction"], given["final_regularisation_fraction"]
    total = options.num_timesteps
    share = done / total
    return (
        f"Extending the run in {folder.path} from {before:,} to {total:,} interactions; it stands "
        f"at {done:,}. From here on it is scheduled as a run of {total:,}: the learning rate goes "
        f"on at {1 - (1 - least) * share:.0%} of its first value, and the regularisation at "
        f"{kept + (1 - kept) * max(0.0, 1 - 2 * share):.0%}."
    )


_SHAC = ("num_envs", "horizon_length", "train_episode_length", "learning_rate", "regularisation")


def _given(options: Train, subject: Subject) -> dict[str, Any]:
    """The arguments of SHAC that were given, or that suit the system."""
    given = {name: value for name in _SHAC if (value := getattr(options, name)) is not None}
    own = shac.OWN_PLANT if ":" in options.system else {}
    return shac.settings(subject.guarded, **{**own, **given})


def _require_proved(options: Train, subject: Subject) -> None:
    """Proves a safe set that is not proved yet, such as that of a file: a run behind a safeguard is
    to be safe, and not only to have stayed in its set. What a simulator does is tested at best,
    whatever is proved of its model, and said to be.

    Raises:
        UsageError: If the set is not proved.
    """
    system: Any = subject.guarded.system  # pyright: ignore[reportAttributeAccessIssue]
    name = options.system if options.safe_set is None else options.safe_set
    steps_model = isinstance(subject.env, ModelEnv) and isinstance(system, ModelSystem)
    if steps_model and system.guarantee.status != "proved":
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
    guarantee = subject.guarded.guarantee  # pyright: ignore[reportAttributeAccessIssue]
    if guarantee.status == "tested":
        print(f"The safety of {options.system} is {guarantee}.")


def _end() -> None:
    """Ends the process from within, whatever it does: a kill does no harm to a run."""
    print("\nInterrupted. Run the same command again to go on.", file=sys.stderr, flush=True)
    os._exit(130)


def _interrupted(folder: RunFolder) -> int:
    checkpoint = folder.newest_checkpoint()
    kept, to = "nothing was saved yet", "start anew"
    if checkpoint is not None:
        kept, to = f"saved at {int(checkpoint.name):,} interactions", "resume"
    print(f"\nInterrupted; {kept}. Run the same command again to {to}.", file=sys.stderr)
    return 130
