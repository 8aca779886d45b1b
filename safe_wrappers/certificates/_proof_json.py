"""A proof for programs, as JSON."""

import math
from typing import Any

from ._certificate import Certificate
from ._result import Proof


def proof_as_json(certificate: Certificate, proof: Proof) -> dict[str, Any]:
    """What was claimed and what came out, as numbers and texts for programs."""
    claim = certificate.claim
    return {
        "system": claim.model.name,
        "safe_set": certificate.name,
        "status": proof.status,
        "proved": proof.proved,
        "cells": proof.cells,
        "depth": proof.depth,
        "margin": _finite(proof.margin),
        "seconds": proof.seconds,
        "counterexample": None if proof.counterexample is None else proof.counterexample.tolist(),
        "message": proof.reason,
        "parts": [{**part._asdict(), "reserve": _finite(part.reserve)} for part in proof.parts],
        "facets": len(claim.safe_state_set.H),
        "claim": claim.numbers(),
        "digest": claim.digest,
        "program": claim.program,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
