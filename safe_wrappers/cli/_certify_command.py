"""`safe-wrappers certify`."""

import json
import math
import sys
from typing import Any

from .. import envs
from .._errors import CertificateError, ModelError
from ..certificates import Certificate, ProofResult, prove
from ._environments import require_safe_set
from ._options import Certify
from ._targets import certificates_of, model_of
from ._usage import require_at_least

_ROW = "{:<18} {:<14} {:>9} {:>6} {:>9} {:>8}"


def certify(options: Certify) -> int:
    """Proves the sets, one after the other, and says so. Returns 0 only if all are proved."""
    require_at_least("--max-cells", options.max_cells, 1)
    if options.target in envs.registered_names() and not envs.certificate_names(options.target):
        return _explain(options)
    try:
        certificates = certificates_of(options.target, options.safe_set)
        results = [
            _prove(certificate, options, first=certificate is certificates[0])
            for certificate in certificates
        ]
    except (CertificateError, ModelError) as error:
        if options.json:
            print(
                json.dumps(
                    [
                        {
                            "target": options.target,
                            "status": "refused",
                            "proved": False,
                            "message": str(error),
                        }
                    ],
                    indent=2,
                )
            )
        else:
            print(f"safe-wrappers: not proved: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(
            json.dumps(
                [_record(*pair) for pair in zip(certificates, results, strict=True)],
                indent=2,
                allow_nan=False,
            )
        )
    return 0 if all(result.proved for result in results) else 1


def _explain(options: Certify) -> int:
    """Says what stands behind explicit safe action sets, which constructing the environment has
    checked.
    """
    if options.safe_set is not None:
        require_safe_set(options.target, options.safe_set)
    env = envs.get_environment(options.target)
    assert isinstance(env, envs.SafeSeeker)  # the only bundled one
    if options.json:
        print(
            json.dumps(
                [
                    {
                        "system": options.target,
                        "safe_set": None,
                        "status": "lemma",
                        "proved": True,
                        "message": env.guarantee,
                    }
                ],
                indent=2,
            )
        )
    else:
        print(f"{options.target}: {env.guarantee}")
    return 0


def _prove(certificate: Certificate, options: Certify, *, first: bool) -> ProofResult:
    model = model_of(certificate, options.model)
    if first and not options.json:
        print(
            f"{certificate.model_name}: robust invariance of S and S inside X, proved by "
            "interval branch and bound"
        )
        print(_ROW.format("set", "result", "cells", "depth", "margin", "seconds"))
    result = prove(certificate, model, max_cells=options.max_cells)
    if not options.json:
        margin = "-" if math.isnan(result.margin) else f"{result.margin:.2e}"
        print(
            _ROW.format(
                certificate.name,
                result.status,
                f"{result.cells:,}",
                result.depth,
                margin,
                f"{result.seconds:.2f}",
            ),
            flush=True,
        )
        if not result.proved:
            print(f"  {result.message}")
    return result


def _record(certificate: Certificate, result: ProofResult) -> dict[str, Any]:
    return {
        "system": certificate.model_name,
        "safe_set": certificate.name,
        "status": result.status,
        "proved": result.proved,
        "cells": result.cells,
        "depth": result.depth,
        "margin": None if math.isnan(result.margin) else result.margin,
        "seconds": result.seconds,
        "facets": len(certificate.safe_state_set.H),
        "counterexample": None if result.counterexample is None else result.counterexample.tolist(),
        "message": result.message,
    }
