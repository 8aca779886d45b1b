"""A remainder from samples: how far a model is from affine."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from .._gate import as_integer, as_number, instance_of
from ..models import Model
from ..sets import Box, Polytope
from ._samples import extreme_samples


@dataclasses.dataclass(frozen=True, eq=False)
class RemainderFit:
    """A remainder from samples: tested, not proved.

    Attributes:
        half_widths: What to declare, shape (n,), float32: `safety` times `largest`.
        largest: The largest |f(x, a, w) - (c(x) + B(x) a + E(x) w)| found, shape (n,).
        samples: Number of samples (x, a, w).
        safety: The factor between the two.
    """

    half_widths: np.ndarray
    largest: np.ndarray
    samples: int
    safety: float

    def __str__(self) -> str:
        found = ", ".join(f"{value:.2g}" for value in self.largest)
        return (
            f"tested, not proved: remainder at most ({found}) at {self.samples:,} samples; "
            f"{self.safety:g} times that is declared"
        )


def fit_remainder(
    model: Model,
    states: Box | Polytope,
    disturbance_set: Box,
    key: jax.Array,
    *,
    samples: int = 16_384,
    safety: float = 1.5,
) -> RemainderFit:
    """Measures what the model's affine form leaves over, in float32 and so with all rounding.

    Args:
        model: x' = f(x, a, w).
        states: A bounded set on which the remainder is to hold, dimension n: the safe state set, or
            one that contains it. Half of the samples are uniform in it, half lie near its corners
            and edges; the actions are extreme half of the time.
        disturbance_set: W, shape (k,).
        key: Random key.
        samples: Number of samples.
        safety: Factor on the largest one, at least 1.

    Raises:
        SetDimensionError: If the sets do not fit the model or are unbounded.
        TypeError: If `model` is no model, `safety` or `samples` no number, or `key` no random key.
        ValueError: If `safety` or `samples` is below 1.
        ModelError: If the model is not finite at some sample.
    """
    instance_of(
        "model", model, Model, hint="an environment that JAX cannot trace needs `fit_surrogate`"
    )
    safety = as_number("safety", safety, 1.0)
    samples = as_integer("samples", samples, 1)

    def residual(x, a, w):
        c, B, E = model.affine(x)
        return jnp.abs(
            model.unit_step(x, a, w) - c - jnp.sum(B * a, axis=1) - jnp.sum(E * w, axis=1)
        )

    largest = np.asarray(
        jax.jit(jax.vmap(residual))(*extreme_samples(model, states, disturbance_set, key, samples))
    ).max(axis=0)
    if not np.isfinite(largest).all():
        raise ModelError(
            f"The model {model.name!r} must be finite on `states`, but at some sample "
            "it is not; choose a smaller set."
        )
    return RemainderFit((safety * largest).astype(np.float32), largest, samples, safety)
