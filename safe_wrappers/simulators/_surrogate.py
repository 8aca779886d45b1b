"""A polynomial model that contains a simulator on a set, from samples: in closed form, for the
search, the proof and the rows.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import ModelError
from .._gate import as_integer, as_number
from ..models import Model
from ..sets import Box, Polytope
from ._samples import extreme_samples
from ._simulator_model import SimulatorModel


@dataclasses.dataclass(frozen=True, eq=False)
class Surrogate:
    """x' = p(x) + P(x) a + w with polynomials p and P, and a box of disturbances that covers the
    difference to a simulator.

    A set that is robust control invariant for it, inside the set where it was fitted, is so for the
    simulator, as far as the box holds: that is tested, not proved.

    Attributes:
        model: The polynomial model, n disturbances; affine in (a, w).
        disturbance_set: The box, dimension n, symmetric.
        largest: The largest difference found, shape (n,).
        samples: Number of samples.
        safety: The factor between `largest` and the box, before the simulator's own disturbances
            are added.
    """

    model: Model
    disturbance_set: Box
    largest: np.ndarray
    samples: int
    safety: float

    def __str__(self) -> str:
        found = ", ".join(f"{value:.2g}" for value in self.largest)
        return (
            f"tested, not proved: off by at most ({found}) at {self.samples:,} samples; "
            f"{self.safety:g} times that is declared"
        )


def fit_surrogate(
    model: SimulatorModel,
    states: Box | Polytope,
    key: jax.Array,
    *,
    degree: int = 3,
    symmetric: bool = True,
    disturbance_set: Box | None = None,
    samples: int = 16_384,
    safety: float = 1.5,
) -> Surrogate:
    """Fits the polynomials by least squares over a set, and measures what they leave over.

    Args:
        model: x' = f(x, a) + E w. Nothing but its steps is used.
        states: A bounded set, dimension n, that contains the safe set to be found. Half of the
            samples are uniform in it, half lie near its corners and edges; the actions are extreme
            half of the time.
        key: Random key.
        degree: Degree of p in x; that of P is one less. 1: linear with a constant P.
        symmetric: Only odd terms in p and even ones in P, so that f(-x, -a, -w) = -f(x, a, w); what
            is not symmetric goes into the box.
        disturbance_set: The simulator's own W, shape (k,), added to the box. Default: w = 0.
        samples: Number of samples.
        safety: Factor on the largest difference, at least 1.

    Raises:
        SetDimensionError: If the sets do not fit the model or are unbounded.
        TypeError: If `safety`, `degree` or `samples` is no number, or `key` no random key.
        ValueError: If `safety`, `degree` or `samples` is below 1.
        ModelError: If the model is not finite at some sample.
    """
    safety = as_number("safety", safety, 1.0)
    degree = as_integer("degree", degree, 1)
    samples = as_integer("samples", samples, 1)
    x, a, _ = extreme_samples(model, states, disturbance_set, key, samples)
    still = jnp.zeros(model.disturbance_size)
    after = np.asarray(
        jax.jit(jax.vmap(lambda x, a: model.unit_step(x, a, still)))(x, a), np.float64
    )
    if not np.isfinite(after).all():
        raise ModelError(
            f"The model {model.name!r} must be finite on `states`, but at some sample "
            "it is not; choose a smaller set."
        )
    parity = 2 if symmetric else 1
    drift = functools.partial(
        _monomials, np.arange(1 if symmetric else 0, degree + 1, parity).tolist()
    )
    effect = functools.partial(_monomials, np.arange(0, degree, parity).tolist())
    scale = np.abs(states.vertices()).max(axis=0)
    n, d = model.state_size, model.action_size

    def features(x, a):
        z = x / scale.astype(x.dtype)
        return jnp.concatenate([drift(z), (effect(z)[:, None] * a).ravel()])

    with jax.enable_x64():
        inputs = np.asarray(
            jax.jit(jax.vmap(features))(np.asarray(x, np.float64), np.asarray(a, np.float64))
        )
    coefficients = np.linalg.lstsq(inputs, after, rcond=None)[0].T
    largest = np.abs(after - inputs @ coefficients.T).max(axis=0)

    def step(x: jax.Array, action: jax.Array, disturbance: jax.Array) -> jax.Array:
        return (
            jnp.sum(coefficients.astype(x.dtype) * features(x, model.unit_action(action)), axis=1)
            + disturbance
        )

    own = (
        0.0
        if disturbance_set is None
        else np.maximum(np.abs(disturbance_set.lower), np.abs(disturbance_set.upper))
    )
    box = Box.symmetric(
        safety * largest
        + np.abs(model.disturbance_matrix) @ np.broadcast_to(own, model.disturbance_size)
    )
    name = f"surrogate of degree {degree}, tested on samples, of {model.name}"
    polynomials = Model(
        name,
        step,
        n,
        d,
        n,
        model.parameters,
        action_box=model.action_box,
        state_names=model.state_names,
        action_names=model.action_names,
        units=model.units,
    )
    return Surrogate(polynomials, box, largest, samples, safety)


def _monomials(degrees: list[int], z: jax.Array) -> jax.Array:
    """All products of components of z of these degrees, each made from one of a degree less.

    Shape (number,).
    """
    n, found = len(z), []
    level: dict[tuple[int, ...], jax.Array] = {(): jnp.ones((), z.dtype)}
    for degree in range(max(degrees) + 1):
        if degree:
            level = {
                term: level[term[:-1]] * z[term[-1]]
                for term in itertools.combinations_with_replacement(range(n), degree)
            }
        found += list(level.values()) if degree in degrees else []
    return jnp.stack(found)
