"""Certificates: what is claimed of a safe state set, and the file that holds it."""

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.stats import qmc

from .._errors import CertificateError, SetDimensionError
from ..models import Model
from ..sets import Box, Polytope, Zonotope
from ._encoding import decode_set, encode_set, to_text
from ._product import Block, require_product
from ._rounding import rounding_bound

FORMAT = "safe_wrappers certificate"
FORMAT_VERSION = 1
SIGMA = 2e-4
# The least allowance per facet. A tenth of it covers the residual of Brax's generalized pipeline
# and of MJX (at most 4e-7 of the set per step); more would move the boundary of the safe action set
# where an action has little authority.
MIN_EPS = 5e-6
_PROBES = 64
_TOLERANCE = 1e-12
# What is left of sigma beyond the rounding margins, so that a certified state has a float32 action
# with room to spare.
_RESERVE = 1e-5


@dataclasses.dataclass(frozen=True, eq=False)
class Certificate:
    """The claim that S is robust control invariant for a model and lies in X, with everything a
    proof of it needs.

    For every x in S there is an action a in [-1, 1]^d with H f(x, a, w) <= 1 - sigma for all w in
    W, and S lies in X. `prove` decides whether the claim is true; a certificate by itself is only
    the claim.

    Args:
        name: Name of the set, for example "full".
        model_name: Name of the model the claim is about.
        parameters: The model's parameters.
        safe_state_set: S = {x : H x <= 1}, float32, the origin strictly inside; H has shape (m, n).
        constraint_set: X, dimension n; infinite bounds of a box are allowed.
        disturbance_set: W, dimension k, float32.
        action_size: d; actions live in [-1, 1]^d.
        sigma: The proved margin, in the scale h = 1.
        eps: Allowance for run-time rounding per facet, shape (m,), float32, see `_rounding`.
        gain: Bound of the length of H_i B(x) over S, shape (m,).
        probes: States, actions, disturbances and next states that identify the model, as arrays by
            the names "x", "a", "w" and "next", shapes (64, n), (64, d), (64, k) and (64, n).
        metadata: How the set was found and what is known of it, for people.
        zonotope: S in generator form, if it has one; then initial states can be sampled in
            generator space.
        blocks: The groups of states and actions that share out S, if it is a product; then it is
            proved block by block.

    Raises:
        CertificateError: If the parts do not fit together.
    """

    name: str
    model_name: str
    parameters: Mapping[str, float]
    safe_state_set: Polytope
    constraint_set: Box | Polytope
    disturbance_set: Box
    action_size: int
    sigma: float
    eps: np.ndarray
    gain: np.ndarray
    probes: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    zonotope: Zonotope | None = None
    blocks: tuple[Block, ...] = ()

    def __post_init__(self):
        H, h = (np.asarray(value) for value in self.safe_state_set.halfspaces())
        n, k, facets = H.shape[1], self.disturbance_set.dim, len(H)
        _require(
            H.dtype == np.float32 and bool(np.all(h == 1)),
            "`safe_state_set` must be {H x <= 1} with float32 H.",
        )
        _require(
            self.constraint_set.dim == n,
            f"`constraint_set` must have dimension {n}, but it has {self.constraint_set.dim}.",
        )
        _require(
            bool(np.isfinite([self.disturbance_set.lower, self.disturbance_set.upper]).all()),
            "`disturbance_set` must be bounded.",
        )
        _require(
            bool(np.isfinite(self.sigma)) and self.sigma > 0,
            f"`sigma` must be positive, but it is {self.sigma}.",
        )
        for name, value in (("eps", self.eps), ("gain", self.gain)):
            _require(
                value.shape == (facets,) and bool(np.all(value >= 0)),
                f"`{name}` must hold {facets} numbers >= 0, one per facet, but it is {value}.",
            )
        for name, size in (("x", n), ("a", self.action_size), ("w", k), ("next", n)):
            found = self.probes[name].shape
            _require(
                found == (_PROBES, size),
                f"`probes[{name!r}]` must have shape {(_PROBES, size)}, but its shape is {found}.",
            )
        if self.zonotope is not None:
            _require(
                self.zonotope.dim == n,
                f"`zonotope` must have dimension {n}, but it has {self.zonotope.dim}.",
            )
        if self.blocks:
            require_product(self.blocks, self.safe_state_set, self.action_size)

    @classmethod
    def create(
        cls,
        model: Model,
        safe_state_set: Polytope,
        constraint_set: Box | Polytope,
        disturbance_set: Box,
        *,
        name: str,
        sigma: float = SIGMA,
        metadata: Mapping[str, Any] | None = None,
        zonotope: Zonotope | None = None,
        blocks: tuple[Block, ...] = (),
    ) -> "Certificate":
        """Claims that S is invariant, with the rounding bound and the model's fingerprint computed.

        Args:
            model: The one-step model.
            safe_state_set: S, the origin strictly inside; scaled to h = 1 and rounded to float32.
            constraint_set: X.
            disturbance_set: W, rounded to float32.
            name: Name of the set.
            sigma: The margin to be proved.
            metadata: For people; must be JSON.
            zonotope: S in generator form, if it has one.
            blocks: The groups of states and actions that share out S, if it is a product.

        Raises:
            CertificateError: If the sets do not fit the model, or sigma leaves no room for
                rounding.
        """
        n, k = model.state_size, model.disturbance_size
        for label, found, needed in (
            ("safe_state_set", safe_state_set.dim, n),
            ("disturbance_set", disturbance_set.dim, k),
        ):
            _require(
                found == needed,
                f"`{label}` must have dimension {needed} for the model "
                f"{model.name!r}, but it has {found}.",
            )
        scaled = safe_state_set.normalised()
        safe_state_set = Polytope(
            np.asarray(scaled.H, np.float32), np.ones(len(scaled.H), np.float32)
        )
        disturbance_set = Box(
            np.asarray(disturbance_set.lower, np.float32),
            np.asarray(disturbance_set.upper, np.float32),
        )
        eps, gain = rounding_bound(model, safe_state_set, disturbance_set)
        eps = np.maximum(eps, MIN_EPS)
        certificate = cls(
            name=name,
            model_name=model.name,
            parameters={key: float(value) for key, value in model.parameters.items()},
            safe_state_set=safe_state_set,
            constraint_set=constraint_set,
            disturbance_set=disturbance_set,
            action_size=model.action_size,
            sigma=float(sigma),
            # Rounded up: the float32 number that is used at run time must still be a bound.
            eps=np.nextafter(eps.astype(np.float32), np.float32(np.inf)),
            gain=np.nextafter(gain.astype(np.float32), np.float32(np.inf)),
            probes=_probe(model, safe_state_set, disturbance_set),
            metadata=dict(metadata or {}),
            zonotope=zonotope,
            blocks=blocks,
        )
        certificate.check(model)
        return certificate

    def check(self, model: Model) -> None:
        """Checks that the certificate speaks about this model and that sigma has room for all
        run-time rounding.

        With err_i <= eps_i the error of a row as computed, a certified state leaves the float32
        rows a slack of sigma - eps_i - err_i, of which the safeguards use 2 tau |H_i B|, tau = (4 d
        + 12) machine epsilons.

        Raises:
            CertificateError: On another name, other parameters, another fingerprint, or a sigma
                that is too small.
        """
        _require(
            model.name == self.model_name,
            f"The certificate {self.name!r} is about the model "
            f"{self.model_name!r}, not {model.name!r}.",
        )
        parameters = {key: float(value) for key, value in model.parameters.items()}
        differing = [
            key
            for key in sorted({*parameters, *self.parameters})
            if parameters.get(key) != self.parameters.get(key)
        ]
        found = ", ".join(
            f"{key} = {parameters.get(key)} instead of {self.parameters.get(key)}"
            for key in differing
        )
        _require(
            not differing,
            f"The certificate {self.name!r} is about other parameters of "
            f"{self.model_name!r}: {found}. Synthesise a set for them.",
        )
        sizes = (self.safe_state_set.dim, self.action_size, self.disturbance_set.dim)
        expected = (model.state_size, model.action_size, model.disturbance_size)
        _require(
            sizes == expected,
            f"The certificate {self.name!r} has sizes (n, d, k) = {sizes}, "
            f"but the model has {expected}.",
        )
        values = _next_states(model, self.probes)
        error = np.abs(values - self.probes["next"]) / np.maximum(1.0, np.abs(self.probes["next"]))
        _require(
            bool(np.all(error <= _TOLERANCE)),
            f"The certificate {self.name!r} is about another function of the name "
            f"{self.model_name!r}: its next states at the stored probes "
            f"differ by up to {np.max(error):.3g}. Synthesise and prove a set for this model.",
        )
        tau = (4 * self.action_size + 12) * float(np.finfo(np.float32).eps)
        needed = (
            2.0 * self.eps.astype(np.float64) + 2.0 * tau * self.gain.astype(np.float64) + _RESERVE
        )
        _require(
            bool(np.all(self.sigma >= needed)),
            f"`sigma` must be at least 2 eps_i + 2 tau |H_i B| + {_RESERVE:g} = "
            f"{needed.max():.3g}, but it is {self.sigma:.3g}; raise it and prove again.",
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the certificate as JSON, atomically: another process sees the old file or the new
        one.
        """
        content = self._content()
        text = to_text({**content, "checksum": _checksum(content)})
        path = Path(path)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
        ) as file:
            file.write(text)
        try:
            # Temporary files are private; a certificate is as readable as any other new file.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(file.name, 0o666 & ~umask)
            os.replace(file.name, path)
        except OSError:
            os.unlink(file.name)
            raise

    @classmethod
    def load(cls, source: str | os.PathLike[str] | Traversable) -> "Certificate":
        """Reads a certificate from a path or a package resource.

        Raises:
            CertificateError: If the file is missing, damaged, changed by hand, or of another format
                version.
        """
        file: Any = source if hasattr(source, "read_text") else Path(source)  # pyright: ignore[reportArgumentType]
        try:
            content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_reject_constant)
        except OSError as error:
            raise CertificateError(
                f"The certificate file must be readable, but {source} is not: {error}."
            ) from error
        except ValueError as error:
            raise CertificateError(
                f"The certificate file must be complete JSON, but {source} is not: {error}."
            ) from error
        _require(
            isinstance(content, dict) and content.get("format") == FORMAT,
            f"{source} must be a certificate file (format {FORMAT!r}).",
        )
        version = content.get("format_version")
        _require(
            version == FORMAT_VERSION,
            "The certificate file must have format version "
            f"{FORMAT_VERSION}, but {source} has {version!r}; "
            "create it anew.",
        )
        checksum = content.pop("checksum", None)
        _require(
            checksum == _checksum(content),
            f"The checksum of {source} does not match its "
            "content: the file was changed or damaged. "
            "Create it anew.",
        )
        try:
            return cls._from_content(content)
        except CertificateError:
            raise
        except (KeyError, TypeError, ValueError, SetDimensionError) as error:
            raise CertificateError(
                f"The certificate file {source} must hold all entries of format "
                f"version {FORMAT_VERSION}, but: {error!r}."
            ) from error

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "model": {"name": self.model_name, "parameters": dict(self.parameters)},
            "action_size": self.action_size,
            "safe_state_set": encode_set(self.safe_state_set),
            "constraint_set": encode_set(self.constraint_set),
            "disturbance_set": encode_set(self.disturbance_set),
            "zonotope": None if self.zonotope is None else encode_set(self.zonotope),
            **(
                {
                    "blocks": [
                        {key: list(value) for key, value in block._asdict().items()}
                        for block in self.blocks
                    ]
                }
                if self.blocks
                else {}
            ),
            "sigma": self.sigma,
            "eps": [float(str(v)) for v in self.eps],
            "gain": [float(str(v)) for v in self.gain],
            "metadata": dict(self.metadata),
            "probes": {
                key: np.asarray(value, np.float64).tolist() for key, value in self.probes.items()
            },
        }

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> "Certificate":
        return cls(
            name=content["name"],
            model_name=content["model"]["name"],
            parameters=content["model"]["parameters"],
            safe_state_set=decode_set(content["safe_state_set"], Polytope),
            constraint_set=decode_set(content["constraint_set"], Box, Polytope),
            disturbance_set=decode_set(content["disturbance_set"], Box),
            action_size=content["action_size"],
            sigma=content["sigma"],
            eps=np.asarray(content["eps"], np.float32),
            gain=np.asarray(content["gain"], np.float32),
            probes={
                key: np.asarray(content["probes"][key], np.float64).reshape(_PROBES, -1)
                for key in ("x", "a", "w", "next")
            },
            metadata=content["metadata"],
            zonotope=None
            if content["zonotope"] is None
            else decode_set(content["zonotope"], Zonotope),
            blocks=tuple(
                Block(tuple(block["states"]), tuple(block["actions"]))
                for block in content.get("blocks", ())
            ),
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CertificateError(message)


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _checksum(content: dict[str, Any]) -> str:
    """SHA-256 of the content in canonical JSON; floats are written by their shortest
    representation.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _probe(model: Model, safe_state_set: Polytope, disturbance_set: Box) -> dict[str, np.ndarray]:
    """64 points of a Halton sequence in the bounding box of S, the action box and the box of W, and
    their next states.
    """
    vertices = safe_state_set.vertices()
    lower = np.concatenate(
        [
            vertices.min(axis=0),
            -np.ones(model.action_size),
            np.asarray(disturbance_set.lower, np.float64),
        ]
    )
    upper = np.concatenate(
        [
            vertices.max(axis=0),
            np.ones(model.action_size),
            np.asarray(disturbance_set.upper, np.float64),
        ]
    )
    # The sequence is deterministic; six digits keep the file readable.
    points = np.round(
        lower + qmc.Halton(len(lower), scramble=False).random(_PROBES) * (upper - lower), 6
    )
    x, a, w = np.split(points, [model.state_size, model.state_size + model.action_size], axis=1)
    probes = {"x": x, "a": a, "w": w}
    return {**probes, "next": _next_states(model, probes)}


def _next_states(model: Model, probes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Next states in float64 at the probes, shape (64, n)."""
    # Eager even while a caller is being traced, so that an environment can be made inside jit.
    with (
        jax.ensure_compile_time_eval(),
        jax.enable_x64(),
        jax.default_device(jax.local_devices(backend="cpu")[0]),
    ):
        return np.asarray(
            jax.jit(jax.vmap(model.step))(*(probes[key] for key in ("x", "a", "w"))), np.float64
        )
