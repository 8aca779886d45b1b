"""What stands behind a promise of safety, as data."""

import abc
from typing import Literal, NamedTuple

from ._certificate import Certificate
from ._claim import Claim
from ._proof import proved_here
from ._result import PROVER

OBSERVED = "the state is observed exactly"
DISTURBED = "every disturbance lies in W"
COMPILED = "compiler and hardware compute float32 as specified"
CONFORMING = "the environment's physics agree with the model up to the rounding allowance"


class Guarantee(NamedTuple):
    """What stands behind the safety of a system or an environment.

    Attributes:
        status: "proved": `prove` succeeded for this claim and this program, in this process or by
            the record of a file. "certified": a checked file with the record of a proof of another
            version, or a lemma. "tested": anything short of that.
        by: What the status rests on, or why it is no better, in a sentence.
        assumptions: What has to be true beside it.
    """

    status: Literal["proved", "certified", "tested"]
    by: str
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        status = "tested, not proved" if self.status == "tested" else self.status
        if not self.assumptions:
            return f"{status}: {self.by}"
        return f"{status}: {self.by}; assuming that {'; that '.join(self.assumptions)}"


class Guaranteed(abc.ABC):
    """A system or an environment of the library, which computes what stands behind it.

    Wrappers believe no other object's word for its own safety.
    """

    @property
    @abc.abstractmethod
    def guarantee(self) -> Guarantee:
        """What stands behind the safety, computed from what the object is."""


def guarantee_of(claim: Claim, certificate: Certificate | None) -> Guarantee:
    """What stands behind the safe action sets of a claim, and of its certificate if it has one."""
    about = f"the model {claim.model.name!r}"
    assumptions = (OBSERVED, DISTURBED, COMPILED)
    if proved_here(claim) is not None:
        return Guarantee("proved", f"`prove` succeeded for {about} in this process", assumptions)
    if certificate is None:
        return Guarantee("tested", f"`prove` has not proved this claim about {about}", assumptions)
    record, name = certificate.record, certificate.name
    if record is None:
        by = f"the certificate {name!r} about {about} holds no record of a proof; `prove` decides"
        return Guarantee("tested", by, assumptions)
    if record.prover != PROVER or record.program != claim.program:
        by = (
            f"the certificate {name!r} about {about} was proved by another version of the prover "
            "or of JAX, which prints programs differently; `prove` proves it again"
        )
        return Guarantee("certified", by, assumptions)
    by = f"the certificate {name!r} records a proof of this claim and this program of {about}"
    return Guarantee("proved", by, assumptions)
