"""`safe-wrappers synthesise`."""

import sys
from typing import Any

import numpy as np

from .. import synthesis
from ..certificates import Certificate, Claim, Proof, prove
from ..sets import Box
from ._imported import is_own
from ._options import Synthesise
from ._problem import problem_of
from ._usage import UsageError, require_new_file, usage_errors


def synthesise(options: Synthesise) -> int:
    """Searches, proves and writes a safe set. Returns 0 if a file was written."""
    # A search takes minutes: what prevents writing its result is said before.
    require_new_file("--output", options.output, ".json")
    if options.output.exists():
        raise UsageError(f"--output {options.output} exists; give another name or delete it.")
    model, X, W = problem_of(options)
    if not isinstance(X, Box):
        raise UsageError(
            "the state constraints must be a box to search in; give --constraints, or another "
            "--constraints-of."
        )
    counterexamples = np.zeros((0, model.state_size))
    for search in range(options.rounds):
        settings = {"counterexamples": counterexamples, **_settings(options)}
        with usage_errors():
            try:
                found = synthesis.synthesise(model, X, W, **settings)
            except synthesis.SynthesisError as error:
                print(f"safe-wrappers: no set was found: {error}", file=sys.stderr)
                return 1
        claim = Claim(
            model, safe_state_set=found.safe_state_set, constraint_set=X, disturbance_set=W
        )
        result = prove(claim)
        print(
            f"search {search + 1}: {len(found.safe_state_set.H)} facets, volume "
            f"{found.volume:.5g}, {found.seconds:.1f} s; "
            f"{result.status}, {result.cells:,} cells, {result.seconds:.1f} s"
        )
        if result.proved or result.counterexample is None:
            break
        counterexamples = np.concatenate([counterexamples, result.counterexample[None]])
    if not result.proved:
        print(f"safe-wrappers: not proved: {result.reason}", file=sys.stderr)
        if not options.unproved:
            print(
                "safe-wrappers: nothing was written; try more --facets or --seeds, or write the "
                "set anyway with --unproved.",
                file=sys.stderr,
            )
            return 1
    _certificate(options, claim, result, found).save(options.output)
    use = (
        f"look at it with `safe-wrappers show {options.output} --model {options.system}`"
        if is_own(options.system)
        else f"use it with --safe-set {options.output}"
    )
    print(f"Wrote the {'proved' if result.proved else 'UNPROVED'} set to {options.output}; {use}.")
    return 0


def _settings(options: Synthesise) -> dict[str, Any]:
    return {
        name: getattr(options, name)
        for name in ("facets", "seeds", "iterations", "margin", "disturbance_scale")
    }


def _certificate(
    options: Synthesise, claim: Claim, result: Proof, found: synthesis.SynthesisResult
) -> Certificate:
    metadata = {
        "method": "vertex SLP with growth (safe-wrappers synthesise)",
        "facets": len(found.safe_state_set.H),
        "volume": found.volume,
        "seconds": round(found.seconds, 1),
        "settings": _settings(options),
    }
    proof = result if result.proved else None
    return Certificate(claim, options.output.stem, proof=proof, metadata=metadata)
