"""JSON files with a checksum: what is read is what was written, or an error says that it is not."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._files import write_text

_CHECKSUM = "checksum"


def write_record(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Writes readable, valid JSON with its SHA-256 as the last entry, atomically: what is not a
    finite number becomes null.
    """
    content = finite(content)
    record = {**content, _CHECKSUM: _checksum(content)}
    write_text(path, json.dumps(record, indent=2, allow_nan=False) + "\n")


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of such a file, without its checksum.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not what was written; the message follows "because".
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        content = None
    if not isinstance(content, dict) or _CHECKSUM not in content:
        raise ValueError("it has no checksum")
    if content.pop(_CHECKSUM) != _checksum(content):
        raise ValueError("its content has changed since it was written")
    return content


def finite(value: Any) -> Any:
    """The value, with null for what JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _checksum(content: Mapping[str, Any]) -> str:
    # As it reads again: a tuple is a list there.
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
