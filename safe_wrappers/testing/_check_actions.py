"""The checks of a system's safe actions, of `check_system`."""

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ContractError
from .._margins import tau
from ..safe_actions import System
from ..safeguards import BoundaryProjection, safe_unit_action
from ._check_report import require_all
from ._plant import Plant


def check_anchors(system: System, x: np.ndarray) -> dict[str, float]:
    """The anchors of the states x, shape (s, n), and the derivatives of their rows."""

    def rows_and_tangent(x, direction):
        def rows(x):
            action_set = system.safe_action_set(x)
            return (action_set.A, action_set.b), action_set.anchor

        (A, b), tangent, anchor = jax.jvp(rows, (x,), (direction,), has_aux=True)
        return (
            A,
            b,
            anchor,
            jax.tree.reduce(
                jnp.logical_and, jax.tree.map(lambda t: jnp.all(jnp.isfinite(t)), tangent)
            ),
        )

    A, b, anchor, differentiable = jax.device_get(
        jax.jit(jax.vmap(rows_and_tangent))(x, np.ones_like(x))
    )
    lengths = np.linalg.norm(A.astype(np.float64), axis=-1)
    slack = b - np.einsum("smd,sd->sm", A.astype(np.float64), anchor.astype(np.float64))
    least = np.where(
        lengths > 0,
        slack / np.where(lengths > 0, lengths, 1),
        np.where(slack >= 0, np.inf, -np.inf),
    ).min(axis=1, initial=np.inf)
    least_asked = tau(anchor.shape[1], anchor.dtype)
    must = (
        "In the safe set the anchor must lie in the action box and satisfy every row of the safe "
        f"action set by {least_asked:.2g} times its length"
    )
    instead = "The set is not invariant there, or `fallback` is not the action of largest margin."
    require_all(
        (least >= least_asked) & (np.abs(anchor) <= 1).all(axis=1),
        must,
        instead,
        state=x,
        anchor=anchor,
        slack=least,
    )
    require_all(
        differentiable,
        "The derivative of the rows must be finite",
        "Look for a division or a root at 0 in a branch not taken.",
        state=x,
    )
    return {"least slack of an anchor": least.min()}


def check_unknown_states(system: System, x: np.ndarray) -> None:
    """What is executed where a component of the state x, shape (n,), is not finite, or huge."""
    where = np.tile(np.eye(len(x), dtype=bool), (3, 1))
    unknown = np.where(where, np.repeat([np.nan, np.inf, -np.inf], len(x))[:, None], x).astype(
        x.dtype
    )
    huge = np.where(where[: len(x)], np.finfo(x.dtype).max / 4, x).astype(x.dtype)
    guarded = jax.jit(
        jax.vmap(
            lambda x: safe_unit_action(
                system, BoundaryProjection(), x, jnp.ones(system.action_size, x.dtype)
            )
        )
    )
    output = jax.device_get(guarded(np.concatenate([unknown, huge])))
    neutral = (
        np.all(output.action == np.asarray(system.neutral_action), axis=1)
        & ~output.feasible
        & output.fallback
    )
    must = "At a state that is not finite the neutral action must be executed and flagged"
    instead = "`safe_action_set` must return, also for zeros."
    require_all(
        neutral[: len(unknown)],
        must,
        instead,
        state=unknown,
        action=output.action[: len(unknown)],
        feasible=output.feasible[: len(unknown)],
    )
    bounded, action = (
        np.all(np.abs(output.action) <= 1, axis=1)[len(unknown) :],
        output.action[len(unknown) :],
    )
    require_all(
        bounded,
        "At a huge state the executed action must lie in the action box",
        "Look for overflows in `safe_action_set`.",
        state=huge,
        action=action,
    )


def check_next_states(
    system: System, plant: Plant, x: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Where the states x, shape (s, n), go under safe actions and the worst disturbances."""
    if plant.model.action_size != system.action_size or plant.model.state_size != x.shape[1]:
        raise ContractError(
            f"The model must have the system's sizes ({x.shape[1]}, {system.action_size}), but "
            f"`{plant.model.name}` has others. Give its own model."
        )
    guarded = jax.jit(
        jax.vmap(lambda x, request: safe_unit_action(system, BoundaryProjection(), x, request))
    )
    shape = len(x), system.action_size
    requests = (
        rng.uniform(-1, 1, shape),
        rng.choice([-1, 1], shape),
        10 * rng.normal(size=shape),
        np.full(shape, np.nan),
    )
    least, moved = np.inf, 0
    for request in requests:
        request = request.astype(x.dtype)
        output = jax.device_get(guarded(x, request))
        require_all(
            output.feasible,
            "Every state of the safe set must have a safe action",
            "The set is not invariant.",
            state=x,
            request=request,
        )
        worst = plant.worst(x, output.action)
        must = "Every safe action must keep the next state in the safe set for every disturbance"
        instead = (
            "Compare the model with the plant, `disturbance_set` with what acts, and `eps` with "
            "the rounding of a step."
        )
        shown = {
            "state": x,
            "action": output.action,
            "disturbance": worst.disturbance,
            "next_state": worst.next_state,
            "its_margin": worst.margin,
        }
        require_all(worst.margin >= 0, must, instead, **shown)
        least, moved = min(least, worst.margin.min()), moved + int(output.intervened.sum())
    count = len(requests) * len(x) * len(plant.vertices)
    return {"next states": count, "interventions": moved, "least margin of a next state": least}
