"""What `certify` raises when a set was found and could not be proved."""

from .._errors import SafeWrappersError
from ..certificates import Claim, Proof


class NotProved(SafeWrappersError, RuntimeError):
    """Sets were found, but none of them could be proved.

    Attributes:
        claim: The claim of the last set that was found.
        proof: Why it is not proved: a counterexample, or what was left open.
    """

    def __init__(self, message: str, claim: Claim, proof: Proof):
        super().__init__(message)
        self.claim, self.proof = claim, proof


def not_proved(claim: Claim, proof: Proof, tried: int) -> NotProved:
    """The error with the reason, and what helps."""
    refuted = proof.status == "counterexample"
    remedies = (
        ("more `facets`", "more `seeds`", "a larger `margin`", "more `rounds`")
        if refuted
        else ("a larger `max_cells`", "a larger `margin`", "fewer `facets`")
    )
    how_many = "A set was found" if tried == 1 else f"{tried} sets were found"
    return NotProved(
        f"{how_many} for `{claim.model.name}`, and none is proved. {proof.reason} Try, in this "
        f"order: {', '.join(remedies)}, or a disturbance set of half the size, to see whether "
        "that is what is in the way.",
        claim,
        proof,
    )
