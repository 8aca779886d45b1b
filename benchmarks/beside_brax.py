"""SHAC beside Brax's APG and PPO on Brax's own tasks, without a safeguard, for the same processor
time of training.

Each learner has one set of settings for all tasks, SHAC two: its defaults, and what is advised
for a plant of one's own. A pilot of a few epochs compiles its programs and shows what an epoch
costs; then every seed trains for as many such epochs as fill the budget. Processor time counts
all threads, so that other work on the machine matters little; compilation and evaluations are
left out of it, and compilation is reported apart. The trained policies act without noise, from
the same starts for all, in Brax's own evaluator.

    python benchmarks/beside_brax.py
    python benchmarks/beside_brax.py --tasks reacher --learners shac ppo --seconds 60 --seeds 3

Rows that are not run anew stay as they are in the file, of which `beside_brax_table.py` writes the
table of docs/benchmarks.md.
"""

import argparse
import csv
import functools
import itertools
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from brax import envs
from brax.training import acting
from brax.training.agents.apg import networks as apg_networks
from brax.training.agents.apg import train as apg
from brax.training.agents.ppo import networks as ppo_networks
from brax.training.agents.ppo import train as ppo

import safe_wrappers as sw

# Brax's names, the physics, and the steps of an episode. The hopper's contacts take too long on
# "generalized".
TASKS = {
    "inverted_pendulum": ("generalized", 1000),
    "reacher": ("generalized", 100),
    "hopper": ("spring", 1000),
}
HIDDEN = (64, 64)
EPISODES = 64
PILOT = 4  # epochs; some trainers compile once more in the second one
OUTPUT = Path(__file__).parent / "results" / "beside_brax.csv"
COLUMNS = (
    *("task", "learner", "seed", "interactions", "training_seconds", "compilation_seconds"),
    *("untrained_return", "best_return", "return", "episode_length", "machine"),
)
Progress = Callable[[int, dict[str, Any]], None]


class Learner(NamedTuple):
    """How one learner trains.

    Attributes:
        train: (environment, epochs, steps of an episode, seed, progress) -> make_policy,
            parameters, metrics. It evaluates before the first and after every epoch.
        epoch: Interactions of an epoch.
    """

    train: Callable[..., Any]
    epoch: int


def train_shac(env: envs.Env, epochs: int, length: int, seed: int, progress: Progress) -> Any:
    """With the defaults, as a newcomer trains."""
    steps = epochs * LEARNERS["shac"].epoch
    return sw.algos.shac.train(env, steps, length, seed=seed, **_evaluated(epochs, progress))


def train_shac_own_plant(
    env: envs.Env, epochs: int, length: int, seed: int, progress: Progress
) -> Any:
    """With the settings that are advised for a plant of one's own."""
    steps = epochs * LEARNERS["shac_own_plant"].epoch
    return sw.algos.shac.train(
        env, steps, length, seed=seed, **_evaluated(epochs, progress), **sw.algos.shac.OWN_PLANT
    )


def train_apg(env: envs.Env, epochs: int, length: int, seed: int, progress: Progress) -> Any:
    """With environments and windows as SHAC's for a plant of one's own, and its limit of the norm
    of gradients.
    """
    settings = {"num_envs": 8, "horizon_length": 32}
    updates = epochs * LEARNERS["apg"].epoch // (8 * 32)
    factory = functools.partial(apg_networks.make_apg_networks, hidden_layer_sizes=HIDDEN)
    return apg.train(
        env,
        length,
        updates,
        learning_rate=3e-3,
        schedule_decay=1.0,
        max_gradient_norm=1.0,
        normalize_observations=True,
        network_factory=factory,
        seed=seed,
        **settings,
        **_evaluated(epochs, progress),
    )


def train_ppo(env: envs.Env, epochs: int, length: int, seed: int, progress: Progress) -> Any:
    """With the settings of the study of the paper."""
    factory = functools.partial(
        ppo_networks.make_ppo_networks,
        policy_hidden_layer_sizes=HIDDEN,
        value_hidden_layer_sizes=HIDDEN,
    )
    settings = dict(PPO)
    settings.pop("hidden_layer_sizes")
    return ppo.train(
        env,
        epochs * LEARNERS["ppo"].epoch,
        episode_length=length,
        network_factory=factory,
        seed=seed,
        **settings,
        **_evaluated(epochs, progress),
    )


def _evaluated(epochs: int, progress: Progress) -> dict[str, Any]:
    return {
        "num_evals": epochs + 1,
        "num_eval_envs": 8,
        "deterministic_eval": True,
        "progress_fn": progress,
    }


PPO = next(
    row.learner.options
    for row in sw.experiments.load_study("paper").rows
    if row.learner.algorithm == "ppo"
)
LEARNERS = {
    "shac": Learner(train_shac, 8 * 8 * 80),
    "shac_own_plant": Learner(train_shac_own_plant, 8 * 32 * 40),
    "apg": Learner(train_apg, 8 * 32 * 80),
    "ppo": Learner(
        train_ppo, 10 * PPO["batch_size"] * PPO["num_minibatches"] * PPO["unroll_length"]
    ),
}


class Clock:
    """What the evaluations of a training say of its processor time.

    An epoch is what lies between two evaluations, the later one included. Of its processor time the
    share is training that the trainer's own clock has for it. The first one also compiles, and for
    some trainers the second: each counts as the median of all but the first.
    """

    def __init__(self) -> None:
        self._began = time.process_time()
        self._seen: list[tuple[float, dict[str, Any]]] = []

    def __call__(self, steps: int, metrics: dict[str, Any]) -> None:
        """To be called at every evaluation."""
        del steps
        self._seen.append((time.process_time() - self._began, dict(metrics)))

    @property
    def untrained_return(self) -> float:
        """The return before the training."""
        return float(self._seen[0][1]["eval/episode_reward"])

    @property
    def best_return(self) -> float:
        """The highest return that an evaluation on the way gave, of few episodes."""
        return max(float(metrics["eval/episode_reward"]) for _, metrics in self._seen)

    @property
    def epoch(self) -> float:
        """Processor seconds of training of an epoch, the median of all but the first."""
        return statistics.median(self._trained())

    @property
    def training(self) -> float:
        """Processor seconds of training, of all epochs."""
        return self.epoch * (len(self._seen) - 1)

    @property
    def compilation(self) -> float:
        """Processor seconds until the end of the first epoch, without what an epoch costs."""
        ends = [ended for ended, _ in self._seen[1:]]
        whole = [after - before for before, after in itertools.pairwise(ends)]
        return self._seen[1][0] - statistics.median(whole)

    def _trained(self) -> list[float]:
        found = []
        for (began, before), (ended, after) in itertools.pairwise(self._seen[1:]):
            trained = after["training/walltime"] - before["training/walltime"]
            share = trained / (trained + after["eval/epoch_eval_time"])
            found.append(share * (ended - began))
        return found


def evaluate(env: envs.Env, length: int, make_policy: Any, params: Any) -> dict[str, float]:
    """The mean return and length of the same episodes for everybody."""
    evaluator = acting.Evaluator(
        envs.training.wrap(env, episode_length=length),
        functools.partial(make_policy, deterministic=True),
        num_eval_envs=EPISODES,
        episode_length=length,
        action_repeat=1,
        key=jax.random.PRNGKey(2_026),
    )
    metrics = evaluator.run_evaluation(params, {})
    return {
        "return": float(metrics["eval/episode_reward"]),
        "episode_length": float(metrics["eval/avg_episode_length"]),
    }


def measure(task: str, name: str, seconds: float, seeds: int) -> list[dict[str, Any]]:
    """One line for each seed of a learner on a task."""
    (backend, length), learner = TASKS[task], LEARNERS[name]
    env = envs.get_environment(task, backend=backend)
    pilot = Clock()
    learner.train(env, PILOT, length, 0, pilot)
    epochs = max(2, round(seconds / pilot.epoch))
    print(f"{task}, {name}: compiled in {pilot.compilation:.0f} s, {epochs} epochs", flush=True)
    lines = []
    for seed in range(seeds):
        clock = Clock()
        make_policy, params, _ = learner.train(env, epochs, length, seed, clock)
        found = evaluate(env, length, make_policy, params)
        lines.append(
            {
                "task": task,
                "learner": name,
                "seed": seed,
                "interactions": epochs * learner.epoch,
                "training_seconds": round(clock.training, 1),
                "compilation_seconds": round(pilot.compilation, 1),
                "untrained_return": round(clock.untrained_return, 3),
                "best_return": round(clock.best_return, 3),
                "return": round(found["return"], 3),
                "episode_length": round(found["episode_length"], 1),
                "machine": f"{sw.evaluation.machine()}, jax {jax.__version__}",
            }
        )
        print(lines[-1], flush=True)
    return lines


def write(output: Path, lines: list[dict[str, Any]]) -> None:
    """Puts these lines into the file, in place of those of the same tasks and learners."""
    kept: list[dict[str, Any]] = []
    new = {(line["task"], line["learner"]) for line in lines}
    if output.exists():
        with output.open(newline="") as file:
            kept = [
                line for line in csv.DictReader(file) if (line["task"], line["learner"]) not in new
            ]
    order = {pair: i for i, pair in enumerate((t, each) for t in TASKS for each in LEARNERS)}
    everything = sorted(kept + lines, key=lambda line: order[line["task"], line["learner"]])
    with output.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(everything)


def main() -> None:
    """Measures, and writes after every learner."""
    parser = argparse.ArgumentParser(description="SHAC beside Brax's APG and PPO.")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--learners", nargs="+", choices=list(LEARNERS), default=list(LEARNERS))
    parser.add_argument("--seconds", type=float, default=20.0, help="processor time of training")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    sw.adapters.enable_brax_trainers()
    warnings.simplefilter("ignore", sw.algos.shac.TrainingHint)  # what it hints at is in the file
    with tempfile.TemporaryDirectory() as cache:
        # Every seed compiles the same programs; XLA logs false alarms when it loads them again.
        jax.config.update("jax_logging_level", "CRITICAL")
        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        for task in options.tasks:
            for learner in options.learners:
                write(options.output, measure(task, learner, options.seconds, options.seeds))


if __name__ == "__main__":
    main()
