"""`safe-wrappers evaluate`."""

import sys
from typing import Any

from brax.training.checkpoint import get_network

from .._compilation_cache import use_compilation_cache
from ..algos import shac
from ..evaluation import PolicyComparison, describe_evaluation, gap, versions, write_json
from ..plots import save_episodes
from ._options import Evaluate
from ._run_folder import RunFolder
from ._run_summary import run_title, violation_message
from ._targets import make_environments
from ._usage import UsageError


def evaluate(options: Evaluate) -> int:
    """Replays the newest checkpoint of a run. Returns the exit code."""
    folder = RunFolder(options.dir)
    run = folder.options()
    checkpoint = folder.newest_checkpoint()
    if checkpoint is None:
        raise UsageError(
            f"{options.dir} has no checkpoint yet; train on with the command that started it."
        )
    output = folder.path / "evaluation"
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{output} must be a folder that can be written to: {error.strerror}."
        ) from error
    use_compilation_cache()
    env, guarded = make_environments(run)
    networks: Any = get_network(shac.checkpoint.load_config(checkpoint), shac.make_shac_networks)  # pyright: ignore[reportArgumentType]
    make_policy, params = shac.make_inference_fn(networks), shac.checkpoint.load(checkpoint)
    comparison = PolicyComparison(
        env,
        guarded,
        make_policy,
        projected=run.safeguard == "boundary_projection",
        episode_length=run.episode_length,
        num_episodes=options.num_episodes,
        seed=options.seed,
    )
    baseline = comparison.lqr_return(params)
    episodes = comparison.episodes(params)
    numbers = {name.removeprefix("eval/"): value for name, value in episodes.metrics().items()}
    summary = {
        "system": run.system,
        "safeguard": run.safeguard,
        "seed": run.seed,
        "checkpoint": checkpoint.name,
        "evaluation_seed": options.seed,
        "num_episodes": options.num_episodes,
        "episode_length": run.episode_length,
        **numbers,
        "lqr_return": baseline,
        "gap_to_lqr": gap(numbers["return"], baseline),
        "versions": versions(),
    }
    title = run_title(run)
    files = save_episodes(output, env, episodes, title)
    write_json(output / "summary.json", summary)
    print(
        f"{title}: checkpoint {checkpoint.name}, {options.num_episodes} episodes of "
        f"{run.episode_length} steps"
    )
    print(describe_evaluation(numbers, baseline))
    print(f"  files    {output}/: summary.json, {', '.join(files)}")
    if run.safeguard != "none" and numbers["violations"]:
        print(
            violation_message(run, int(numbers["violations"]), output / "summary.json"),
            file=sys.stderr,
        )
        return 1
    return 0
