"""Is the promise proved? The proof runs now; no record is believed."""

import time
from typing import Any

from .._errors import CertificateError, ModelError
from ..certificates import Certificate, Claim, proof_as_json, prove
from ..envs import SafeSeeker
from ..envs.seeker import certified_slack
from ._finding import Finding, Table, sentence, values

_KEY, _TITLE = "proof", "Proof"
_QUESTION = "Is it proved that the state never leaves S, for the model and every disturbance in W?"


def proof_finding(env: Any, claim: Claim | None, max_cells: int) -> Finding:
    """Proves the claim of an environment now, or checks the lemma that stands in for it."""
    if claim is not None:
        return _proved(claim, max_cells)
    if isinstance(env, SafeSeeker):
        return _lemma()
    return Finding(
        _KEY,
        _TITLE,
        _QUESTION,
        "not judged",
        "There is no claim that could be proved, so whether the safe actions of a state are safe "
        "is tested below, at best, and proved nowhere.",
    )


def _proved(claim: Claim, max_cells: int) -> Finding:
    began = time.perf_counter()
    try:
        proof = prove(claim, max_cells=max_cells)
    except ModelError as error:
        seconds = time.perf_counter() - began
        answer = f"The prover cannot judge this model, so that the promise is tested only: {error}"
        return Finding(_KEY, _TITLE, _QUESTION, "not judged", sentence(answer), seconds=seconds)
    source = "`prove`, in this audit"
    parts = [
        (
            part.name,
            "held",
            "-" if part.reserve is None else f"{part.reserve:.3g}",
            part.found or "-",
            f"{part.seconds:.2f}",
        )
        for part in proof.parts
    ]
    status = "held" if proof.proved else "failed"
    answer = f"Proved: {proof.reason}" if proof.proved else f"Not proved: {proof.reason}"
    if not proof.proved:
        parts.append(("The next part", proof.status, "-", proof.reason, "-"))
    columns = ("part of the proof", "answer", "reserve", "found", "seconds")
    tables = [
        Table(
            "Parts of the proof. The reserve is how much more could be asked for, in the scale in "
            "which it is 1 from the centre of S to a facet",
            columns,
            tuple(parts),
            source,
        ),
        values(
            "Extent of the proof",
            source,
            [("cells (simplices) proved", f"{proof.cells:,}"), ("depth", f"{proof.depth}")],
        ),
    ]
    if proof.counterexample is not None:
        named = zip(claim.model.state_labels, proof.counterexample, strict=True)
        shown = [(name, f"{value:.6g}") for name, value in named]
        tables.append(values("The state that refutes the promise", source, shown))
    return Finding(
        _KEY,
        _TITLE,
        _QUESTION,
        status,
        sentence(answer),
        seconds=proof.seconds,
        tables=tuple(tables),
        data=proof_as_json(Certificate(claim, "audited"), proof),
    )


def _lemma() -> Finding:
    began = time.perf_counter()
    try:
        slack = certified_slack()
    except CertificateError as error:
        return Finding(_KEY, _TITLE, _QUESTION, "failed", sentence(error))
    seconds = time.perf_counter() - began
    answer = (
        "A lemma says so; its inequalities were checked again in exact rationals. The argument of "
        "the lemma itself was made by people and is read, not run."
    )
    found = [("slack that the certified action keeps", f"{slack:.4g} m")]
    source = "`envs.seeker.certified_slack`, in this audit"
    return Finding(
        _KEY,
        "Lemma",
        _QUESTION,
        "held",
        answer,
        seconds=seconds,
        tables=(values("Reserve of the lemma", source, found),),
        data={"lemma": "envs.seeker", "slack": slack},
    )
