"""Safeguards by name, for command lines and environment registries."""

import dataclasses
from typing import Any

from .._gate import one_of
from .._keywords import require_known_keywords
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
        ValueError: If there is no safeguard of this name, or an option has a wrong value.
        UnknownOptionError: If it has no such option, which is a TypeError and a ValueError.
    """
    kind = _BY_NAME[one_of("safeguard", name, NAMES)]
    options = [field.name for field in dataclasses.fields(kind)]
    require_known_keywords(f"the safeguard {name!r}", kwargs, options)
    return kind(**kwargs)
