"""Does the simulator do what the model says?"""

from typing import Any

from .._errors import SafeWrappersError
from ..conformance import as_json, conform
from ..plots import residual_figure
from ._finding import Finding, Table, drawn, sentence, values

_KEY, _TITLE = "conformance", "Simulator"
_QUESTION = "Does the simulator do what the model of the promise says, up to W?"


def conformance_finding(simulator: Any | None, samples: int, seed: int) -> Finding:
    """Samples a simulator against the model; None if there is no simulator beside the model."""
    if simulator is None:
        return Finding(
            _KEY,
            _TITLE,
            _QUESTION,
            "not judged",
            "There is no simulator beside the model: the environment steps the very function that "
            "the promise is about. Whether a real plant does the same is not known here.",
        )
    try:
        report = conform(simulator, samples=samples, seed=seed)
    except (SafeWrappersError, TypeError, ValueError) as error:
        return Finding(_KEY, _TITLE, _QUESTION, "not judged", sentence(error))
    rows = tuple(
        (
            name,
            f"{len(sample):,}",
            f"{int(sample.outside.sum()):,}",
            f"{sample.excess.max():.3g}" if len(sample) else "-",
        )
        for name, sample in report.parts.items()
    )
    columns = ("steps", "number", "not covered by W", "largest excess, where 1 is allowed")
    probability = (
        f"share of random steps that W does not cover, with confidence {report.confidence:.6f}",
        f"at most {report.uncovered_probability:.3%}",
    )
    return Finding(
        _KEY,
        _TITLE,
        _QUESTION,
        "held" if report.conforms else "failed",
        f"{report.name}: {report.message}",
        seconds=report.seconds,
        tables=(
            Table("Steps that were compared", columns, rows, "`sw.conform`, in this audit"),
            values("What follows", "`sw.conform`, in this audit", [probability]),
        ),
        data=as_json(report),
        picture=drawn(
            residual_figure(report, title=report.name),
            "How far the simulator is from the model, as a disturbance, and what W leaves of it.",
        ),
    )
