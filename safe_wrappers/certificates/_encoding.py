"""Sets and numbers as readable JSON with exact round trip."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._errors import CertificateError
from ..sets import Box, Polytope, Zonotope

# The fields of each kind of set; each is stored with its floating dtype, since float32 and float64
# round differently.
SET_FIELDS: dict[type, tuple[str, ...]] = {
    Box: ("lower", "upper"),
    Polytope: ("H", "h"),
    Zonotope: ("center", "generators"),
}


def encode_set(value: Box | Polytope | Zonotope) -> dict[str, Any]:
    """A set as a dictionary of lists; float32 numbers in their shortest form, an infinite bound as
    null.
    """
    arrays = {field: np.asarray(getattr(value, field)) for field in SET_FIELDS[type(value)]}
    kind = "float32" if all(array.dtype == np.float32 for array in arrays.values()) else "float64"
    lists = {field: _numbers(array.astype(kind)) for field, array in arrays.items()}
    return {"type": type(value).__name__.lower(), "dtype": kind, **lists}


def decode_set(content: dict[str, Any], *allowed: type) -> Any:
    """The set of `encode_set`.

    Raises:
        CertificateError: If it is not of an allowed type.
    """
    for cls in allowed:
        if content["type"] == cls.__name__.lower() and content["dtype"] in ("float32", "float64"):
            fields = SET_FIELDS[cls]
            require_entries(f"A {content['type']}", content, ("type", "dtype", *fields))
            return cls(*(decode_array(f, content[f], content["dtype"]) for f in fields))
    names = " or ".join(repr(cls.__name__.lower()) for cls in allowed)
    raise CertificateError(
        f"A set must be of type {names} and of dtype 'float32' or 'float64', "
        f"but it is {content['type']!r}, {content['dtype']!r}."
    )


def require_entries(what: str, content: Any, names: Sequence[str]) -> None:
    """Checks that a part of a file has these entries and no others.

    Raises:
        CertificateError: Naming what is missing or unknown.
    """
    if not isinstance(content, dict) or set(content) != set(names):
        found = sorted(content) if isinstance(content, dict) else [type(content).__name__]
        raise CertificateError(
            f"{what} of a certificate file must have the entries {', '.join(names)}, but "
            f"{', '.join(sorted({*names} ^ {*found}))} is missing or unknown."
        )


def to_text(content: dict[str, Any]) -> str:
    """JSON with one row of numbers per line."""
    return _format(content, "") + "\n"


def _numbers(array: np.ndarray) -> Any:
    if array.ndim:
        return [_numbers(row) for row in array]
    return float(str(array[()])) if np.isfinite(array) else None


def decode_array(field: str, numbers: Any, dtype: str) -> np.ndarray:
    """The array of these lists; null is an infinite bound of a box.

    Raises:
        CertificateError: If something else than a number is in them, or a number too large for the
            dtype.
    """
    missing = -np.inf if field == "lower" else np.inf
    array = np.asarray(numbers, object)
    kinds = {type(number) for number in array.ravel()} - {int, float}
    if kinds - {type(None)} or (kinds and field not in ("lower", "upper")):
        raise CertificateError(
            f"`{field}` must hold numbers, as many in every row, but it holds "
            f"{', '.join(sorted(f'`{kind.__name__}`' for kind in kinds))}."
        )
    # Through float64, the numbers of JSON: each float32 number is written by digits that lead back
    # to it.
    filled = [missing if number is None else number for number in array.ravel()]
    exact = np.asarray(filled, np.float64)
    with np.errstate(over="ignore"):
        stored = exact.astype(dtype)
    if np.any(np.isinf(stored) & np.isfinite(exact)):
        raise CertificateError(f"`{field}` must hold numbers of {dtype}, but one is too large.")
    return stored.reshape(array.shape)


def _format(value: Any, indent: str) -> str:
    inner = indent + "  "
    if isinstance(value, dict) and value:
        entries = [
            f"{inner}{json.dumps(key)}: {_format(item, inner)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        return (
            "[\n" + ",\n".join(f"{inner}{_format(item, inner)}" for item in value) + f"\n{indent}]"
        )
    return json.dumps(value, allow_nan=False)
