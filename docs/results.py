"""Writes docs/results.md and its figures from the tables of finished studies, which are kept in
benchmarks/results/experiments/STUDY.

    python docs/results.py                   the page again, from the tables that are kept
    python docs/results.py experiments/paper the tables of this folder first, kept under its name

The folders are those that `safe-wrappers experiment` writes. Rows of a study that are kept and that
such a folder does not have stay as they are, so that a study can be run in several folders.
"""

import csv
import pathlib
import sys

from safe_wrappers.experiments import (
    Results,
    Study,
    as_markdown,
    curve_figures,
    load_study,
    read_results,
    study_names,
    summarise_rows,
)
from safe_wrappers.plots import save_figure

DOCS = pathlib.Path(__file__).parent
KEPT = DOCS.parent / "benchmarks" / "results" / "experiments"
PAGE = DOCS / "results.md"
TABLES = ("runs.csv", "curves.csv", "references.csv")
ORDER = ("paper", "narrow", "cart_pole", "motive", "robots")

INTRODUCTION = """# Results

What policies reach that learn behind a safeguard, measured by `safe-wrappers experiment`. This
page is written by `docs/results.py` from the tables in `benchmarks/results/experiments`; no
number on it is typed by hand. [Reproduce the paper](reproducing_the_paper.md) says how to run a
study, or a single row of one, again. [Tasks where safety binds](where_safety_binds.md) compares
more tasks with their constrained optimum.

How to read the tables:

- A **return** is the sum of the rewards of an episode, without regularisation, mean of the
  episodes of an evaluation. Policies are evaluated without noise, all on the same starts and
  disturbances. The mean over the seeds stands with its 95 % bootstrap interval; seeds that did
  not learn are included.
- The **gap** is how far a return lies below the reference, relative to it. A negative gap is
  better than the reference.
- **Interactions to own 95 %** are the steps of all environments together until an evaluation was
  within 5 % of the run's own final return. Evaluations are some hundred interactions apart, so
  that these numbers are upper bounds.
- An **exit** is a step after which the state lies outside of the certified safe set. In
  evaluations it is counted by the environment and by a judge that computes the margin of each
  state in float64 with NumPy; the greater count is shown. In trainings the environment counts,
  where the trainer passes it on.
- An **unsafe request** is an action that was asked for and would not have been safe. What was
  executed was safe.
- **Seconds** are wall time of one row: compilation, the training of all seeds, and all evaluations.
  SHAC trains seeds side by side, Brax's trainers one after the other. The machines were shared with
  other work, so that they tell the order of magnitude.
- In the **learning curves** the blue line is the median of the seeds and the band holds 80 % of
  them; the orange line is the training without a safeguard, and the dashed one the reference. Where
  a picture is empty, all returns lie below the axis, which ends at 30 times the best.
- Columns that begin with **paper's** repeat what the paper reports of its own implementation,
  with its own safe set, budget and computer. They are not measurements of this library.
"""


def page(studies: dict[str, tuple[Study, Results]]) -> str:
    """The text of the page.

    Args:
        studies: By name, the studies of which there are results.
    """
    parts = [INTRODUCTION]
    for name, (study, results) in studies.items():
        parts.append(f"## {study.title}\n\n{as_markdown(study, results)}")
        if name == "paper":
            parts.append(shown(results))
        parts += [
            f"![Learning curves: {figure.replace('_', ' ')}](images/results_{name}_{figure}.png)\n"
            for figure in curve_figures(study, results)
        ]
    return "\n".join(parts)


def shown(results: Results) -> str:
    """What was to be shown on the paper's pendulum, and whether it was, as a table."""
    of_shac = [each for each in summarise_rows(results) if "/shac/" in each.row]
    plain = next((each for each in of_shac if each.row.endswith("/none")), None)
    guarded = [each for each in of_shac if each is not plain]
    if plain is None or not guarded:
        return ""
    gap = max(each.gap or 0.0 for each in guarded)
    worst = max(each.worst_gap or 0.0 for each in guarded)
    stuck = sum(each.stuck or 0 for each in guarded)
    exits = sum(each.evaluation_exits + (each.training_exits or 0) for each in guarded)
    slowest = max(each.interactions[0] for each in guarded if each.interactions)
    cost = max((plain.median - each.median) / abs(plain.median) for each in guarded)
    lines = [
        ("every safeguard within 3 % of the reference, median", f"{100 * gap:.2f} %", gap <= 0.03),
        ("every single run within 3 % of the reference", f"{100 * worst:.2f} %", worst <= 0.03),
        ("no run stuck", f"{stuck}", stuck == 0),
        ("no exit, in training and evaluation", f"{exits}", exits == 0),
        ("at most 4,500 interactions to own 95 %, median", f"{slowest:,.0f}", slowest <= 4500),
        ("none more than 2 % below no safeguard, median", f"{100 * cost:.2f} %", cost <= 0.02),
    ]
    table = "\n".join(
        f"| {what} | {found} | {'yes' if reached else 'no'} |" for what, found, reached in lines
    )
    return (
        "What was to be shown with SHAC, each time for the worst of the "
        f"{len(guarded)} variants of safeguards and gradient rules above:\n\n"
        f"| goal | measured | reached |\n| --- | --- | --- |\n{table}\n"
    )


def kept() -> dict[str, tuple[Study, Results]]:
    """The studies of which there are tables, and these."""
    names = [name for name in ORDER if (KEPT / name).is_dir()]
    assert set(study_names()) <= set(ORDER)
    return {name: (load_study(name), read_results(KEPT / name)) for name in names}


def keep(folder: pathlib.Path, target: pathlib.Path, study: Study) -> None:
    """Keeps the tables of a folder, beside the rows that are kept already and that it lacks.

    Args:
        folder: What `safe-wrappers experiment` wrote.
        target: Where the tables of the study are kept; it is created if need be.
        study: The study, whose order the rows take.
    """
    target.mkdir(parents=True, exist_ok=True)
    order = [row.name for row in study.rows]
    order += dict.fromkeys(row.task.name for row in study.rows)
    for table in TABLES:
        columns, *new = _lines(folder / table)
        old = _lines(target / table)[1:]
        anew = {line[0] for line in new}
        lines = [line for line in old if line[0] not in anew] + new
        with (target / table).open("w", encoding="utf-8", newline="") as file:
            ordered = sorted(lines, key=lambda line: order.index(line[0]))
            csv.writer(file, lineterminator="\n").writerows([columns, *ordered])


def _lines(table: pathlib.Path) -> list[list[str]]:
    """The lines of a table, the first column of which names the row or the task; none if there is
    no such file.
    """
    if not table.is_file():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def main() -> None:
    """Keeps the tables of the given folders, and writes the page."""
    for folder in map(pathlib.Path, sys.argv[1:]):
        keep(folder, KEPT / folder.name, load_study(folder.name))
    studies = kept()
    PAGE.write_text(page(studies), encoding="utf-8")
    for name, (study, results) in studies.items():
        for figure, drawn in curve_figures(study, results).items():
            save_figure(drawn, DOCS / "images" / f"results_{name}_{figure}.png")


if __name__ == "__main__":
    main()
