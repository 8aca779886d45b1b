"""What is reported of a safeguarded step, the same in every host."""

import jax
import jax.numpy as jnp

from ..safe_actions import Explanation, System
from ..safeguards import GradientDiagnosis, SafeguardOutput

Record = dict[str, jax.Array]


def step_record(
    system: System,
    output: SafeguardOutput,
    x: jax.Array,
    explanation: Explanation | None,
) -> Record:
    """What `info["safeguard"]` holds after a step, in the dtype of x, flags as 0 or 1.

    Args:
        system: The plant's model and safe set.
        output: What the safeguard did to the request.
        x: The state after the step, shape (n,): `margin` and `inside` are about it.
        explanation: What the monitor says of the step, if there is one.
    """
    margin = system.margin(x)
    record = output._asdict() | {"margin": margin, "inside": margin >= 0}
    if explanation is not None:
        record |= {"residual": explanation.disturbance, "modelled": explanation.modelled}
    return {name: jnp.asarray(value, x.dtype) for name, value in record.items()}


def step_metrics(
    record: Record, task_reward: jax.Array, diagnosis: GradientDiagnosis | None
) -> Record:
    """The metrics of a step, by the names under which Brax averages them.

    Args:
        record: From `step_record`.
        task_reward: The reward without regularisation, shape ().
        diagnosis: What the safeguard did to the gradient, if that is reported.
    """
    metrics = {
        "intervention_per_step": record["intervened"],
        "distance_per_step": record["distance"],
        "infeasible_per_step": 1 - record["feasible"],
        "fallback_per_step": record["fallback"],
        "left_set_per_step": 1 - record["inside"],
        "task_reward": task_reward,
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
    dtype = record["margin"].dtype
    return {f"safeguard/{name}": jnp.asarray(value, dtype) for name, value in metrics.items()}


def nothing_done(action_size: int) -> SafeguardOutput:
    """The output of a step that has not happened: what a reset reports."""
    zero = jnp.zeros(action_size, jnp.float32)
    no, yes = jnp.zeros((), bool), jnp.ones((), bool)
    return SafeguardOutput(
        action=zero,
        requested=zero,
        intervened=no,
        changed=no,
        distance=jnp.zeros(()),
        feasible=yes,
        fallback=no,
        clipped=no,
        inside=yes,
    )


def nothing_lost(action_size: int) -> GradientDiagnosis:
    """The diagnosis of a step that has not happened: that of the identity."""
    return GradientDiagnosis(
        jacobian=jnp.eye(action_size),
        singular_values=jnp.ones(action_size),
        rank=jnp.asarray(action_size),
        lost_gradient=jnp.zeros(()),
    )
