"""`safe-wrappers experiment`."""

import sys
from pathlib import Path

from tqdm import tqdm

from .._files import write_text
from ..experiments import (
    Progress,
    Results,
    Study,
    as_markdown,
    curve_figures,
    findings,
    is_finished,
    load_study,
    read_results,
    run_study,
    summarise_rows,
)
from ..plots import save_figure
from ._options import Experiment
from ._usage import UsageError, usage_errors

_PAGE = "results.md"


def experiment(options: Experiment) -> int:
    """Runs the rows of a study that are not finished yet, and writes tables, figures and a page.

    Returns 0 only if no row failed and none that was safeguarded left its safe set.
    """
    with usage_errors(["seeds"]):
        study = load_study(options.study, quick=options.quick, seeds=options.seeds)
        rows = study.chosen(options.rows)
    folder = options.output or Path("experiments") / (study.name + "_quick" * options.quick)
    if options.list:
        for row in rows:
            state = "finished" if is_finished(folder, row) else "not run"
            print(f"{row.name}: {row.seeds} seeds, {row.num_timesteps:,} interactions, {state}")
        return 0
    if options.report:
        return _write(study, read_results(folder), folder, [])
    failed: list[Progress] = []
    total = sum(row.seeds * row.num_timesteps for row in rows if not is_finished(folder, row))
    with tqdm(total=total, unit=" interactions", unit_scale=True, dynamic_ncols=True) as bar:

        def show(event: Progress) -> None:
            bar.set_postfix_str(event.row.name, refresh=False)
            bar.update(event.interactions)
            if event.error is not None:
                failed.append(event)

        with usage_errors():
            results = run_study(
                study, folder, rows=rows, processes=options.processes, progress=show
            )
    return _write(study, results, folder, failed)


def _write(study: Study, results: Results, folder: Path, failed: list[Progress]) -> int:
    """Writes the page and the figures of what is finished. Returns the exit code."""
    if not results.runs:
        raise UsageError(f"no row of {study.name} is finished in {folder}.")
    figures = curve_figures(study, results)
    for name, figure in figures.items():
        save_figure(figure, folder / f"{name}.png")
    pictures = "\n\n".join(f"![{name}]({name}.png)" for name in figures)
    write_text(folder / _PAGE, f"# {study.title}\n\n{as_markdown(study, results)}\n{pictures}\n")
    for line in findings(study, results):
        print(line)
    print(
        f"Wrote {folder}/: {_PAGE}, runs.csv, evaluations.csv, curves.csv, {len(figures)} figures."
    )
    for event in failed:
        print(f"safe-wrappers: {event.row.name} failed: {event.error}", file=sys.stderr)
    guarded = {row.variant.name for row in study.rows if row.variant.safeguard != "none"}
    exits = sum(
        each.evaluation_exits + (each.training_exits or 0)
        for each in summarise_rows(results)
        if (each.behind or each.row.split("/")[-1]) in guarded
    )
    if exits:
        print(f"safe-wrappers: {exits:,} steps left a safe set; see runs.csv.", file=sys.stderr)
    return 1 if failed or exits else 0
