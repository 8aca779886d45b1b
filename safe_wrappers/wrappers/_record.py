"""What is reported of a safeguarded step, the same in every host.

What the environment itself reports stays, whatever its name:

- `info["safeguard"]` and the metrics `safeguard/...` are the wrapper's. An entry of the environment
  of the same name moves into `info["environment"]`, a metric gets the prefix `environment/`.
- `info["cost"]` (and in Gymnasium `task_reward`, `state`) are filled in by the wrapper only where
  the environment does not report one; the wrapper's own numbers are in `info["safeguard"]` always.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..safe_actions import Explanation, System
from ..safeguards import GradientDiagnosis, SafeguardOutput

Record = dict[str, jax.Array]

RECORD = "safeguard"
DISPLACED = "environment"


def step_record(
    system: System,
    output: SafeguardOutput,
    x: jax.Array,
    explanation: Explanation | None,
) -> Record:
    """What `info["safeguard"]` holds after a step, in the dtype of x, flags as 0 or 1; the hosts
    add the reward.

    Args:
        system: The plant's model and safe set.
        output: The output of the safeguard.
        x: The state after the step, shape (n,): `margin`, `inside` and `violation` are about it.
        explanation: The monitor's account of the step, if there is a monitor.
    """
    margin = system.margin(x)
    record = output._asdict() | {
        "margin": margin,
        "inside": margin >= 0,
        "violation": system.violation(x),
    }
    if explanation is not None:
        record |= {"residual": explanation.disturbance, "modelled": explanation.modelled}
    return {name: jnp.asarray(value, x.dtype) for name, value in record.items()}


def step_metrics(record: Record, diagnosis: GradientDiagnosis | None) -> Record:
    """The metrics of a step, by the names under which Brax averages them.

    Args:
        record: From `step_record`, with `task_reward`.
        diagnosis: The effect of the safeguard on the gradient, if that is reported.
    """
    metrics = {
        "intervention_per_step": record["intervened"],
        "distance_per_step": record["distance"],
        "infeasible_per_step": 1 - record["feasible"],
        "fallback_per_step": record["fallback"],
        "left_set_per_step": 1 - record["inside"],
        "task_reward": record["task_reward"],
    }
    if "modelled" in record:
        metrics["unmodelled_per_step"] = 1 - record["modelled"]
    if diagnosis is not None:
        metrics |= {
            "rank_per_step": diagnosis.rank,
            "lost_gradient_per_step": diagnosis.lost_gradient,
            "smallest_singular_value_per_step": diagnosis.singular_values[-1],
            "largest_singular_value_per_step": diagnosis.singular_values[0],
        }
    # In JAX's own floating-point type, in which Brax's wrappers add them up.
    return {f"{RECORD}/{name}": jnp.asarray(value, float) for name, value in metrics.items()}


def with_record(info: Mapping[str, Any], record: Record, **instead: Any) -> dict[str, Any]:
    """The info of an environment with the record.

    Args:
        info: The info of the environment itself.
        record: The entries of `info["safeguard"]`.
        **instead: What is reported under these names if the environment itself reports nothing
            under them.

    Raises:
        ValueError: If the environment reports `safeguard` and `environment`: there is no place for
            the first then.
    """
    theirs = dict(info)
    if RECORD in theirs:
        if DISPLACED in theirs:
            raise ValueError(
                f"The environment reports `info[{RECORD!r}]`, which the wrapper would keep as "
                f"`info[{DISPLACED!r}][{RECORD!r}]`, but it reports `info[{DISPLACED!r}]`, too; "
                "rename one of them."
            )
        theirs[DISPLACED] = {RECORD: theirs.pop(RECORD)}
    return {**instead, **theirs, RECORD: record}


def without_record(
    info: Mapping[str, Any], own: Collection[str], instead: Collection[str]
) -> dict[str, Any]:
    """The info of the environment itself: undoes `with_record`.

    Args:
        info: The info that `with_record` returned, with the entries of other wrappers.
        own: Names of what the environment itself reports.
        instead: Names of what is reported if it does not.
    """
    theirs = {name: value for name, value in info.items() if name in own or name not in instead}
    theirs.pop(RECORD, None)
    if RECORD in own:
        theirs[RECORD] = theirs.pop(DISPLACED)[RECORD]
    return theirs


def with_metrics(metrics: Mapping[str, Any], ours: Record) -> dict[str, Any]:
    """The metrics of an environment with those of the wrapper."""
    theirs = {
        f"{DISPLACED}/{name}" if name in ours else name: value for name, value in metrics.items()
    }
    return {**theirs, **ours}


def without_metrics(metrics: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    """The metrics of the environment itself, by their names `own`: undoes `with_metrics`; what
    other wrappers have added stays, unless it looks like one of the wrapper's.
    """
    displaced = {name: f"{DISPLACED}/{name}" for name in own if f"{DISPLACED}/{name}" in metrics}
    others = {
        name: value
        for name, value in metrics.items()
        if name not in displaced.values() and (name in own or not name.startswith(f"{RECORD}/"))
    }
    return others | {name: metrics[place] for name, place in displaced.items()}


def nothing_done(action_size: int) -> SafeguardOutput:
    """The output of a step that has not happened: what a reset reports."""
    zero = jnp.zeros(action_size, jnp.float32)
    no, yes = jnp.zeros((), bool), jnp.ones((), bool)
    return SafeguardOutput(
        action=zero,
        requested=zero,
        intervened=no,
        changed=no,
        distance=jnp.zeros((), jnp.float32),
        feasible=yes,
        fallback=no,
        clipped=no,
        inside=yes,
    )


def nothing_lost(action_size: int) -> GradientDiagnosis:
    """The diagnosis of a step that has not happened: that of the identity."""
    return GradientDiagnosis(
        jacobian=jnp.eye(action_size, dtype=jnp.float32),
        singular_values=jnp.ones(action_size, jnp.float32),
        rank=jnp.asarray(action_size),
        lost_gradient=jnp.zeros((), jnp.float32),
    )
