"""How fast SHAC trains, and in how much memory, against the number of environments, of runs side by
side, and of devices.

Every line is one training with public functions; speed is that of its second half, after
compilation. The lines go to a CSV file as they come; with `--page`, nothing is measured, and the
tables of the page are written from the file.

    python benchmarks/scaling.py benchmarks/results/scaling.csv
    python benchmarks/scaling.py benchmarks/results/scaling.csv --page docs/scaling.md
    python benchmarks/scaling.py scaling.csv --num-envs 8 64 --runs 1 2 --updates 20
    XLA_FLAGS=--xla_force_host_platform_device_count=8 python benchmarks/scaling.py scaling.csv
"""

import argparse
import csv
import platform
import resource
import warnings
from pathlib import Path

import jax

import safe_wrappers as sw
from safe_wrappers.algos import shac

HORIZON = 32
MARKS = ("<!-- measured -->", "<!-- end of what was measured -->")
FIELDS = (
    "machine",
    "jax",
    "system",
    "safeguard",
    "devices",
    "runs",
    "num_envs",
    "horizon_length",
    "updates",
    "interactions_per_second",
    "compile_seconds",
    "peak_mebibytes",
    "exits",
)


def peak_mebibytes():
    """The most memory so far: of the first device, or of this process where that is a CPU."""
    stats = jax.local_devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return round(peak / 2**20)


def environment(system, safeguard):
    """A bundled system behind a safeguard, or without."""
    env = sw.envs.get_environment(system)
    return env if safeguard == "none" else sw.SafeguardWrapper(env, sw.BoundaryProjection())


def trained(env, updates, num_envs, horizon, runs, devices):
    """Interactions per second of all runs together, seconds of compilation, and exits."""
    options = {
        "num_timesteps": updates * num_envs * horizon,
        "episode_length": 240,
        "num_envs": num_envs,
        "horizon_length": horizon,
        "run_evals": False,
        "num_evals": 3,
    }
    if runs > 1:
        metrics = shac.train_many(env, **options, seeds=range(runs)).metrics
        metrics = {name: value.sum() for name, value in metrics.items()} | {
            "training/compile_time": metrics["training/compile_time"][0]
        }
    else:
        mesh = jax.make_mesh((devices,), ("envs",)) if devices > 1 else None
        metrics = shac.train(env, **options, mesh=mesh).metrics
    exits = int(metrics["training/violations"])
    return metrics["training/sps"], metrics["training/compile_time"], exits


def points(args):
    """(devices, runs, num_envs, horizon, updates), in the order of the memory that they need."""
    for num_envs in args.num_envs:
        interactions = num_envs * HORIZON
        updates = max(10, min(args.updates, 20_000_000 // interactions))
        yield 1, 1, num_envs, HORIZON, updates
        if num_envs % jax.device_count() == 0 and jax.device_count() > 1:
            yield jax.device_count(), 1, num_envs, HORIZON, updates
    for runs in args.runs:
        yield 1, runs, 8, 8, 2 * args.updates


def tables(rows):
    """The rows of the file as two tables in Markdown: by environments, and by runs."""
    first = rows[0]
    lines = [f"On {first['machine']}, JAX {first['jax']}, `{first['system']}`:", ""]
    columns = "| {} | safeguard | million interactions/s | peak memory, MiB | exits |"
    for name, key, chosen in (
        ("environments", "num_envs", [r for r in rows if int(r["horizon_length"]) == HORIZON]),
        ("runs side by side", "runs", [r for r in rows if int(r["horizon_length"]) != HORIZON]),
    ):
        if not chosen:
            continue
        lines += [columns.format(name), "|---|---|---|---|---|"]
        for row in chosen:
            count = f"{int(row[key]):,}"
            if row["devices"] != "1":
                count += f" over {row['devices']} devices"
            speed = float(row["interactions_per_second"]) / 1e6
            peak, exits = int(row["peak_mebibytes"]), int(row["exits"])
            safeguard = row["safeguard"].replace("_", " ")
            lines.append(f"| {count} | {safeguard} | {speed:.3g} | {peak:,} | {exits:,} |")
        lines.append("")
    return "\n".join(lines)


def write_page(page, file):
    """Puts the tables of a file between the marks of a page."""
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, mark, after = rest.partition(MARKS[1])
    if not mark:
        raise SystemExit(f"{page} must have the marks {' and '.join(MARKS)}.")
    text = f"{before}{MARKS[0]}\n\n{tables(rows)}\n{MARKS[1]}{after}"
    page.write_text(text, encoding="utf-8")


def main():
    """Writes and prints one line per training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--system", default="safe_pendulum")
    parser.add_argument("--safeguards", nargs="+", default=["none", "boundary_projection"])
    parser.add_argument("--num-envs", nargs="+", type=int, default=[8, 128, 1024, 8192, 65536])
    parser.add_argument("--runs", nargs="+", type=int, default=[1, 10, 100])
    parser.add_argument("--updates", type=int, default=200, help="at most, per training")
    parser.add_argument("--page", type=Path, help="write its tables from the file")
    args = parser.parse_args()
    if args.page:
        write_page(args.page, args.output)
        return

    warnings.simplefilter("ignore", shac.TrainingHint)
    machine = f"{jax.devices()[0].device_kind} ({platform.machine()})"
    with args.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for devices, runs, num_envs, horizon, updates in points(args):
            for safeguard in args.safeguards:
                env = environment(args.system, safeguard)
                speed, seconds, exits = trained(env, updates, num_envs, horizon, runs, devices)
                row = (machine, jax.__version__, args.system, safeguard, devices, runs, num_envs)
                row += (horizon, updates, round(speed), round(seconds, 1), peak_mebibytes(), exits)
                writer.writerow(dict(zip(FIELDS, row, strict=True)))
                file.flush()
                print(*row, sep=", ", flush=True)


if __name__ == "__main__":
    main()
