"""Writes the table of SHAC beside Brax's learners on docs/benchmarks.md from the file that
`benchmarks/beside_brax.py` leaves.

    python benchmarks/beside_brax_table.py
"""

import csv
import itertools
import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence

from marked import between

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
FILE = ROOT / "benchmarks" / "results" / "beside_brax.csv"
BEGIN = "<!-- Table: written by benchmarks/beside_brax_table.py; edit nothing from here -->"
END = "<!-- to here. -->"
TITLES = {
    "shac": "SHAC, defaults",
    "shac_own_plant": "SHAC, `OWN_PLANT`",
    "apg": "APG",
    "ppo": "PPO",
}
_HEAD = (
    *("task", "learner", "seeds", "return untrained", "return, median (lowest to highest)"),
    *(
        "best on the way, median",
        "interactions",
        "seconds of training",
        "seconds until the first epoch",
    ),
    "machine",
)


def block(lines: Iterable[Mapping[str, str]]) -> str:
    """The table of these lines, one for each task and learner, between its markers."""
    rows = [_line(_HEAD), _line(("---",) * len(_HEAD))]
    grouped = itertools.groupby(lines, key=lambda line: (line["task"], line["learner"]))
    rows += [_line(_row(task, learner, list(runs))) for (task, learner), runs in grouped]
    return "\n".join([BEGIN, "", *rows, "", END])


def replaced(page: str, lines: Iterable[Mapping[str, str]]) -> str:
    """The page with the table that belongs there.

    Raises:
        ValueError: If the page does not have the two markers, once each and in this order.
    """
    return between(page, BEGIN, END, block(lines))


def _row(task: str, learner: str, runs: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    returns = [float(run["return"]) for run in runs]
    seconds = statistics.median(float(run["training_seconds"]) for run in runs)
    return (
        f"`{task}`",
        TITLES[learner],
        str(len(runs)),
        f"{statistics.median(float(run['untrained_return']) for run in runs):,.1f}",
        f"{statistics.median(returns):,.1f} ({min(returns):,.1f} to {max(returns):,.1f})",
        f"{statistics.median(float(run['best_return']) for run in runs):,.1f}",
        f"{int(runs[0]['interactions']):,}",
        f"{seconds:.0f}",
        f"{float(runs[0]['compilation_seconds']):.0f}",
        runs[0]["machine"],
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Writes the page."""
    with FILE.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    print(f"Wrote the table of {PAGE.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
