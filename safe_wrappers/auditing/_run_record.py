"""What a training left behind, and the questions that an audit asks of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..evaluation import against
from ._finding import Finding, sentence, values

_KEY, _TITLE = "training", "Training"
_QUESTION = "Did the training behind this safeguard stay in S?"


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """A training as its folder remembers it. The audit repeats none of it.

    Args:
        name: The folder.
        summary: The numbers of the training by name, as in summary.json, or those so far; empty if
            there are none yet.
        source: The file that they stand in.
        finished: Whether the training is finished.
        safeguarded: Whether it was behind a safeguard.
        same_program: Whether it computed what is audited now.
        checkpoint: The checkpoint that was read, its interactions in words; None if there is none
            that can be read.
    """

    name: str
    summary: Mapping[str, Any]
    source: str
    _: dataclasses.KW_ONLY
    finished: bool = True
    safeguarded: bool = True
    same_program: bool = True
    checkpoint: str | None = None


def run_findings(run: RunRecord) -> list[Finding]:
    """What is to be said of a training."""
    return [_program(run), _training(run)]


def _program(run: RunRecord) -> Finding:
    same = (
        "The folder names the same program as the one that is audited, by its digest: plant, task, "
        "safe set and safeguard."
    )
    other = (
        "The training computed another program than the one that is audited now: plant, task, safe "
        "set, safeguard or JAX have changed since. What is found here is not about that training."
    )
    return Finding(
        "program",
        "Same program",
        "Is what is audited here what the training computed?",
        "held" if run.same_program else "failed",
        same if run.same_program else other,
        data={"same_program": run.same_program},
    )


def _training(run: RunRecord) -> Finding:
    numbers = run.summary
    if not numbers:
        return Finding(
            _KEY,
            _TITLE,
            _QUESTION,
            "not judged",
            f"{run.source} has no evaluation yet, so nothing is known of the training.",
            data={"checkpoint": run.checkpoint},
        )
    steps, exits = max(int(numbers["interactions"]), 1), int(numbers["violations"])
    share = numbers["interventions"] / steps
    answer = (
        f"{numbers['interactions']:,} interactions, {exits:,} states outside S. "
        f"The safeguard changed the action in {numbers['interventions']:,} steps ({share:.1%})"
    )
    if not run.safeguarded:
        answer = (
            f"No safeguard acted: {numbers['interactions']:,} interactions, {exits:,} states "
            "outside S"
        )
    unfinished = "" if run.finished else " The training is not finished."
    rows = [
        ("interactions", f"{numbers['interactions']:,}"),
        ("episodes", f"{numbers['resets']:,}"),
        ("states outside S, evaluations included", f"{exits:,}"),
        ("interventions", f"{numbers['interventions']:,} ({share:.1%} of the steps)"),
        ("fallbacks, in which the certified action was executed", f"{numbers['fallbacks']:,}"),
        ("smallest margin", f"{numbers['smallest_margin']:.4g}"),
        (
            "return at the end",
            f"{numbers['final_return']:.4g}"
            f"{against(numbers['final_return'], numbers['lqr_return'], numbers['no_regulator'])}",
        ),
        ("best return", f"{numbers['best_return']:.4g} at {numbers['best_interactions']:,}"),
        ("checkpoint", run.checkpoint or "none that can be read"),
    ]
    rows += [("hint", hint) for hint in numbers.get("hints", ())]
    return Finding(
        _KEY,
        _TITLE,
        _QUESTION,
        "held" if run.safeguarded and not exits else "failed",
        sentence(answer) + unfinished,
        tables=(
            values(
                "The training",
                f"{run.source}, as the training wrote it; nothing of it is repeated in this audit",
                rows,
            ),
        ),
        data={"run": run.name, "checkpoint": run.checkpoint, **numbers},
    )
