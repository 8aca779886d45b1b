"""`safe-wrappers evaluate`."""

import sys
from typing import Any

from brax.training.checkpoint import get_network

from .._compilation_cache import use_compilation_cache
from .._records import write_record
from ..algos import shac
from ..evaluation import PolicyComparison, describe_evaluation, gap, versions
from ..plots import save_episodes
from ._options import Evaluate
from ._run_folder import RunFolder
from ._run_summary import violation_message
from ._subject import UNSAFE, program, subject_of, title
from ._usage import UsageError, usage_errors


def evaluate(options: Evaluate) -> int:
    """Replays a checkpoint of a run. Returns the exit code."""
    folder = RunFolder(options.dir)
    run = folder.options()
    checkpoint = folder.checkpoint(options.checkpoint)
    output = folder.path / "evaluation"
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{output} must be a folder that can be written to: {error.strerror}."
        ) from error
    subject = subject_of(run)
    if not folder.is_of(program(subject)):
        print(
            f"safe-wrappers: {run.system} has changed since the training; the policy is evaluated "
            "on the system as it is now.",
            file=sys.stderr,
        )
    use_compilation_cache()
    networks: Any = get_network(shac.checkpoint.load_config(checkpoint), shac.make_shac_networks)  # pyright: ignore[reportArgumentType]
    make_policy, params = shac.make_inference_fn(networks), shac.checkpoint.load(checkpoint)
    with usage_errors():
        comparison = PolicyComparison(
            subject.env,
            subject.guarded,
            make_policy,
            projected=subject.projected,
            episode_length=run.episode_length,
            num_episodes=options.num_episodes,
            seed=options.seed,
        )
    baseline = comparison.lqr_return(params)
    episodes = comparison.episodes(params)
    numbers = {name.removeprefix("eval/"): value for name, value in episodes.metrics().items()}
    summary = {
        "system": run.system,
        "safeguard": subject.safeguard,
        "seed": run.seed,
        "checkpoint": checkpoint.name,
        "evaluation_seed": options.seed,
        "num_episodes": options.num_episodes,
        "episode_length": run.episode_length,
        **numbers,
        "lqr_return": baseline,
        "gap_to_lqr": gap(numbers["return"], baseline),
        "no_regulator": comparison.no_regulator,
        "versions": versions(),
    }
    name = title(run, subject)
    files = save_episodes(output, subject.guarded, episodes, name)
    write_record(output / "summary.json", summary)
    print(
        f"{name}: checkpoint {checkpoint.name}, {options.num_episodes} episodes of "
        f"{run.episode_length} steps"
    )
    print(describe_evaluation(summary))
    print(f"  files    {output}/: summary.json, {', '.join(files)}")
    if subject.safeguard != UNSAFE and numbers["violations"]:
        print(
            violation_message(run, subject, int(numbers["violations"]), output / "summary.json"),
            file=sys.stderr,
        )
        return 1
    return 0
