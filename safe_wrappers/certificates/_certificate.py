"""Certificates: a claim with its name, the record of its proof, and the file that holds both."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._errors import CertificateError, ModelError
from .._gate import as_integer, as_number
from .._one_line import count, one_line
from ..models import Model
from ..sets import Box, Polytope, Zonotope
from ._block import Block
from ._claim import VIRTUAL, Claim
from ._encoding import decode_array, decode_set, require_entries
from ._file import PathLike, Source, read, write
from ._fingerprint import POINTS, agrees, distance, fingerprint
from ._result import Proof, ProofRecord
from ._virtual_blocks import decode_virtual

_NAME_LENGTH = 100
_ENTRIES = (
    "name",
    "model",
    "action_size",
    "safe_state_set",
    "constraint_set",
    "disturbance_set",
    "sigma",
    "blocks",
    "generators",
    "eps",
    "gain",
    "record",
    "metadata",
    "next_states",
)
# The centre of S is there only if it is not the origin.
_CENTER = "center"


@dataclasses.dataclass(frozen=True, eq=False)
class Certificate:
    """A claim that has a name, and the record of its proof if there is one.

    A certificate by itself proves nothing: `prove(certificate.claim)` does.

    Args:
        claim: What is claimed, and of which model.
        name: Name of the set, for example "full": printable, at most 100 characters.
        proof: A successful proof of the claim, to be recorded, or its record. Default: none.
        metadata: How the set was found and what is known of it, for people; must be JSON.

    Attributes:
        record: Who proved what, or None.

    Raises:
        CertificateError: If the name cannot be printed, or the proof failed or is of another claim.
    """

    claim: Claim
    name: str
    _: dataclasses.KW_ONLY
    proof: dataclasses.InitVar[Proof | ProofRecord | None] = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    record: ProofRecord | None = dataclasses.field(init=False)

    def __post_init__(self, proof: Proof | ProofRecord | None):
        _require(
            isinstance(self.claim, Claim),
            f"`claim` must be a `Claim`, but it is a `{type(self.claim).__name__}`.",
        )
        _require(
            isinstance(self.name, str)
            and self.name.isprintable()
            and 0 < len(self.name) <= _NAME_LENGTH,
            f"`name` must be a printable text of at most {_NAME_LENGTH} characters, but it is "
            f"{str(self.name)[:_NAME_LENGTH]!r}.",
        )
        _require(
            isinstance(self.metadata, Mapping),
            f"`metadata` must be a dictionary, but it is {str(self.metadata)[:_NAME_LENGTH]!r}.",
        )
        if isinstance(proof, Proof):
            _require(
                proof.record is not None,
                f"Only a proof that succeeded can be recorded, but this one says: {proof.reason}",
            )
            proof = proof.record
        _require(
            proof is None or proof.claim == self.claim.digest,
            f"The certificate {self.name!r} has the record of a proof of another claim: its sets "
            "or numbers were changed. Prove the claim and create the certificate anew.",
        )
        object.__setattr__(self, "record", proof)

    def save(self, path: PathLike) -> None:
        """Writes the certificate as JSON, atomically: another process sees the old file or the new
        one.
        """
        write(path, self._content())

    @classmethod
    def load(cls, source: Source, model: Model) -> "Certificate":
        """Reads a certificate of this model from a path or a package resource.

        Args:
            source: The file.
            model: The model that the file is about: a file holds numbers, and no program.

        Raises:
            CertificateError: If the file is missing, damaged, changed by hand, of another format
                version, or about another model.
        """
        content = read(source)
        try:
            return cls._from_content(content, model)
        except (CertificateError, ModelError):
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise CertificateError(
                f"The certificate file {source} must hold a claim, but it holds what cannot be "
                f"one: {error}"
            ) from error

    def _content(self) -> dict[str, Any]:
        claim = self.claim
        return {
            "name": self.name,
            "model": {"name": claim.model.name, "parameters": _parameters(claim.model)},
            **claim.numbers(),
            "record": None if self.record is None else self.record._asdict(),
            "metadata": dict(self.metadata),
            "next_states": _rounded(
                fingerprint(claim.model, _around(claim), claim.disturbance_set)
            ),
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any], model: Model) -> "Certificate":
        n = model.state_size
        optional = {_CENTER: [0.0] * n, VIRTUAL: None}
        require_entries("The content", {**optional, **content}, (*_ENTRIES, *optional))
        name = str(content["name"])[:_NAME_LENGTH]
        _require_model(name, content, model)
        generators = content["generators"]
        claim = Claim(
            model,
            safe_state_set=decode_set(content["safe_state_set"], Polytope),
            constraint_set=decode_set(content["constraint_set"], Box, Polytope),
            disturbance_set=decode_set(content["disturbance_set"], Box),
            center=decode_array(_CENTER, content.get(_CENTER, [0.0] * n), "float32"),
            sigma=content["sigma"],
            blocks=tuple(map(_block, content["blocks"])),
            generators=None if generators is None else decode_set(generators, Zonotope),
            virtual=decode_virtual(content[VIRTUAL]) if VIRTUAL in content else None,
            eps=decode_array("eps", content["eps"], "float32"),
            gain=decode_array("gain", content["gain"], "float32"),
        )
        record = None if content["record"] is None else _record(content["record"], claim)
        certificate = cls(claim, content["name"], proof=record, metadata=content["metadata"])
        stored = decode_array("next_states", content["next_states"], "float64")
        expected = (POINTS, model.state_size)
        _require(
            stored.shape == expected,
            f"`next_states` must have shape {expected}, but its shape is {stored.shape}.",
        )
        if record is None or not record.is_of(claim.program):
            certificate._require_fingerprint(stored)
        return certificate

    def _require_fingerprint(self, stored: np.ndarray) -> None:
        claim = self.claim
        found = fingerprint(claim.model, _around(claim), claim.disturbance_set)
        apart = distance(found, stored, claim.center)
        _require(
            agrees(found, stored, claim.center),
            f"The certificate {self.name!r} is about another function of the name "
            f"{claim.model.name!r}: its next states differ by up to {apart:.3g}. "
            "Synthesise and prove a set for this model.",
        )

    def __repr__(self) -> str:
        proved = "no record of a proof" if self.record is None else "with the record of a proof"
        facets = count(len(self.claim.safe_state_set.H), "facet")
        return one_line(
            f"Certificate({self.name!r} of {self.claim.model.name!r}, {facets}, {proved})"
        )


def model_name(source: Source) -> str:
    """The name of the model that a certificate file is about.

    Raises:
        CertificateError: If the file is missing or damaged.
    """
    try:
        return str(read(source)["model"]["name"])
    except (KeyError, TypeError) as error:
        raise CertificateError(f"{source} does not name its model.") from error


def model_parameters(source: Source) -> dict[str, float]:
    """The physical parameters of the model that a certificate file is about.

    Raises:
        CertificateError: If the file is missing or damaged.
    """
    try:
        parameters = dict(read(source)["model"]["parameters"])
        return {name: as_number(name, value) for name, value in parameters.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise CertificateError(
            f"{source} must give its model's parameters as numbers: {error}"
        ) from error


def _around(claim: Claim) -> Box | Polytope:
    """What the points of the fingerprint lie in: S, or X where S has too many vertices."""
    if claim.virtual is not None and isinstance(claim.constraint_set, Box):
        return claim.constraint_set
    return claim.safe_state_set


def _block(content: dict[str, Any]) -> Block:
    require_entries("A block", content, Block._fields)
    return Block(tuple(content["states"]), tuple(content["actions"]))


def _record(content: dict[str, Any], claim: Claim) -> ProofRecord:
    require_entries("The record", content, ProofRecord._fields)
    record = ProofRecord(**content)
    texts = all(isinstance(text, str) for text in (record.prover, record.claim, record.program))
    _require(texts, "The record of a proof must name prover, claim and program as texts.")
    cells = as_integer("record.cells", record.cells, 1)
    margin = as_number("record.margin", record.margin, claim.sigma)
    return record._replace(cells=cells, margin=margin)


def _require_model(name: str, content: dict[str, Any], model: Model) -> None:
    require_entries("The model", content["model"], ("name", "parameters"))
    about = content["model"]["name"]
    _require(
        model.name == about,
        f"The certificate {name!r} is about the model {about!r}, not {model.name!r}.",
    )
    stored, parameters = dict(content["model"]["parameters"]), _parameters(model)
    differing = [
        key for key in sorted({*parameters, *stored}) if parameters.get(key) != stored.get(key)
    ]
    found = ", ".join(f"{k} = {parameters.get(k)} instead of {stored.get(k)}" for k in differing)
    _require(
        not differing,
        f"The certificate {name!r} is about other parameters of {about!r}: {found}. Synthesise a "
        "set for them.",
    )
    size = content["action_size"]
    _require(
        size == model.action_size and type(size) is int,
        f"The certificate {name!r} is about {size} actions, but the model {model.name!r} has "
        f"{model.action_size}.",
    )


def _parameters(model: Model) -> dict[str, float]:
    return {key: float(value) for key, value in model.parameters.items()}


def _rounded(values: np.ndarray) -> list[list[float]]:
    """Float32 numbers in their shortest form."""
    return [[float(str(value)) for value in row] for row in values]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CertificateError(message)
