"""`safe-wrappers certify`."""

import json
import math
import sys

from .. import envs
from .._errors import CertificateError, ModelError
from ..certificates import Certificate, Proof, proof_as_json, prove
from ._options import Certify
from ._targets import certificates_of, require_safe_set

_ROW = "{:<18} {:<14} {:>9} {:>6} {:>9} {:>8}"


def certify(options: Certify) -> int:
    """Proves the sets, one after the other, and says what was claimed and what came out.

    Returns 0 only if all are proved, or if a lemma stands in for a proof.
    """
    if options.target in envs.registered_names() and not envs.certificate_names(options.target):
        return _explain(options)
    try:
        certificates = certificates_of(
            options.target, options.safe_set, options.model, options.links
        )
        proofs = [
            _prove(certificate, options, first=certificate is certificates[0])
            for certificate in certificates
        ]
    except (CertificateError, ModelError) as error:
        if options.json:
            refused = {"target": options.target, "status": "refused", "proved": False}
            print(json.dumps([{**refused, "message": str(error)}], indent=2))
        else:
            print(f"safe-wrappers: not proved: {error}", file=sys.stderr)
        return 1
    if options.json:
        records = [proof_as_json(*pair) for pair in zip(certificates, proofs, strict=True)]
        print(json.dumps(records, indent=2, allow_nan=False))
    return 0 if all(proof.proved for proof in proofs) else 1


def _explain(options: Certify) -> int:
    """Says what stands behind explicit safe action sets, which constructing the environment has
    checked.
    """
    if options.safe_set is not None:
        require_safe_set(options.target, options.safe_set)
    guarantee = envs.get_environment(options.target).guarantee
    if options.json:
        record = {
            "system": options.target,
            "safe_set": None,
            "status": guarantee.status,
            "proved": guarantee.status == "proved",
            "message": guarantee.by,
            "assumptions": list(guarantee.assumptions),
        }
        print(json.dumps([record], indent=2))
    else:
        print(f"{options.target}: {guarantee}")
    return 0


def _prove(certificate: Certificate, options: Certify, *, first: bool) -> Proof:
    claim = certificate.claim
    if first and not options.json:
        how = "by interval branch and bound" if claim.virtual is None else "block by block"
        print(
            f"{claim.model.name}: S is robust control invariant for every w in W and lies in X, "
            f"proved {how}; all numbers of the claim are derived anew."
        )
        print(_ROW.format("set", "result", "cells", "depth", "margin", "seconds"))
    proof = prove(claim, max_cells=options.max_cells)
    if not options.json:
        margin = "-" if math.isnan(proof.margin) else f"{proof.margin:.2e}"
        cells, seconds = f"{proof.cells:,}", f"{proof.seconds:.2f}"
        print(_ROW.format(certificate.name, proof.status, cells, proof.depth, margin, seconds))
        for line in claim.describe().splitlines():
            print(f"    {line}")
        for part in proof.parts if claim.virtual is not None else ():
            reserve = "" if part.reserve is None else f", reserve {part.reserve:.2g}"
            found = f": {part.found}" if part.found else ""
            print(f"    - {part.name}{reserve}{found} ({part.seconds:.2f} s)")
        if not proof.proved:
            print(f"  {proof.reason}")
        sys.stdout.flush()
    return proof
