"""The file of a certificate: JSON with a checksum, written atomically and read with suspicion."""

import hashlib
import json
import os
import stat
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from .._errors import CertificateError
from .._files import write_text
from ._encoding import to_text

FORMAT = "safe_wrappers certificate"
FORMAT_VERSION = 2
# The largest certificate has a few hundred kilobytes; what is larger is none.
_MAX_BYTES = 16 * 1024 * 1024

PathLike = str | os.PathLike[str]
Source = PathLike | Traversable


def write(path: PathLike, content: dict[str, Any]) -> None:
    """Writes the content with format, version and checksum: another process sees the old file or
    the new one.
    """
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    write_text(path, to_text({**content, "checksum": _checksum(content)}))


def read(source: Source) -> dict[str, Any]:
    """The content of a certificate file, without format, version and checksum.

    Raises:
        CertificateError: If the file is missing, no regular file, too large, damaged, changed by
            hand, or of another format version.
    """
    try:
        content = json.loads(
            _text(source),
            parse_constant=_reject,
            parse_float=_finite,
            object_pairs_hook=_without_repetition,
        )
    except OSError as error:
        raise CertificateError(
            f"The certificate file {source} cannot be read: {error.strerror or error}."
        ) from error
    except RecursionError as error:
        raise CertificateError(
            f"The certificate file {source} is no certificate: its entries are nested too deeply."
        ) from error
    except ValueError as error:
        raise CertificateError(
            f"The certificate file {source} is not complete JSON: {error}."
        ) from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise CertificateError(f"{source} is no certificate file (format {FORMAT!r}).")
    version = content.pop("format_version", None)
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise CertificateError(
            f"The certificate file {source} has the format version {version!r}, but this release "
            f"reads version {FORMAT_VERSION}; create it anew."
        )
    checksum = content.pop("checksum", None)
    header = {"format": FORMAT, "format_version": FORMAT_VERSION}
    if checksum != _checksum({**header, **content}):
        raise CertificateError(
            f"The checksum of {source} does not match its content: the file was changed or "
            "damaged. Create it anew."
        )
    return content


def _text(source: Source) -> str:
    if not isinstance(source, str | os.PathLike):
        return source.read_text(encoding="utf-8")
    path = Path(source)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CertificateError(f"The certificate file {source} is no regular file.")
    if status.st_size > _MAX_BYTES:
        raise CertificateError(
            f"The certificate file {source} has {status.st_size:,} bytes, more than the "
            f"{_MAX_BYTES:,} that a certificate may have."
        )
    return path.read_text(encoding="utf-8")


def _reject(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """People read the first of two entries of one name, and JSON takes the last."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the entry {max(names, key=names.count)!r} stands there more than once")
    return content


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is no finite number")
    return value


def _checksum(content: dict[str, Any]) -> str:
    """SHA-256 of the content in canonical JSON; floats are written by their shortest
    representation.
    """
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
