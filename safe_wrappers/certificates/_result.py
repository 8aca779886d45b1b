"""The answer of a proof, and the record of it that a file can hold."""

import dataclasses
from typing import NamedTuple

import numpy as np

from .._one_line import count, one_line
from ._proof_parts import ProofPart

# Raised whenever the prover accepts or refuses other claims than before.
PROVER = "2"


class ProofRecord(NamedTuple):
    """Who proved what. It is not signed: proving again is what convinces.

    Attributes:
        prover: Version of the prover.
        claim: `Claim.digest` of what was proved: all its numbers.
        program: `Claim.program`: the program of its model. Several, separated by spaces, if it was
            proved under several versions of JAX, which trace a model differently.
        cells: Number of proved simplices.
        margin: The proved margin, in the scale h = 1.
    """

    prover: str
    claim: str
    program: str
    cells: int
    margin: float

    def is_of(self, program: str) -> bool:
        """Whether the proof was about this program."""
        return program in self.program.split()

    def with_program(self, program: str) -> "ProofRecord":
        """The record of the same claim, proved about this program, too."""
        return self if self.is_of(program) else self._replace(program=f"{self.program} {program}")


@dataclasses.dataclass(frozen=True, repr=False)
class Proof:
    """The outcome of a proof.

    Args:
        status: "proved", "counterexample", or "inconclusive", which is never a success.
        cells: Number of proved simplices.
        depth: Number of bisections of the most divided simplex.
        margin: If proved, what every simplex keeps of the scale h = 1, at least sigma; for a
            counterexample a bound of the largest margin that any action has there, at most sigma,
            or how far it lies in X (negative); else NaN.
        seconds: Time taken.
        counterexample: A state in S without a safe action or outside X, shape (n,), or None.
        reason: What was found, in a sentence.
        record: Who proved what, if the claim is proved.
        parts: What succeeded, one after the other, with reserves and times; if the claim is not
            proved, `reason` says what came next. They hold times, and equality ignores them.
    """

    status: str
    cells: int
    depth: int
    margin: float
    seconds: float
    counterexample: np.ndarray | None
    reason: str
    record: ProofRecord | None = None
    parts: tuple[ProofPart, ...] = dataclasses.field(default=(), compare=False)

    def __repr__(self) -> str:
        found = f"{count(self.cells, 'cell')}, {self.seconds:.3g} s"
        if self.proved:
            return f"Proof(proved with margin {self.margin:.3g}, {found})"
        return one_line(f"Proof({self.status}, {found}: {self.reason})")

    @property
    def proved(self) -> bool:
        """Whether the claim is proved."""
        return self.status == "proved"


def inconclusive(reason: str, cells: int = 0, depth: int = 0) -> Proof:
    """The answer that decides nothing, with the reason."""
    return Proof("inconclusive", cells, depth, float("nan"), 0.0, None, reason)
