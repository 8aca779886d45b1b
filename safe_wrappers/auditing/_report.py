"""An audit for programs, as JSON, for a terminal, as text, and for people, as a page."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from .._files import write_text
from ._audit import Audit
from ._finding import Finding
from ._page import as_html

_MARKS = {"held": "held", "failed": "FAILED", "not judged": "-"}


def as_json(report: Audit) -> dict[str, Any]:
    """All that an audit found, for `json.dumps`; what is not finite is None. Pictures are left
    out.
    """
    found = {
        "subject": report.subject,
        "safeguard": report.safeguard,
        "verdict": report.verdict,
        "headline": report.headline,
        "holds": report.holds,
        "guarantee": report.guarantee._asdict(),
        "promise": {"text": report.promise.text, **report.promise.data},
        "findings": {each.key: _finding(each) for each in report.findings},
        "provenance": dict(report.provenance),
        "command": report.command,
        "date": report.date,
        "seconds": report.seconds,
    }
    return _plain(found)


def as_text(report: Audit) -> str:
    """The verdict and one line for each question, for a terminal."""
    lines = [f"{report.subject}, safeguard: {report.safeguard}", f"  {report.headline}"]
    for found in report.findings:
        lines.append(f"  {found.title:<13} {_MARKS[found.status]:<7} {found.short}")
    return "\n".join(lines)


def write(report: Audit, folder: Path) -> list[str]:
    """Writes audit.json and audit.html into a folder, which must exist.

    Returns:
        The names of the files.
    """
    text = json.dumps(as_json(report), indent=2, allow_nan=False)
    write_text(folder / "audit.json", text + "\n")
    write_text(folder / "audit.html", as_html(report))
    return ["audit.html", "audit.json"]


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "question": found.question,
        "status": found.status,
        "answer": found.answer,
        "seconds": found.seconds,
        **({"numbers": dict(found.data)} if found.data else {}),
    }


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries that JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
