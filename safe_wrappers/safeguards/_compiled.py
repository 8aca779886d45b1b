"""Compiled programs for calls outside `jit`: op by op a safeguard takes a thousand times as long.

A program is kept as long as its system, and no longer: it refers to the system weakly. It holds the
numbers of the system at the first call, so only what cannot change is compiled: systems of the
library, which are frozen and whose claims are about the very program of the model. The functions of
an `ExplicitSystem` may read what its owner changes later; such systems are evaluated as they are.
"""

import weakref
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .._gate import is_traced
from ..safe_actions import ModelSystem, System, ZonotopeSystem
from ._base import Safeguard, SafeguardOutput

_KINDS = (ModelSystem, ZonotopeSystem)
# Of one system; who asks for more goes through parameters of a safeguard.
_MOST = 64

Call = Callable[
    [System, Safeguard, Float[jax.Array, " n"], Float[jax.Array, " d"]], SafeguardOutput
]
_PROGRAMS: weakref.WeakKeyDictionary[System, dict[Any, Callable[..., SafeguardOutput]]] = (
    weakref.WeakKeyDictionary()
)


def call(
    function: Call,
    system: System,
    safeguard: Safeguard,
    x: Float[jax.Array, " n"],
    action: Float[jax.Array, " d"],
) -> SafeguardOutput:
    """`function(system, safeguard, x, action)`: compiled, at the first call with these kinds of
    arguments; within a trace, or where nothing can be kept, as it is.
    """
    leaves, structure = jax.tree.flatten(safeguard)
    numbers = all(isinstance(leaf, int | float | np.number) for leaf in leaves)
    if type(system) not in _KINDS or not numbers or is_traced(x, action):
        return function(system, safeguard, x, action)
    programs = _PROGRAMS.setdefault(system, {})
    # By its value: a safeguard is often written where it is used.
    key = (function, type(safeguard), structure, tuple(leaves))
    if key not in programs:
        if len(programs) >= _MOST:
            programs.clear()
        programs[key] = _program(function, weakref.ref(system), safeguard)
    return programs[key](x, action)


def _program(
    function: Call, system: weakref.ref[System], safeguard: Safeguard
) -> Callable[..., SafeguardOutput]:
    def program(x: Float[jax.Array, " n"], action: Float[jax.Array, " d"]) -> SafeguardOutput:
        alive: Any = system()  # it is, while it is called
        return function(alive, safeguard, x, action)

    return jax.jit(program)
