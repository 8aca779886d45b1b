"""The answer of a proof."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class ProofResult:
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
        message: What was found, in a sentence.
    """

    status: str
    cells: int
    depth: int
    margin: float
    seconds: float
    counterexample: np.ndarray | None
    message: str

    @property
    def proved(self) -> bool:
        """Whether the claim is proved."""
        return self.status == "proved"


def inconclusive(message: str, cells: int = 0, depth: int = 0) -> ProofResult:
    """The answer that decides nothing, with the reason."""
    return ProofResult("inconclusive", cells, depth, float("nan"), 0.0, None, message)
