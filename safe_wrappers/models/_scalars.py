"""Numpy arrays whose elements are scalars of an arithmetic."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Unusable(NamedTuple):
    """A number of which no arithmetic knows a value: a factor of an elimination whose pivots depend
    on the state. It may be handed on, but not computed with.

    Args:
        primitive: Name of the operation that made it.
        source: The matrix that the operation was applied to.
    """

    primitive: str
    source: np.ndarray


def object_array(elements: Sequence[Any]) -> np.ndarray:
    """A vector that holds these objects as they are."""
    array = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        array[i] = element
    return array


def elementwise(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """`function` over the elements of broadcast arrays, as an object array."""
    arrays = tuple(np.asarray(a) for a in arrays)
    result = np.empty(np.broadcast_shapes(*(a.shape for a in arrays)), object)
    operands = np.broadcast_arrays(*arrays)
    for index in np.ndindex(result.shape):
        result[index] = function(*(a[index] for a in operands))
    return result
