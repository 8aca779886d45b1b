"""The results of a study in words: one table per task and learner, and what was found."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ._statistics import STUCK, RowSummary, summarise_rows
from ._study import REFERENCES, Study, StudyRow
from ._tables import Results

_NOTHING = "-"


def as_markdown(study: Study, results: Results) -> str:
    """The results of a study as Markdown, without a title.

    Args:
        study: The study.
        results: What was run of it.
    """
    summaries = summarise_rows(results)
    if not summaries:
        return "No row is finished.\n"
    rows = {row.name: row for row in study.rows}
    parts = [study.text] if study.text else []
    trained = [each for each in summaries if not each.behind]
    missing = [name for name in rows if name not in {each.row for each in trained}]
    if missing:
        parts.append(
            f"{len(trained)} of {len(rows)} rows of the study are finished; not run: "
            f"{', '.join(missing)}."
        )
    for group in dict.fromkeys(_group(each) for each in trained):
        task, learner = group.split("/")
        those = [each for each in trained if _group(each) == group]
        row = rows[those[0].row]
        reference = results.references.get(task)
        parts.append(f"### {row.task.title}, {learner.upper()}")
        parts.append(_about(row, those, reference))
        parts.append(_table(*_trained_table(study, rows, those, reference is not None)))
    deployed = [each for each in summaries if each.behind]
    for group in dict.fromkeys(each.row for each in deployed):
        row, those = rows[group], [each for each in deployed if each.row == group]
        parts.append(
            f"### {row.task.title}: trained with {row.variant.title}, deployed behind others"
        )
        parts.append(_table(*_deployed_table(row, rows, those, summaries)))
    parts.append("\n".join(f"- {line}" for line in findings(study, results)))
    return "\n\n".join(parts) + "\n"


def findings(study: Study, results: Results) -> list[str]:
    """What the finished rows of a study show, in sentences that are computed from them.

    Args:
        study: The study.
        results: What was run of it.
    """
    rows = {row.name: row for row in study.rows}
    summaries = [each for each in summarise_rows(results) if not each.behind]
    guarded = [each for each in summaries if rows[each.row].variant.safeguard != "none"]
    found = []
    if guarded:
        runs = sum(each.seeds for each in guarded)
        found.append(
            f"Safety: {_count(sum(each.evaluation_exits for each in guarded), 'exit')} in all "
            f"evaluations of {runs:,} policies behind a safeguard, as an independent judge in "
            "float64 and the environment count."
        )
        counted = [each for each in guarded if each.training_exits is not None]
        if counted:
            exits = sum(each.training_exits or 0 for each in counted)
            others = len(guarded) - len(counted)
            uncounted = (
                f"; what happens in {_count(others, 'other row')} their trainers do not tell"
                if others
                else ""
            )
            found.append(
                f"Safety in training: {_count(exits, 'exit')} in "
                f"{_count(sum(each.seeds for each in counted), 'training')} behind a safeguard, "
                f"as the environment counts{uncounted}."
            )
    for group in dict.fromkeys(_group(each) for each in summaries):
        those = [each for each in summaries if _group(each) == group]
        found += _findings_of(rows, those)
    return [*found, *_deployed_findings(rows, summarise_rows(results))]


def _deployed_findings(rows: dict[str, StudyRow], summaries: Sequence[RowSummary]) -> Iterable[str]:
    trained = {each.row: each for each in summaries if not each.behind}
    deployed = [each for each in summaries if each.behind and each.gap is not None]
    for name in dict.fromkeys(each.row for each in deployed):
        row, found = rows[name], []
        titles = {variant.name: variant.title for variant in row.deployed}
        for each in (each for each in deployed if each.row == name):
            with_it = trained.get(f"{name.rsplit('/', 1)[0]}/{each.behind}")
            if with_it is not None:
                gaps = f"{_percent(each.gap)} ({_percent(with_it.gap)})"
                found.append(f"{titles[each.behind]} {gaps}")
        if found:
            yield (
                f"{row.task.title}, {row.learner.name.upper()}: policies that were trained with "
                f"{row.variant.title} and deployed behind a safeguard end this far below the "
                "reference, in the median, and in brackets those that were trained with it: "
                f"{', '.join(found)}."
            )


def _findings_of(rows: dict[str, StudyRow], those: Sequence[RowSummary]) -> Iterable[str]:
    name = f"{rows[those[0].row].task.title}, {those[0].row.split('/')[1].upper()}"
    guarded = [each for each in those if rows[each.row].variant.safeguard != "none"]
    if not guarded:
        return
    gaps = [each.gap for each in guarded if each.gap is not None]
    worst = [each.worst_gap for each in guarded if each.worst_gap is not None]
    stuck = [each for each in guarded if each.stuck]
    if gaps and worst:
        stuck_runs = sum(each.stuck or 0 for each in guarded)
        which = ", ".join(f"{_title(rows, each)} {each.stuck} of {each.seeds}" for each in stuck)
        ends = dict.fromkeys(_percent(gap) for gap in (min(gaps), max(gaps)))  # the same once
        yield (
            f"{name}: behind safeguards ({len(guarded)} of them) the median run ends "
            f"{' to '.join(ends)} below the reference, the worst run "
            f"{_percent(max(worst))} below it; {_count(stuck_runs, 'run')} of "
            f"{sum(each.seeds for each in guarded)} stuck{which and f' ({which})'}."
        )
    reached = [each for each in guarded if each.interactions is not None]
    if reached:
        slowest = max(reached, key=lambda each: each.interactions or (0,))
        yield (
            f"{name}: the median run is within 5 % of its own final return after at most "
            f"{(slowest.interactions or (0,))[0]:,.0f} interactions ({_title(rows, slowest)})."
        )
    plain = [each for each in those if rows[each.row].variant.safeguard == "none"]
    if plain and not plain[0].final_exits:
        lowest = min(guarded, key=lambda each: each.median)
        cost = (plain[0].median - lowest.median) / abs(plain[0].median)
        yield (
            f"{name}: of the medians behind safeguards the lowest ({_title(rows, lowest)}) is "
            f"{_percent(abs(cost))} {'below' if cost > 0 else 'above'} that of the training "
            f"without one, which left the safe set in {_shown(plain[0].training_exits)} steps of "
            "its trainings."
        )
    elif plain:
        yield (
            f"{name}: trained and evaluated without a safeguard, policies are outside of the safe "
            f"set in {plain[0].final_exits:,} steps of the last evaluations, so that their returns "
            "compare with nothing."
        )


def _about(row: StudyRow, those: Sequence[RowSummary], reference: float | None) -> str:
    seeds = sorted({each.seeds for each in those})
    how_many = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    machines = dict.fromkeys(each.machine for each in those)
    compared = (
        "There is no reference."
        if reference is None
        else f"Reference: {REFERENCES[row.task.reference]}, {reference:.4g} from the same starts; "
        f"a run is stuck if it ends more than {_percent(STUCK)} below it."
    )
    return (
        f"{how_many} seed{'' if seeds == [1] else 's'}, {row.num_timesteps:,} interactions each, "
        f"returns of {row.episodes} episodes of {row.task.episode_length} steps with the same "
        f"starts and disturbances for all. {compared} Computed on {' and '.join(machines)}."
    )


def _trained_table(
    study: Study, rows: dict[str, StudyRow], those: Sequence[RowSummary], referred: bool
) -> tuple[list[str], list[list[str]]]:
    published = {entry.row: entry.values for entry in study.published}
    beside = any(each.row in published for each in those)
    head = ["safeguard", "return, mean [95 %]"]
    head += ["paper's return"] if beside else []
    head += ["gap, median / worst", "stuck"] if referred else []
    head += ["paper's stuck"] if beside and referred else []
    head += ["interactions to own 95 %, median [95 %]"]
    head += ["paper's"] if beside else []
    head += ["exits: training / evaluations / last one", "unsafe requests: training / end"]
    head += ["seconds, all seeds"]
    head += ["paper's, one seed"] if beside else []
    lines = []
    for each in those:
        paper = published.get(each.row, {})
        line = [_title(rows, each), _with_ends(each.mean, ".4g")]
        line += [_shown(paper.get("return"))] if beside else []
        line += _gap_and_stuck(each) if referred else []
        line += [_of_ten(paper.get("stuck"))] if beside and referred else []
        line += [_with_ends(each.interactions, ",.0f") if each.interactions else _NOTHING]
        line += [_shown(paper.get("interactions"))] if beside else []
        unsafe = each.unsafe_requests
        exits = (each.training_exits, each.evaluation_exits, each.final_exits)
        line += [" / ".join(_shown(value) for value in exits)]
        without = rows[each.row].variant.safeguard == "none"
        line += [_NOTHING if without else " / ".join(_percent(value) for value in unsafe)]
        line += [f"{each.seconds:,.0f}"]
        lines.append(line + ([_shown(paper.get("seconds"))] if beside else []))
    return head, lines


def _deployed_table(
    row: StudyRow,
    rows: dict[str, StudyRow],
    those: Sequence[RowSummary],
    summaries: Sequence[RowSummary],
) -> tuple[list[str], list[list[str]]]:
    """Each deployed policy beside the one that was trained with that safeguard."""
    titles = {variant.name: variant.title for variant in row.deployed}
    trained = {each.row: each for each in summaries if not each.behind}
    head = ["behind", "deployed: return, mean [95 %]", "gap, median / worst", "unsafe requests"]
    head += ["exits", "trained with it: return", "gap, median / worst", "unsafe requests"]
    lines = []
    for each in those:
        with_it = trained.get(f"{row.task.name}/{row.learner.name}/{each.behind}")
        line = [titles[each.behind], *_deployed_numbers(each), f"{each.evaluation_exits:,}"]
        lines.append([*line, *(_deployed_numbers(with_it) if with_it else [_NOTHING] * 3)])
    return head, lines


def _deployed_numbers(each: RowSummary) -> list[str]:
    return [
        _with_ends(each.mean, ".4g"),
        _gap_and_stuck(each)[0],
        _percent(each.unsafe_requests[1]),
    ]


def _gap_and_stuck(each: RowSummary) -> list[str]:
    return [
        f"{_percent(each.gap)} / {_percent(each.worst_gap)}",
        _NOTHING if each.stuck is None else f"{each.stuck} of {each.seeds}",
    ]


def _group(summary: RowSummary) -> str:
    return summary.row.rsplit("/", 1)[0]


def _title(rows: dict[str, StudyRow], summary: RowSummary) -> str:
    return rows[summary.row].variant.title


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def _with_ends(value: tuple[float, float, float], form: str) -> str:
    middle, low, high = (format(each, form) for each in value)
    return f"{middle} [{low}, {high}]"


def _percent(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return _NOTHING
    percent = 100 * value
    if abs(percent) >= 1e6:  # of a run that left for good: the order of magnitude says it all
        return f"{percent:.0e} %"
    return f"{percent:,.0f} %" if abs(percent) >= 9.95 else f"{percent:.2g} %"


def _shown(value: Any) -> str:
    return _NOTHING if value is None else f"{value:,}"


def _of_ten(value: float | None) -> str:
    return _NOTHING if value is None else f"{value} of 10"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}"
