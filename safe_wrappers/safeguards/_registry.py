"""Safeguards by name, for command lines and environment registries."""

import difflib
from typing import Any

from ._base import Safeguard
from ._boundary_projection import BoundaryProjection
from ._gauge_map import GaugeMap
from ._generator_mask import GeneratorMask
from ._ray_mask import RayMask
from ._replacement import Replacement

_BY_NAME: dict[str, type[Safeguard]] = {
    "boundary_projection": BoundaryProjection,
    "ray_mask": RayMask,
    "gauge_map": GaugeMap,
    "generator_mask": GeneratorMask,
    "replacement": Replacement,
}
NAMES = tuple(_BY_NAME)


def make_safeguard(name: str, **kwargs: Any) -> Safeguard:
    """The safeguard of this name, with its options as keywords.

    Raises:
        ValueError: On an unknown name; the message names the nearest valid one.
    """
    if name not in _BY_NAME:
        nearest = difflib.get_close_matches(name, NAMES, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"The safeguard must be one of {', '.join(map(repr, NAMES))}, but it is {name!r}.{hint}"
        )
    return _BY_NAME[name](**kwargs)
