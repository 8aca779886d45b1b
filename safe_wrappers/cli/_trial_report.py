"""What `attack` and `soak` print of what they found."""

import json

from ..evaluation import machine, versions
from ..falsification import AttackReport, SoakReport, as_json, as_text
from ._options import Attack, Soak


def print_report(options: Attack | Soak, report: AttackReport | SoakReport) -> None:
    """Prints a report as text, or with `--json` as JSON, with what was tried and where."""
    if not options.json:
        print(as_text(report))
        return
    about = {
        "target": options.target,
        "safe_set": options.safe_set,
        "commands": options.commands,
        "versions": versions(),
        "machine": machine(),
    }
    print(json.dumps({**about, **as_json(report)}, indent=2, allow_nan=False))
