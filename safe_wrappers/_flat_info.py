"""Infos without dictionaries inside them, for agents that take no others."""

from typing import Any


def flattened(info: dict[str, Any], flat: bool) -> dict[str, Any]:
    """The infos themselves, or with the entries of dictionaries inside them in their place.

    Args:
        info: Infos by name.
        flat: Whether `info["safeguard"]["action"]` becomes `info["safeguard/action"]`, and so on
            at any depth.
    """
    if not flat:
        return info
    result: dict[str, Any] = {}
    for name, value in info.items():
        if isinstance(value, dict):
            inner = flattened(value, True)
            result |= {f"{name}/{key}": entry for key, entry in inner.items()}
        else:
            result[name] = value
    return result
