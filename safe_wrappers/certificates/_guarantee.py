"""What stands behind a promise of safety, as data."""

import abc
from typing import Any, Literal, NamedTuple

from .._own import own, replacement
from ..models import POSITIVE_SEMIDEFINITE, program_digest
from ._certificate import Certificate
from ._claim import Claim
from ._proof import proved_here
from ._result import PROVER, ProofRecord

OBSERVED = "the state is observed exactly"
DISTURBED = "every disturbance lies in W"
COMPILED = "compiler and hardware compute float32 as specified"
CONFORMING = "the environment's physics agree with the model up to the rounding allowance"


class Guarantee(NamedTuple):
    """What stands behind the safety of a system or an environment.

    Attributes:
        status: "proved": `prove` succeeded for this claim and this program in this process, or the
            file with the record of that proof comes with the library. "certified": another file
            with the record of a proof, which is not signed, or a lemma. "tested": anything short
            of that.
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


# The records of files that come with the library. Whoever can change these can change the prover.
_SHIPPED: set[ProofRecord] = set()


def shipped(certificate: Certificate) -> Certificate:
    """The certificate, whose record counts as a proof from now on: for files that come with the
    library, and whose proofs its tests repeat.
    """
    if certificate.record is not None:
        _SHIPPED.add(certificate.record)
    return certificate


class Guaranteed(abc.ABC):
    """A system or an environment of the library, which computes what stands behind it."""

    @own
    @property
    @abc.abstractmethod
    def guarantee(self) -> Guarantee:
        """What stands behind the safety, computed from what the object is."""


def guarantee_by_the_library(value: Any) -> Guarantee:
    """The guarantee of a system or an environment, computed by the library alone: what an object
    says about its own safety does not count.
    """
    if not isinstance(value, Guaranteed):
        by = f"nothing in the library speaks about what `{type(value).__name__}` does"
        return Guarantee("tested", by)
    changed = replacement(value)
    return value.guarantee if changed is None else Guarantee("tested", changed)


def guarantee_of(claim: Claim, certificate: Certificate | None) -> Guarantee:
    """What stands behind the safe action sets of a claim, and of its certificate if it has one."""
    about = f"the model {claim.model.name!r}"
    if type(claim) is not Claim:
        by = f"`{type(claim).__name__}` may change what `Claim` says about {about}"
        return Guarantee("tested", by)
    found = _promised(claim, certificate, about)
    # A step that reads a variable is another function once the variable has changed.
    if found.status == "proved" and program_digest(claim.model) != claim.program:
        by = f"the step of {about} has changed since its claim was made; make and prove a new claim"
        return Guarantee("tested", by)
    return found


def _promised(claim: Claim, certificate: Certificate | None, about: str) -> Guarantee:
    """What a claim and its certificate promise about the function that was proved."""
    assumptions = (OBSERVED, DISTURBED, COMPILED)
    if claim.virtual is not None and claim.model.virtual and claim.model.virtual.least:
        # Where the equations of motion are solved with an accuracy that rests on it.
        assumptions += (POSITIVE_SEMIDEFINITE,)
    if proved_here(claim) is not None:
        return Guarantee("proved", f"`prove` succeeded for {about} in this process", assumptions)
    if certificate is None:
        return Guarantee("tested", f"`prove` has not proved this claim about {about}", assumptions)
    record, name = certificate.record, certificate.name
    if record is None:
        by = f"the certificate {name!r} about {about} holds no record of a proof; `prove` decides"
        return Guarantee("tested", by, assumptions)
    records = f"the certificate {name!r} records a proof of this claim about {about}"
    if record.prover != PROVER or not record.is_of(claim.program):
        by = (
            f"{records}, but of another program: by another version of the prover or of JAX, which "
            "prints programs differently, or of another function that is near; `prove` decides"
        )
        return Guarantee("certified", by, assumptions)
    if record not in _SHIPPED:
        by = f"{records} and this program; a record is not signed, and `prove` proves it again"
        return Guarantee("certified", by, assumptions)
    by = f"{records} and this program; it comes with the library, whose tests prove it again"
    return Guarantee("proved", by, assumptions)
