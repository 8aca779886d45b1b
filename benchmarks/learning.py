"""What no study of `safe-wrappers experiment` asks of SHAC behind boundary projection: the gap to
clipped LQR on the default pendulum, training episodes as long as the paper's, and from where the
cart-pole stands under worst-case disturbances; 128 states, 10 seeds.

Every row trains each seed anew and evaluates the policy every few updates on fixed episodes (starts
and disturbances paired with those of clipped LQR behind the same boundary projection). Reported are
the gap at the end, when the return first came within 40 % and within 5 % of the LQR's, stuck seeds
(gap above 50 % at the end), episodes started (resets), and what the safeguard saw in training. For
the cart-pole also the share of 1,024 starts from which it stands (|th| < 0.05, |x| < 0.5 in the
last second of 480 steps).

    python benchmarks/learning.py
    python benchmarks/learning.py --rows full --seeds 3
"""

import argparse
import os
import platform
import statistics
import tempfile
import time

import jax
import jax.numpy as jnp

import safe_wrappers as sw
from safe_wrappers.evaluation import Evaluation, episode_keys, lqr, lqr_policy

EPISODE, STATES = 240, 128
ROWS = {
    "full": ("safe_pendulum", {}, {}),
    "walter2025, 240-step training episodes": (
        "safe_pendulum",
        {"safe_set": "walter2025", "initial_states": "generators"},
        {"train_episode_length": 240},
    ),
    "cart-pole wide": (
        "safe_cart_pole",
        {},
        {"num_timesteps": 80_000, **sw.algos.shac.TUNED["safe_cart_pole"]},
    ),
}


def learn(system, options, training, seeds):
    """One row of the table: trains every seed and compares with the LQR."""
    env = sw.envs.get_environment(system, **options)
    guarded = sw.SafeguardWrapper(env, sw.BoundaryProjection())
    keys, parameters = episode_keys(STATES, 0), {"lqr": lqr(env)}
    evaluation, records, trained = None, [], []
    for seed in range(seeds):
        curve = []

        def evaluate(step, make_policy, params, curve=curve):
            nonlocal evaluation
            if evaluation is None:
                policies = {
                    "lqr": lqr_policy(env),
                    "shac": lambda params, state, key: make_policy(params, deterministic=True)(
                        state.obs, key
                    )[0],
                }
                evaluation = Evaluation(guarded, policies, keys, EPISODE)
            parameters["shac"] = params
            curve.append((step, evaluation("shac", parameters).metrics()))

        start = time.perf_counter()
        settings = {"num_timesteps": 20_000, **training}
        evaluations = (
            settings["num_timesteps"] // 256 + 1 if options.get("safe_set") == "walter2025" else 11
        )
        _, params, metrics = sw.algos.shac.train(
            guarded,
            episode_length=EPISODE,
            seed=seed,
            num_evals=evaluations,
            policy_params_fn=evaluate,
            **settings,
        )
        records.append((curve, metrics, time.perf_counter() - start))
        trained.append(params)
    assert evaluation is not None
    baseline = float(evaluation("lqr", parameters).returns.mean())
    gaps = [
        [(step, (baseline - m["eval/return"]) / -baseline) for step, m in curve]
        for curve, _, _ in records
    ]
    first = {
        limit: [next((step for step, gap in curve if gap <= limit), None) for curve in gaps]
        for limit in (0.4, 0.05)
    }
    final = sorted(curve[-1][1] for curve in gaps)
    print(
        f"  clipped LQR {baseline:.3f}; SHAC "
        f"{statistics.mean(c[-1][1]['eval/return'] for c, _, _ in records):.3f}"
    )
    print(
        "  gap at the end, %: "
        + " ".join(f"{100 * gap:.1f}" for gap in final)
        + f"; stuck {sum(gap > 0.5 for gap in final)} of {seeds}"
    )
    for limit, steps in first.items():
        print(
            f"  first within {limit:.0%}: "
            + " ".join(str(s) for s in sorted(steps, key=lambda s: (s is None, s)))
        )
    for name in ("violations", "interventions", "fallbacks", "episodes", "skipped_updates"):
        print(f"  training {name}: " + " ".join(str(m[f"training/{name}"]) for _, m, _ in records))
    evaluated = sum(m["eval/violations"] for curve, _, _ in records for _, m in curve)
    print(
        f"  evaluation violations: {evaluated}; smallest training margin "
        f"{min(m['training/smallest_margin'] for _, m, _ in records):.2g}"
    )
    print(
        f"  seconds a seed: {statistics.median(seconds for _, _, seconds in records):.1f}",
        flush=True,
    )
    if system == "safe_cart_pole":
        worst = sw.SafeguardWrapper(
            sw.envs.get_environment(system, disturbance="worst_case", **options),
            sw.BoundaryProjection(),
        )
        hard = Evaluation(worst, evaluation._policies, episode_keys(1024, 1), 480)
        runs = [hard("shac", parameters | {"shac": params}) for params in trained]
        shares = [
            float(
                jnp.mean(
                    jnp.all(
                        (jnp.abs(run.x[-50:, :, 0]) < 0.5) & (jnp.abs(run.x[-50:, :, 1]) < 0.05),
                        axis=0,
                    )
                )
            )
            for run in runs
        ]
        print(
            "  balanced from 1,024 starts under worst-case disturbances, %: "
            + " ".join(f"{100 * share:.1f}" for share in sorted(shares)),
            end="",
        )
        print(f"; violations {int(sum(jnp.sum(run.violation) for run in runs))}")


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, {args.seeds} "
        f"seeds, {STATES} paired states, {EPISODE} steps",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as cache:
        # Every seed compiles the same programs; XLA logs false alarms when it loads them again.
        jax.config.update("jax_logging_level", "CRITICAL")
        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        for row in args.rows:
            print(row, flush=True)
            learn(*ROWS[row], args.seeds)


if __name__ == "__main__":
    main()
