"""Safeguards by name, for command lines and environment registries."""

import dataclasses
from typing import Any

from .._gate import one_of
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
        TypeError: If it has no such option.
    """
    kind = _BY_NAME[one_of("safeguard", name, NAMES)]
    options = [field.name for field in dataclasses.fields(kind)]
    unknown = [option for option in kwargs if option not in options]
    if unknown:
        raise TypeError(
            f"{', '.join(map(repr, unknown))} is no option of the safeguard {name!r}. Its options "
            f"are {', '.join(map(repr, options))}."
        )
    return kind(**kwargs)
