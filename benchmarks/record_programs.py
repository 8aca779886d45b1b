"""Proves the shipped safe sets under the installed version of JAX, and records it in their files.

A record names the programs that were proved, and versions of JAX trace one model to different
programs. Run this once with each version that is to be supported, from a checkout:

    python benchmarks/record_programs.py
"""

import argparse
import sys
from pathlib import Path

import jax

from safe_wrappers import Certificate, prove
from safe_wrappers.certificates import model_parameters
from safe_wrappers.certificates._file import read, write
from safe_wrappers.envs import get_model, registered_names, variant_of

ASSETS = Path(__file__).parents[1] / "envs" / "assets"


def main() -> int:
    """Returns 0 only if every set was proved."""
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    failed = 0
    for path in sorted(ASSETS.glob("*.json")):
        system = path.name.split(".")[0]
        if system not in registered_names():
            continue
        certificate = Certificate.load(
            path, get_model(system, **variant_of(system, model_parameters(path)))
        )
        proof = prove(certificate.claim)
        print(f"jax {jax.__version__}, {path.name}: {proof!r}")
        if proof.record is None or certificate.record is None:
            failed += 1
            continue
        record = certificate.record.with_program(proof.record.program)
        if record != certificate.record:
            # Only the record: the other numbers stay as they were found.
            write(path, {**read(path), "record": record._asdict()})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
