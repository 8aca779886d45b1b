"""What a check found, and how it fails."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._errors import ContractError


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What was checked and found to hold. Printed, it is a table.

    Attributes:
        subject: Name of what was checked.
        findings: The numbers that were found, by what they measure.
        unchecked: What could not be checked, and why.
    """

    subject: str
    findings: Mapping[str, float]
    unchecked: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max(map(len, self.findings), default=0)
        lines = [f"{self.subject} keeps its contract."]
        lines += [f"  {name:{width}}  {value:.6g}" for name, value in self.findings.items()]
        return "\n".join(lines + [f"  not checked: {reason}" for reason in self.unchecked])


def require(holds: Any, must: str, found: str, instead: str) -> None:
    """Raises ContractError unless `holds`: what must hold, what was found, and what to do."""
    if not holds:
        raise ContractError(f"{must}, but {found}. {instead}")


def require_all(holds: Any, must: str, instead: str, **values: Any) -> None:
    """Raises ContractError unless `holds`, shape (N,), is true throughout, and shows the first case
    that fails.

    Args:
        holds: Whether the requirement holds, for each case.
        must: The requirement, in words.
        instead: The remedy, in words.
        values: The values of a case to show, by name, arrays of shape (N, ...); underscores in
            names become spaces.
    """
    holds = np.asarray(holds)
    if holds.all():
        return
    first = int(np.argmin(holds))
    shown = ", ".join(
        f"{name.replace('_', ' ')} = {in_words(value[first])}" for name, value in values.items()
    )
    require(False, must, f"{shown} ({np.sum(~holds)} of {len(holds)} cases fail)", instead)


def in_words(value: Any) -> str:
    """A number or an array with as many digits as its dtype needs."""
    return np.array2string(np.asarray(value), separator=", ", floatmode="unique", threshold=64)
