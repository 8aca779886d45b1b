"""Writes the table of results on docs/robustness.md from the files in benchmarks/results, so that
no number on it is typed by hand. A result that is missing is said to be missing.

    python benchmarks/robustness.py
"""

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from marked import between

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / "docs" / "robustness.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN = "<!-- Results: written by benchmarks/robustness.py; edit nothing from here -->"
END = "<!-- to here. -->"
_HEAD = ("what was tried", "how often", "what came of it", "with", "file")

Content = dict[str, Any]


class Row(NamedTuple):
    """A row of the table, but for the file."""

    what: str
    tried: str
    result: str


class Kind(NamedTuple):
    """Files of one kind.

    Attributes:
        pattern: Their names.
        what: What they are about, for the row that says that there is none.
        command: What writes them.
        rows: The rows of one file.
    """

    pattern: str
    what: str
    command: str
    rows: Callable[[Content], list[Row]]


def soak(content: Content) -> list[Row]:
    """Steps under worst-case disturbances, and the exits that were counted."""
    return [
        Row(
            f"soak of {_subject(content)}, worst-case disturbances",
            f"{content['steps']:,} steps",
            f"{content['exits']:,} exits, {content['unsafe_actions']:,} unsafe actions; smallest "
            f"margin {content['margin']:.3g}; with 95 % confidence at most {content['bound']:.2g} "
            "exits per step",
        )
    ]


def attack(content: Content) -> list[Row]:
    """A search for a way out of the safe set."""
    found = (
        f"**broken** after {content['found_after']:.1f} s by {content['strategy']}"
        if content["broken"]
        else "not broken"
    )
    return [
        Row(
            f"attack on {_subject(content)}",
            f"{content['steps']:,} steps in {content['seconds']:,.0f} s",
            f"{found}; smallest margin {content['margin']:.3g}",
        )
    ]


def counts(content: Content) -> list[Row]:
    """Hostile values, faults, forgeries and whatever else the suites count."""
    if content["tried"] != sum(content[name] for name in _OUTCOMES):
        raise ValueError(f"the counts of {content['suite']} do not add up to `tried`.")
    others = ", ".join(
        f"{content[name]:,} {name.replace('_', ' ')}" for name in _OUTCOMES[1:] if content[name]
    )
    note = f" ({content['note'].rstrip('.')})" if content.get("note") else ""
    return [
        Row(
            f"{content['suite']}{note}",
            f"{content['tried']:,}",
            f"{content['caught']:,} caught, {others or 'nothing else'}",
        )
    ]


_OUTCOMES = ("caught", "unsafe", "silently_wrong", "unclear")


def mutation(content: Content) -> list[Row]:
    """Faults put into the source, and whether the tests noticed."""
    earlier = f"; {content['score_before']:.1%} before tests were added for survivors"
    return [
        Row(
            f"mutants of the source, {len(content['files']):,} files, seed {content['seed']}",
            f"{content['sampled']:,} of {content['sites']:,}",
            f"{content['killed']:,} killed, {content['survived']:,} survived, "
            f"{content['equivalent']:,} equivalent: {content['score']:.1%} of those that are not "
            f"equivalent{earlier}",
        )
    ]


def kills(content: Content) -> list[Row]:
    """Trainings that are killed and resumed, compared with one that was not."""
    chains, differ = len(content["chains"]), content["chains_that_differ"]
    when = ", ".join(f"{count:,} {stage}" for stage, count in sorted(content["stages"].items()))
    return [
        Row(
            "trainings that are killed by SIGKILL at random moments and resumed",
            f"{content['kills']:,} kills of {chains:,} runs ({when})",
            f"{differ:,} of {chains:,} runs differ from the one that was not killed",
        )
    ]


def bit_flips(content: Content) -> list[Row]:
    """Single bits that are flipped in the files of runs and in certificates."""
    rows = []
    for what, outcomes in content.items():
        if what in ("versions", "machine"):
            continue
        said = []
        for outcome, count in sorted(outcomes.items()):
            name, _, which = outcome.partition(": ")
            said.append(f"{count:,} {name}" + (f" ({which})" if which else ""))
        rows.append(
            Row(f"single bits flipped: {what}", f"{sum(outcomes.values()):,}", ", ".join(said))
        )
    return rows


KINDS = (
    Kind("soak_*.json", "soaks", "safe-wrappers soak SYSTEM --json", soak),
    Kind("attack_*.json", "attacks", "safe-wrappers attack SYSTEM --json", attack),
    Kind(
        "counts.jsonl",
        "hostile values, faults and forgeries",
        "python -m pytest --record-counts FILE",
        counts,
    ),
    Kind("mutation.json", "mutants of the source", "python benchmarks/mutation.py", mutation),
    Kind("kills*.json", "trainings that are killed", "python benchmarks/kills.py", kills),
    Kind("bit_flips.json", "single bits flipped", "python benchmarks/bit_flips.py", bit_flips),
)


def block(results: pathlib.Path) -> str:
    """The table from the files in a folder, between its markers."""
    lines = [_line(_HEAD), _line(("---",) * len(_HEAD))]
    for kind in KINDS:
        found = [
            _line((*row, _made_with(content), f"`{file.name}`"))
            for file, content in _contents(results, kind.pattern)
            for row in kind.rows(content)
        ]
        missing = f"**not recorded**; `{kind.command}` writes it"
        lines += found or [_line((kind.what, "-", missing, "-", f"`{kind.pattern}`"))]
    return "\n".join([BEGIN, "", *lines, "", END])


def replaced(page: str, results: pathlib.Path) -> str:
    """The page with the table that belongs there.

    Raises:
        ValueError: If the page does not have the two markers, once each and in this order.
    """
    return between(page, BEGIN, END, block(results))


def _contents(results: pathlib.Path, pattern: str) -> Iterator[tuple[pathlib.Path, Content]]:
    """The objects in the files of this name, one in a .json and one a line in a .jsonl."""
    for file in sorted(results.glob(pattern)):
        text = file.read_text(encoding="utf-8")
        for part in text.splitlines() if file.suffix == ".jsonl" else [text]:
            if part.strip():
                yield file, json.loads(part)


def _subject(content: Content) -> str:
    return f"{content['system']}, {content['safeguard']}"


def _made_with(content: Content) -> str:
    """Version and machine, as far as the file says."""
    version = content.get("version") or content.get("versions", {}).get("safe_wrappers")
    with_version = f"version {version}" if version else "version not recorded"
    return f"{with_version}, {content.get('machine') or 'machine not recorded'}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def main() -> None:
    """Writes the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, RESULTS), encoding="utf-8")
    print(f"Wrote the results of {PAGE.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
