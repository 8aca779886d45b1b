"""A system, a safeguard, a state and any action give a safe action: the core of all wrappers."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float
from numpy.typing import ArrayLike

from .._derivative import with_derivative
from .._gate import as_action, as_state
from ..models import ActionUnits
from ..safe_actions import SafeActionSet, System, SystemOfModel, units_of
from ._active_rows import safeguarded
from ._base import Safeguard, SafeguardOutput
from ._compiled import call


def safe_action(
    system: System, safeguard: Safeguard, x: ArrayLike, action: ArrayLike
) -> SafeguardOutput:
    """Replaces an action by a safe one at the state x: deployment needs no environment.

    Actions go in and come out in the natural units of `system.action_box`: in volts, if the model
    was given an action box in volts, and in [-1, 1]^d if it was given none.

    For every x in S and every action (NaN, infinite and oversized ones included) the result lies in
    the action box and keeps the next state in S for every disturbance in W, under the assumptions
    of the system's certificate. Whether x is in S is the output's `inside`, and whether the request
    was in the action box its `clipped`. A safe request comes out bit for bit as it went in.

    Rounding allowances speak about float32: a state of less precision is promoted to it before
    anything is computed, float64 stays (with `jax_enable_x64`), and all matrix products run at
    JAX's highest precision. The action is cast to the state's dtype before anything else.

    Outside of `jit` the first call for a `ModelSystem` or `ZonotopeSystem` compiles a program,
    which takes seconds; later ones use it. Other systems are evaluated operation by operation,
    which takes some ten milliseconds a call, so jit the call.

    Args:
        system: The plant's model and safe set.
        safeguard: How unsafe actions are mapped to safe ones.
        x: State, shape (n,). If a component is not finite, the middle of the action box,
            `system.neutral_action` in natural units, is executed and flagged.
        action: Any action, shape (d,), in natural units.

    Returns:
        The safeguard's output, `action` and `requested` in natural units; unbatched, so batch it
        with jax.vmap.

    Raises:
        SetDimensionError: At trace time, if x or the action has another shape, or is not made of
            real numbers (complex numbers, text, dates, objects, masked arrays).
    """
    return call(_safe_action, system, safeguard, _state(system, x), _request(system, action))


def safe_unit_action(
    system: System, safeguard: Safeguard, x: ArrayLike, action: ArrayLike
) -> SafeguardOutput:
    """`safe_action` for actions in [-1, 1]^d whatever the system's natural units, as agents of Brax
    give them and as environments of Brax take them.

    Args:
        system: The plant's model and safe set.
        safeguard: How unsafe actions are mapped to safe ones.
        x: State, shape (n,).
        action: Any action, shape (d,), -1 for the lower and 1 for the upper bound of the action
            box.

    Returns:
        The safeguard's output, all of it in [-1, 1]^d; unbatched.

    Raises:
        SetDimensionError: For the same reasons as in `safe_action`.
    """
    request, state = _request(system, action), _state(system, x)
    with jax.default_matmul_precision("highest"):

        def action_set_at(state: Float[jax.Array, " n"]) -> SafeActionSet:
            # 1. The state, as far as it is known.
            known = jnp.all(jnp.isfinite(state))
            # 2. Its safe action set. At an unknown state no action is known to be safe:
            # unsatisfiable rows, and the neutral action as the anchor.
            action_set = system.safe_action_set(jnp.where(known, state, 0.0))
            b = jnp.where(known, action_set.b, -jnp.inf)
            neutral = system.neutral_action.astype(action_set.anchor.dtype)
            anchor = jnp.where(known, action_set.anchor, neutral)
            return dataclasses.replace(action_set, b=b, anchor=anchor)

        output = safeguarded(system, safeguard, state, request, action_set_at)
        known = jnp.all(jnp.isfinite(state))
        return output._replace(inside=known & (system.margin(state) >= 0))


def _safe_action(
    system: System,
    safeguard: Safeguard,
    state: Float[jax.Array, " n"],
    request: Float[jax.Array, " d"],
) -> SafeguardOutput:
    """`safe_action` for arrays that have passed the gate."""
    units = units_of(system)
    if units.plain:
        return safe_unit_action(system, safeguard, state, request)
    request = request.astype(state.dtype)
    return _in_natural_units(
        units, request, safe_unit_action(system, safeguard, state, _unit(units, request))
    )


def _state(system: System, x: ArrayLike) -> Float[jax.Array, " n"]:
    if not isinstance(system, SystemOfModel):
        return as_state("x", x, None)
    model = system.model
    return as_state("x", x, model.state_size, model.state_labels if model.state_names else ())


def _request(system: System, action: ArrayLike) -> Float[jax.Array, " {system.action_size}"]:
    if not isinstance(system, SystemOfModel) or not system.model.action_names:
        return as_action(action, system.action_size)
    return as_action(action, system.action_size, system.model.action_labels)


def _unit(units: ActionUnits, request: Float[jax.Array, " d"]) -> Float[jax.Array, " d"]:
    """The request in [-1, 1]^d, shape (d,). One at a bound of the action box may come out of the
    division beyond 1 by a rounding; it lies in the box, and so it is not to count as clipped.
    """
    unit = units.unit(request)
    inside = units.contains(request)
    return with_derivative(jnp.where(inside, jnp.clip(unit, -1.0, 1.0), unit), unit)


def _in_natural_units(
    units: ActionUnits, request: Float[jax.Array, " d"], output: SafeguardOutput
) -> SafeguardOutput:
    """The output with its actions in natural units.

    A request that was left alone is executed itself: in [-1, 1]^d each of its components is off the
    verified number by two roundings at most, and the accept test leaves room for 2 d + 6. Every
    other action is the number that the model's own `unit_step` makes of the verified one, so that
    eps covers it.
    """
    inside = units.contains(request)
    exact = inside & jnp.all(jnp.abs(units.unit(request)) <= 1.0)
    action, requested = units.natural(output.action), units.natural(output.requested)
    untouched = exact & jnp.all(output.action == output.requested)
    executed = jnp.where(untouched, request, action)
    return output._replace(
        action=with_derivative(executed, action),
        requested=with_derivative(jnp.where(exact, request, requested), requested),
        intervened=output.intervened | ~inside,
        changed=~jnp.all(executed == request),
        clipped=jnp.all(jnp.isfinite(request)) & ~inside,
    )
