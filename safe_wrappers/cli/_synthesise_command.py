"""`safe-wrappers synthesise`."""

import sys

from ..certificates import Certificate
from ..certification import NotProved, certify
from ..synthesis import SynthesisError
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
    certificate = _found(options)
    if certificate is None:
        return 1
    certificate.save(options.output)
    use = (
        f"look at it with `safe-wrappers show {options.output} --model {options.system}`"
        if is_own(options.system)
        else f"use it with --safe-set {options.output}"
    )
    what = "UNPROVED" if certificate.record is None else "proved"
    print(f"Wrote the {what} set to {options.output}; {use}.")
    return 0


def _found(options: Synthesise) -> Certificate | None:
    """The certificate to write, or None if there is none; then it was said why."""
    model, X, W = problem_of(options)
    name = options.output.stem
    with usage_errors():
        try:
            return certify(
                model,
                constraints=X,
                disturbances=W,
                name=name,
                facets=options.facets,
                seeds=options.seeds,
                iterations=options.iterations,
                margin=options.margin,
                rounds=options.rounds,
            )
        except SynthesisError as error:
            print(f"safe-wrappers: {error}", file=sys.stderr)
            return None
        except NotProved as error:
            print(f"safe-wrappers: {error}", file=sys.stderr)
            if options.unproved:
                return Certificate(error.claim, name)
            print(
                "safe-wrappers: nothing was written; --unproved writes the set anyway.",
                file=sys.stderr,
            )
            return None
